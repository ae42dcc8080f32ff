//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"github.com/org/idp/internal/testkit/expect"
	githubfake "github.com/org/idp/internal/testkit/github"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// repository is one that workflows run in.
type repository struct {
	t   *testing.T
	dir string
}

func inRepo(parts ...string) string {
	return filepath.Join(append([]string{"..", ".."}, parts...)...)
}

// newRepository makes a repository with a sample service in each of the folders and every workflow of docs/workflows.
func newRepository(t *testing.T, folders ...string) *repository {
	t.Helper()
	r := &repository{t, t.TempDir()}
	for _, folder := range folders {
		copyDir(t, filepath.Join(r.dir, folder), inRepo("testdata", "services", "hello"))
	}
	copyDir(t, filepath.Join(r.dir, ".github", "workflows"), inRepo("docs", "workflows"))
	r.git("init", "--quiet", "--initial-branch", "main")
	r.git("remote", "add", "origin", "https://github.com/acme/hello")
	r.commit()
	r.git("update-ref", "refs/remotes/origin/main", "main") // as actions/checkout leaves it with fetch-depth: 0
	return r
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// change replaces text in a file and commits it.
func (r *repository) change(file, from, to string) {
	r.t.Helper()
	text := r.read(file)
	if !strings.Contains(text, from) {
		r.t.Fatalf("%s holds no %q", file, from)
	}
	r.add(file, strings.ReplaceAll(text, from, to))
}

func (r *repository) read(file string) string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// add writes a file and commits it.
func (r *repository) add(file, text string) {
	r.t.Helper()
	write(r.t, filepath.Join(r.dir, file), text)
	r.commit()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *repository) commit() {
	r.t.Helper()
	r.git("add", "--all")
	r.git("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message", "change")
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// platform is what the composed workflow needs around it: a registry that asks for a login, a catalogue, and a key.
type platform struct {
	call     call
	registry *httptest.Server
	catalog  string // bare repository
	github   *githubfake.Repository
}

// newPlatform starts it and commits the public key to the repository.
func newPlatform(t *testing.T, r *repository) *platform {
	t.Helper()
	p := &platform{catalog: filepath.Join(t.TempDir(), "catalog.git")}
	images := registry.New()
	p.registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "ada" || password != p.call.secrets["GITHUB_TOKEN"] {
			w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, req)
	}))
	t.Cleanup(p.registry.Close)
	r.git("init", "--quiet", "--bare", "--initial-branch", "main", p.catalog)
	private, public := keyPair(t)
	r.add("cosign.pub", public)
	p.call = call{workflow: "composed.yml", path: docker(t),
		vars:    map[string]string{"IDP_REGISTRY": strings.TrimPrefix(p.registry.URL, "http://") + "/acme/hello"},
		secrets: map[string]string{"IDP_KEY": private, "IDP_PASSWORD": "correct horse", "IDP_CATALOG": p.catalog}}
	p.github = r.onGitHub(&p.call, map[string]string{"contents": "read", "packages": "write"})
	return p
}

// keyPair makes a key in the form that `cosign generate-key-pair` writes.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypted.Encrypt(der, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: sealed})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

// docker gives a folder with a docker that can log in, as the real one does, and nothing else.
func docker(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := `#!/usr/bin/env bash
set -euo pipefail
test "$#" = 5 -a "$1" = login -a "$3" = --username -a "$5" = --password-stdin
read -r password
mkdir -p "$HOME/.docker"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$2" "$(printf '%s:%s' "$4" "$password" | base64 -w0)" >"$HOME/.docker/config.json"
`
	expect.Program(t, filepath.Join(dir, "docker"), script)
	return dir
}

// processesBelow finds the processes that run a program below a folder, work there or name it in their arguments.
func processesBelow(t *testing.T, dir string) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err) // without it nothing is known about processes
	}
	found := map[int]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		args, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // a process may end while it is looked at
		exe, _ := os.Readlink(filepath.Join(proc, "exe"))
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		command := strings.ReplaceAll(string(args), "\x00", " ")
		for _, text := range []string{command, exe, cwd} {
			if strings.Contains(text, dir) {
				found[pid] = command
			}
		}
	}
	return found
}
