// Package distribution runs Debian's docker-registry for tests: a real registry, of version 2.8, which has no referrers API.
// The program is fetched once with apt-get, without being installed, into ~/.cache/idp/testkit.
package distribution

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/org/idp/internal/testkit/npm"
	"github.com/org/idp/internal/tools/again"
	"github.com/org/idp/internal/tools/ports"
)

// Options of a registry.
type Options struct {
	User, Password string // that it asks for; empty lets everyone in
	Upstream       string // HOST:PORT of a registry whose pull-through cache this one is
	Folder         string // where it keeps images; empty takes a new one
	Addr           string // where it listens; empty takes a free port
}

// Registry is one that runs.
type Registry struct {
	Addr   string
	Folder string

	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs a registry until the test ends.
func Start(t *testing.T, o Options) *Registry {
	t.Helper()
	program, err := program(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	if o.Addr == "" {
		o.Addr = free(t)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", o.Folder, o.Addr)
	if o.User != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "htpasswd"), fmt.Sprintf("%s:%s\n", o.User, hash))
		config += fmt.Sprintf("auth: {htpasswd: {realm: registry, path: %q}}\n", filepath.Join(dir, "htpasswd"))
	}
	if o.Upstream != "" {
		config += fmt.Sprintf("proxy: {remoteurl: %q}\n", "http://"+o.Upstream)
	}
	write(t, filepath.Join(dir, "config.yml"), config)
	r := &Registry{Addr: o.Addr, Folder: o.Folder, done: make(chan struct{})}
	var said bytes.Buffer
	r.cmd = exec.Command(program, "serve", filepath.Join(dir, "config.yml")) // #nosec G204 -- fetched above
	r.cmd.Stdout, r.cmd.Stderr = &said, &said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(r.done); _ = r.cmd.Wait() }()
	t.Cleanup(r.Kill)
	if !r.up() {
		r.Kill()
		t.Fatalf("docker-registry does not answer on %s:\n%s", o.Addr, said.String())
	}
	return r
}

// Kill ends the registry at once, as a machine that loses power does.
func (r *Registry) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.done
}

// up waits until the registry answers, two minutes at most.
func (r *Registry) up() bool {
	for range 1200 {
		resp, err := http.Get("http://" + r.Addr + "/v2/") // #nosec G107 -- on the loopback interface
		if err == nil {
			_ = resp.Body.Close()
			return true
		}
		select {
		case <-r.done:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	return false
}

func free(t *testing.T) string {
	t.Helper()
	port, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port[0]
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// program is docker-registry: the installed one, or that of the package, unpacked.
func program(ctx context.Context) (string, error) {
	const name = "docker-registry"
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	cache, err := npm.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "idp", "testkit", name)
	path := filepath.Join(dir, "usr", "bin", name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { // #nosec G301 -- a cache of public programs
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), name+"-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := fetch(ctx, tmp, name); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(tmp, "root"), dir); err != nil {
		if _, there := os.Stat(path); there != nil { // else another test was faster
			return "", err
		}
	}
	return path, nil
}

// fetch unpacks the newest version of a Debian package that this machine knows of.
func fetch(ctx context.Context, dir, name string) error {
	const script = `apt-get download "$1" || { apt-get update && apt-get download "$1"; }; dpkg -x "$1"_*.deb root`
	return again.Do(ctx, os.Stderr, func() error {
		cmd := exec.CommandContext(ctx, "sh", "-ec", script, "sh", name) // #nosec G204 -- the name is above
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("no %s: install it, or have apt-get (%w):\n%s", name, err, out)
		}
		return nil
	})
}
