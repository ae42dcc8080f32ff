// Package npm fetches single files of packages of the npm registry for tests, at the versions that lock files pin. What was
// fetched stays in the user's cache folder, outside of the checkout, so that tests need the registry once.
package npm

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/tools/again"
)

// Pin is what a lock file says of a package.
type Pin struct{ Name, Version, Integrity string }

// Locked finds a package in a lock file. An integrity other than one by SHA-512 is an error.
func Locked(lockFile []byte, name string) (Pin, error) {
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal(lockFile, &lock); err != nil {
		return Pin{}, err
	}
	p := lock.Packages["node_modules/"+name]
	if p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") {
		return Pin{}, fmt.Errorf("the lock file does not pin %s", name)
	}
	return Pin{name, p.Version, p.Integrity}, nil
}

// File gives one file of a package, by its path in the archive, which begins with package/. The archive is fetched by `npm
// pack`, so that npm's own settings hold, and not unpacked: some are hundreds of megabytes.
func (p Pin) File(path string) ([]byte, error) {
	return Cached(p.Integrity+path, func(dir string) ([]byte, error) {
		if err := again.Do(context.Background(), os.Stderr, func() error {
			cmd := exec.Command("npm", "pack", p.Name+"@"+p.Version, "--silent", "--pack-destination", dir) // #nosec G204 -- of a lock file
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("npm pack %s@%s: %w\n%s", p.Name, p.Version, err, out)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
		if err != nil || len(archives) != 1 {
			return nil, fmt.Errorf("npm pack %s@%s left %d archives: %w", p.Name, p.Version, len(archives), err)
		}
		return p.take(archives[0], path)
	})
}

func (p Pin) take(archive, path string) ([]byte, error) {
	f, err := os.Open(archive) // #nosec G304 -- just fetched
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != p.Integrity {
		return nil, fmt.Errorf("the archive of %s@%s is %s, not %s as the lock file says", p.Name, p.Version, got, p.Integrity)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("%s in the archive of %s@%s: %w", path, p.Name, p.Version, err)
		}
		if h.Name == path {
			return io.ReadAll(files)
		}
	}
}

// CacheDir is the user's cache folder, as npm also finds it where $HOME is not set.
func CacheDir() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil {
		return dir, nil
	}
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	return filepath.Join(me.HomeDir, ".cache"), nil
}

// Cached gives what is kept under a key, or else makes it, in an empty folder that is removed afterwards, and keeps it. Others
// may do so at the same time: what is kept is whole.
func Cached(key string, make func(dir string) ([]byte, error)) ([]byte, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "idp", "testkit")
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(key))
	name := filepath.Join(cache, hex.EncodeToString(sum[:12]))
	if data, err := os.ReadFile(name); err == nil { // #nosec G304
		return data, nil
	}
	dir, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	data, err := make(dir)
	if err != nil {
		return nil, err
	}
	whole := filepath.Join(dir, "whole")
	if err := os.WriteFile(whole, data, 0o600); err != nil {
		return nil, err
	}
	return data, os.Rename(whole, name)
}
