package catalog

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/org/idp/internal/fault"
)

// Not parallel: the environment is that of an action, and git must not get the inputs from it.
func TestSignedDelivery(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	in := inputs(t, bare(t))
	in.SigningKey, in.Committer = string(pem.EncodeToMemory(block)), "acme-bot <bot@acme.example>"
	t.Setenv("INPUT_CATALOG-SIGNING-KEY", in.SigningKey)
	secret := strings.Split(in.SigningKey, "\n")[2]
	out := filepath.Join(t.TempDir(), "out")
	in.Checkout = filepath.Join(out, "catalog")
	hook(t, in.URL, "pre-receive", "{ env; grep -r . '"+out+"' 2>/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; } > seen; exit 0\n")
	done := mustRun(t, in)
	if done.Evidence.Signer != ssh.FingerprintSHA256(key) {
		t.Errorf("%+v", done.Evidence)
	}
	if commit := git(t, in.URL, "cat-file", "-p", "main"); !strings.Contains(commit, "\ngpgsig -----BEGIN SSH SIGNATURE-----\n ") ||
		!strings.Contains(commit, "\ncommitter acme-bot <bot@acme.example> ") {
		t.Errorf("%s", commit)
	}
	if seen, err := os.ReadFile(filepath.Join(in.URL, "seen")); err != nil || len(seen) == 0 || strings.Contains(string(seen), secret) {
		t.Errorf("whoever is on the machine sees the key, or the hook saw nothing: %v, %d bytes", err, len(seen))
	}
	if again := mustRun(t, in); again.Evidence.Signer != "" || again.Evidence.Changed {
		t.Errorf("nothing was signed: %+v", again.Evidence)
	}
	in.SigningKey = "not a key"
	refused(t, in, fault.BadInput, "catalog-signing-key")
	if fault.KindOf(in.Check()) != fault.BadInput {
		t.Error("the key is found wrong only when everything else is done")
	}
	in.SigningKey = ""
	for _, bad := range []string{"x", "x <>", "<x@y>", "x <a b>", "x <a@b>\ny", "a<b <x@y>", " <x@y>", "x <x@y> z"} {
		in.Committer = bad
		refused(t, in, fault.BadInput, "catalog-committer")
	}
}
