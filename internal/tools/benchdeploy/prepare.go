package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Namespaces of the contenders: apart, so that neither has fields of the other's to deal with.
const (
	spaceOurs   = "idp-bench-deploy"
	spaceTheirs = "idp-bench-kubectl"
)

// comparison is two signed versions of the service, and where they are deployed.
type comparison struct {
	dir      string // with service (a repository), key.pem, key.pub and policy.yaml
	idp      string // the program, an absolute path
	registry string
	password string // of the key
	images   []image
	out      io.Writer
}

type image struct{ commit, reference string }

// policy is the default one with a key of our own, and pods so small that those of both contenders fit on a node.
const policy = `name: bench
defaults:
  signer: {key: key.pub}
  require: [provenance, sbom, sast, secrets]
  sast: {fail-on: high}
  secrets: {fail-on: low}
  evidence-max-age: 1d
  sizes: {small: {cpu: 1m, memory: 32Mi}}
`

// prepare builds and signs two versions of the service.
func (b *comparison) prepare(ctx context.Context, service string) error {
	source := filepath.Join(b.dir, "service")
	if err := os.CopyFS(source, os.DirFS(service)); err != nil {
		return err
	}
	private, public, err := b.keyPair()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"key.pem": private, "key.pub": public, "policy.yaml": policy} {
		if err := b.write(name, text); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "origin", "https://git.example.com/acme/hello.git"}} {
		if _, err := b.git(ctx, args...); err != nil {
			return err
		}
	}
	main, err := os.ReadFile(filepath.Join(source, "main.go")) // #nosec G304 -- of our own folder
	if err != nil {
		return err
	}
	for _, word := range []string{"one", "two"} {
		_, _ = fmt.Fprintf(b.out, "building and signing version %s\n", word)
		changed := strings.Replace(string(main), `log.Info("listening"`, `log.Info("listening, version `+word+`"`, 1)
		if changed == string(main) {
			return fmt.Errorf("%s is not the sample service", service)
		}
		if err := b.write("service/main.go", changed); err != nil {
			return err
		}
		if err := b.release(ctx, word, ""); err != nil {
			return err
		}
	}
	return b.spaces(ctx)
}

// release commits, builds and signs a version, with a further line in its idp.yaml.
func (b *comparison) release(ctx context.Context, version, more string) error {
	text := fmt.Sprintf("name: hello\nowner: team-hello\nscale: {min: 2}\nenvironments:\n  staging: {namespace: %s}\n%s", spaceOurs, more)
	if err := b.write("service/idp.yaml", text); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "."}, {"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-qm", version}} {
		if _, err := b.git(ctx, args...); err != nil {
			return err
		}
	}
	commit, err := b.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	out := filepath.Join(b.dir, "built-"+version)
	for _, args := range [][]string{{"sast"}, {"secrets"}, {"build"}, {"sign", "--registry", b.registry + "/hello", "--key", filepath.Join(b.dir, "key.pem")}} {
		if said, err := b.command(ctx, out, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("idp %s: %w\n%s", args[0], err, said)
		}
	}
	rec, err := readRecord(filepath.Join(out, "record.json"))
	b.images = append(b.images, image{commit, rec.Artifact.Reference()})
	return err
}

// command is idp on the service in the environment staging.
func (b *comparison) command(ctx context.Context, out string, args ...string) *exec.Cmd {
	args = append(args, "--service", filepath.Join(b.dir, "service"), "--environment", "staging", "--policy", filepath.Join(b.dir, "policy.yaml"),
		"--out", out, "--record", filepath.Join(out, "record.json"))
	cmd := exec.CommandContext(ctx, b.idp, args...) // #nosec G204 -- named by whoever runs this
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+b.password)
	return cmd
}

// spaces makes both namespaces anew.
func (b *comparison) spaces(ctx context.Context) error {
	b.clean(ctx)
	for _, space := range []string{spaceOurs, spaceTheirs} {
		if err := b.kubectl(ctx, "create", "namespace", space); err != nil {
			return err
		}
	}
	return nil
}

func (b *comparison) clean(ctx context.Context) {
	if err := b.kubectl(ctx, "delete", "namespace", spaceOurs, spaceTheirs, "--ignore-not-found", "--timeout=60s"); err != nil {
		_, _ = fmt.Fprintln(b.out, err)
	}
}

func (b *comparison) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", filepath.Join(b.dir, "service")}, args...)...) // #nosec G204 -- fixed commands
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (b *comparison) write(name, text string) error {
	return os.WriteFile(filepath.Join(b.dir, filepath.FromSlash(name)), []byte(text), 0o600) // #nosec G703 -- a folder of its own, and names of its own
}

// keyPair makes a key to sign with, sealed as cosign seals it.
func (b *comparison) keyPair() (private, public string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	b.password = rand.Text()
	sealed, err := encrypted.Encrypt(der, []byte(b.password))
	if err != nil {
		return "", "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: sealed})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), nil
}
