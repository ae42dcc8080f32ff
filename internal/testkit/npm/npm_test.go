package npm

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLocked(t *testing.T) {
	t.Parallel()
	lock := []byte(`{"packages":{"node_modules/@a/b":{"version":"1.2.3","integrity":"sha512-x"},"node_modules/old":{"version":"1.0.0","integrity":"sha1-x"}}}`)
	if p, err := Locked(lock, "@a/b"); err != nil || p != (Pin{"@a/b", "1.2.3", "sha512-x"}) {
		t.Errorf("%+v %v", p, err)
	}
	for _, name := range []string{"old", "other"} {
		if _, err := Locked(lock, name); err == nil {
			t.Errorf("%s is pinned", name)
		}
	}
}

// archive writes a package of one file and gives its integrity.
func archive(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	files := tar.NewWriter(z)
	if err := files.WriteHeader(&tar.Header{Name: "package/a.json", Mode: 0o600, Size: 2}); err != nil {
		t.Fatal(err)
	}
	_, err = files.Write([]byte("{}"))
	if err := errors.Join(err, files.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestOnlyWhatTheLockFileMeansIsTaken(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.tgz")
	p := Pin{"a", "1.0.0", archive(t, name)}
	if data, err := p.take(name, "package/a.json"); err != nil || string(data) != "{}" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := p.take(name, "package/b.json"); err == nil || !strings.Contains(err.Error(), "package/b.json") {
		t.Errorf("%v", err)
	}
	p.Integrity = "sha512-other"
	if _, err := p.take(name, "package/a.json"); err == nil || !strings.Contains(err.Error(), "as the lock file says") {
		t.Errorf("%v", err)
	}
}

func TestCachedIsMadeOnceAndWhole(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // on a Mac
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Cached("k", func(string) ([]byte, error) { return nil, errors.New("no network") }); err == nil {
		t.Error("a failure was kept")
	}
	var made atomic.Int32
	var all sync.WaitGroup
	text := strings.Repeat("x", 1<<20)
	for range 8 {
		all.Go(func() {
			data, err := Cached("k", func(string) ([]byte, error) { made.Add(1); return []byte(text), nil })
			if err != nil || string(data) != text {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
	all.Wait()
	before := made.Load()
	if _, err := Cached("k", func(string) ([]byte, error) { made.Add(1); return nil, nil }); err != nil || made.Load() != before {
		t.Errorf("made again: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "idp/testkit/making-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
