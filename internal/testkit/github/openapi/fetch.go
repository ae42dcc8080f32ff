package openapi

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The package, its version and what its archive hashes to are those of this lock file.
//
//go:embed testdata/package-lock.json
var lockFile []byte

const (
	npmPackage = "@octokit/openapi"
	inArchive  = "package/generated/api.github.com.json" // 13 MB of the archive's 385 MB, and second in it
)

type pin struct{ Version, Integrity string }

func pinned() (pin, error) {
	var lock struct{ Packages map[string]pin }
	if err := json.Unmarshal(lockFile, &lock); err != nil {
		return pin{}, err
	}
	p, ok := lock.Packages["node_modules/"+npmPackage]
	if !ok || p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") {
		return pin{}, fmt.Errorf("the lock file does not pin %s", npmPackage)
	}
	return p, nil
}

// whole gives the entire description, from the cache or else from the registry.
func whole(cache string, p pin) ([]byte, error) {
	name := filepath.Join(cache, "github-openapi-"+p.Version+"-"+short(p.Integrity)+".json")
	if data, err := os.ReadFile(name); err == nil {
		return data, nil
	}
	tmp, err := os.MkdirTemp(cache, "github-openapi-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	// `npm ci` would unpack all of it.
	cmd := exec.Command("npm", "pack", npmPackage+"@"+p.Version, "--silent", "--pack-destination", tmp)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack %s@%s: %w\n%s", npmPackage, p.Version, err, out)
	}
	archives, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return nil, fmt.Errorf("npm pack %s@%s left %d archives: %w", npmPackage, p.Version, len(archives), err)
	}
	data, err := unpack(archives[0], p.Integrity)
	if err != nil {
		return nil, err
	}
	return data, keep(name, data)
}

func unpack(archive, integrity string) ([]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != integrity {
		return nil, fmt.Errorf("the archive of %s is %s, not %s of the lock file", npmPackage, got, integrity)
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
			return nil, fmt.Errorf("%s in the archive of %s: %w", inArchive, npmPackage, err)
		}
		if h.Name == inArchive {
			return io.ReadAll(files)
		}
	}
}

// keep writes a file of the cache whole or not at all, for other tests may run at the same time.
func keep(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(data); err != nil {
		_ = tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
