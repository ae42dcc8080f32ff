//go:build e2e

package gitstore

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tool runs a program that users make keys with.
func tool(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// signed publishes with a key and gives what git says of the commit, by the keys that it is told to trust.
func signed(t *testing.T, key string, env []string, trusted ...string) (commit, said string, fingerprint string) {
	t.Helper()
	signer, err := ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	url := bare(t)
	s := open(t, url)
	s.o.Signer = signer
	s.o.Author = Person{"acme-bot", "bot@acme.example"}
	publish(t, s, map[string]string{"a/b": "c"})
	publish(t, s, map[string]string{"a/b": "d", "é": "x"})
	for _, commit := range []string{"main~1", "main"} {
		cmd := exec.Command("git", append(trusted, "verify-commit", "--raw", commit)...)
		cmd.Dir, cmd.Env = url, append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git verify-commit: %v\n%s\n%s", err, out, git(t, url, "cat-file", "-p", commit))
		}
		said = string(out)
	}
	if out := git(t, url, "fsck", "--strict"); strings.Contains(out, "error") || strings.Contains(out, "warning") {
		t.Error(out)
	}
	return git(t, url, "cat-file", "-p", "main"), said, signer.Fingerprint()
}

// TestSignedSSH has git check the signatures of keys of every kind that ssh-keygen makes.
func TestSignedSSH(t *testing.T) {
	for _, kind := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "3072"}, {"-t", "ecdsa"}, {"-t", "rsa", "-m", "PEM"}, {"-t", "ecdsa", "-m", "PKCS8"}} {
		dir := t.TempDir()
		file := filepath.Join(dir, "key")
		tool(t, nil, "ssh-keygen", append(slices.Clone(kind), "-q", "-N", "", "-C", "catalogue", "-f", file)...)
		key, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		public, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		allowed := filepath.Join(dir, "allowed")
		if err := os.WriteFile(allowed, []byte("bot@acme.example "+string(public)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, said, fingerprint := signed(t, string(key), nil, "-c", "gpg.ssh.allowedSignersFile="+allowed)
		if !strings.Contains(said, `Good "git" signature for bot@acme.example with `) || !strings.Contains(said, fingerprint) {
			t.Errorf("%v: %s", kind, said)
		}
		if listed := tool(t, nil, "ssh-keygen", "-l", "-f", file+".pub"); !strings.Contains(listed, fingerprint) {
			t.Errorf("%s is not in %s", fingerprint, listed)
		}
		// The check can fail: by another key.
		other := filepath.Join(dir, "other")
		tool(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other)
		if public, err = os.ReadFile(other + ".pub"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(allowed, []byte("bot@acme.example "+string(public)), 0o600); err != nil {
			t.Fatal(err)
		}
		tool(t, nil, "ssh-keygen", append([]string{"-p", "-q", "-N", "a passphrase", "-f", file}, format(kind)...)...)
		if key, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKey(string(key)); err == nil || !strings.Contains(err.Error(), "it has a passphrase") {
			t.Errorf("%v with a passphrase: %v", kind, err)
		}
	}
}

func format(kind []string) []string {
	if len(kind) > 3 && kind[2] == "-m" {
		return kind[2:]
	}
	return nil
}

// TestSignedOpenPGP has git and gpg check the signatures of keys that gpg makes.
func TestSignedOpenPGP(t *testing.T) {
	for _, algorithm := range []string{"ed25519", "rsa3072", "nistp256"} {
		home, err := os.MkdirTemp("", "gpg") // sockets have short names
		if err != nil {
			t.Fatal(err)
		}
		env := []string{"GNUPGHOME=" + home}
		t.Cleanup(func() {
			tool(t, env, "gpgconf", "--kill", "all")
			_ = os.RemoveAll(home)
		})
		tool(t, env, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "acme-bot <bot@acme.example>", algorithm, "sign", "1d")
		key := tool(t, env, "gpg", "--batch", "--quiet", "--armor", "--export-secret-keys", "bot@acme.example")
		_, said, fingerprint := signed(t, key, env)
		if !strings.Contains(said, "GOODSIG") || !strings.Contains(said, "VALIDSIG "+fingerprint) {
			t.Errorf("%s: %s", algorithm, said)
		}
		tool(t, env, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "a passphrase", "--quick-generate-key", "locked <locked@acme.example>", algorithm, "sign", "1d")
		locked := tool(t, env, "gpg", "--batch", "--quiet", "--armor", "--pinentry-mode", "loopback", "--passphrase", "a passphrase", "--export-secret-keys", "locked@acme.example")
		if _, err := ParseKey(locked); err == nil || !strings.Contains(err.Error(), "it has a passphrase") {
			t.Errorf("%s with a passphrase: %v", algorithm, err)
		}
	}
}
