// Package sigstore gives tests a private instance of sigstore, two registries and the command lines of cosign, all real: those
// that `go run ./internal/tools/sigstore run` started around them, as `make e2e-sigstore` does. Before each service is a proxy
// of the test's own, which can fail in every way; so tests that share the instance do not disturb each other.
package sigstore

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Workflow is the identity in the certificates of a job whose claims are not changed.
const Workflow = "https://github.com/acme/checkout/.github/workflows/release.yml@refs/heads/main"

// Kit is an instance that answers.
type Kit struct {
	TrustedRoot   string // file: whom to believe
	SigningConfig string // file: whom to ask, which are the proxies below
	WithoutLog    string // file: the same without Rekor
	IssuerURL     string // the issuer in tokens and certificates

	Fulcio, Rekor, Timestamp *Service
	Issuer                   *Service // gives tokens to jobs
	Registry                 *Service // go-containerregistry's, which lists referrers
	DebianRegistry           *Service // Debian's docker-registry, which does not

	bin string
}

// Open gives the instance of the environment. Without one the test fails, because it is the point of the test.
func Open(t *testing.T) *Kit {
	t.Helper()
	dir := os.Getenv("IDP_E2E_SIGSTORE")
	if dir == "" {
		t.Fatal("there is no sigstore: run these tests with `make e2e-sigstore`")
	}
	var at struct{ Fulcio, Rekor, Timestamp, Issuer, Tokens, Registry, DebianRegistry, Bin string }
	if err := json.Unmarshal(read(t, filepath.Join(dir, "services.json")), &at); err != nil {
		t.Fatal(err)
	}
	k := &Kit{
		TrustedRoot: filepath.Join(dir, "trusted-root.json"), SigningConfig: filepath.Join(t.TempDir(), "signing-config.json"),
		IssuerURL: at.Issuer, bin: at.Bin,
		Fulcio: newService(t, at.Fulcio), Rekor: newService(t, at.Rekor), Timestamp: newService(t, at.Timestamp), Issuer: newService(t, at.Tokens),
		Registry: newService(t, "http://"+at.Registry), DebianRegistry: newService(t, "http://"+at.DebianRegistry),
	}
	// The configuration of the instance, with the proxies for what is behind them.
	config := strings.NewReplacer(at.Fulcio, k.Fulcio.URL, at.Rekor, k.Rekor.URL, at.Timestamp, k.Timestamp.URL).
		Replace(string(read(t, filepath.Join(dir, "signing-config.json"))))
	write(t, k.SigningConfig, []byte(config))
	var parts map[string]any
	if err := json.Unmarshal([]byte(config), &parts); err != nil {
		t.Fatal(err)
	}
	delete(parts, "rekorTlogUrls")
	delete(parts, "rekorTlogConfig")
	data, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	k.WithoutLog = filepath.Join(filepath.Dir(k.SigningConfig), "without-log.json")
	write(t, k.WithoutLog, data)
	return k
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ForCosign are the flags with which a version of cosign signs in bundles by this instance. Version 2 does so without the
// log: the entries that it writes are of a kind that Rekor takes no longer.
func (k *Kit) ForCosign(version string) []string {
	if version == "v2" {
		return []string{"--new-bundle-format", "--signing-config", k.WithoutLog, "--trusted-root", k.TrustedRoot}
	}
	return []string{"--signing-config", k.SigningConfig, "--trusted-root", k.TrustedRoot}
}

// Services are those that a keyless signature needs, by name.
func (k *Kit) Services() map[string]*Service {
	return map[string]*Service{"fulcio": k.Fulcio, "rekor": k.Rekor, "timestamp authority": k.Timestamp, "issuer": k.Issuer}
}

// Registries are both registries, by what they can.
func (k *Kit) Registries() map[string]*Service {
	return map[string]*Service{"referrers API": k.Registry, "fallback tag": k.DebianRegistry}
}

// Job is the environment in which a job of GitHub asks for its token. Claims are changed in what a job of acme/checkout has;
// nil leaves one out. internal/tools/sigstore/issuer.go has them all.
func (k *Kit) Job(t *testing.T, claims map[string]any) []string {
	t.Helper()
	request := k.Issuer.URL + "/token?api-version=2.0"
	if len(claims) > 0 {
		data, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		request += "&claims=" + url.QueryEscape(string(data))
	}
	return []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + request, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")}
}

// Versions are those of the command line of cosign.
var Versions = []string{"v2", "v3"}

// Cosign runs cosign in a home of its own with env, such as that of Job, and gives what it prints. It is an
// *exec.ExitError when cosign says no.
func (k *Kit) Cosign(t *testing.T, version string, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints strings.Builder
	cmd := exec.CommandContext(t.Context(), filepath.Join(k.bin, "cosign-"+version), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"HOME=" + cmd.Dir, "PATH=" + os.Getenv("PATH"), "COSIGN_YES=true", "COSIGN_PASSWORD="}, env...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// Push puts an image with random content into a registry and gives its name by digest.
func (k *Kit) Push(t *testing.T, registry *Service, repository string) string {
	t.Helper()
	image, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	return k.PushImage(t, registry, repository, image)
}

// PushImage puts an image into a registry and gives its name by digest.
func (k *Kit) PushImage(t *testing.T, registry *Service, repository string, image v1.Image) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(registry.Host()+"/"+repository+"@"+digest.String(), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
