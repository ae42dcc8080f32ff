package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/tools/again"
)

// programs are what is built: its name, the package that it is, and the folder of the module that pins it.
var programs = []struct{ name, pkg, module string }{
	{"fulcio", "github.com/sigstore/fulcio", "."},
	{"rekor-server", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", "."},
	{"ct-server", "github.com/transparency-dev/tesseract/cmd/tesseract/posix", "."},
	{"timestamp-server", "./timestamp-server", "."},
	{"cosign-v3", "github.com/sigstore/cosign/v3/cmd/cosign", "."},
	{"cosign-v2", "github.com/sigstore/cosign/v2/cmd/cosign", "cosign-v2"},
}

// binaries gives the folder of the programs, and builds them where that was not done yet, which takes minutes. The folder is
// named for the files that it is built from, and appears in one step, so it is never half of it.
func binaries(ctx context.Context, cache, source string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "timestamp-server/main.go", "cosign-v2/go.mod", "cosign-v2/go.sum"} {
		data, err := os.ReadFile(filepath.Join(source, name)) // #nosec G304 -- files of this repository
		if err != nil {
			return "", fmt.Errorf("%w: run this in the root of the repository, or give -source", err)
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data)
	}
	dir := filepath.Join(cache, "sigstore-"+hex.EncodeToString(hash.Sum(nil))[:12])
	return once(dir, func(partial string) error { return build(ctx, partial, source) })
}

// once gives the folder dir, which make fills the first time. Whoever comes second waits for the first.
func once(dir string, make func(partial string) error) (string, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.Mkdir(partial, 0o750); err != nil {
		return "", err
	}
	if err := make(partial); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}

func build(ctx context.Context, dir, source string) error {
	say("building Fulcio, Rekor, a CT log, a timestamp authority and two versions of cosign once; on 2 cores that takes about 4 minutes")
	begun := time.Now()
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, module := range []string{".", "cosign-v2"} {
		if err := again.Do(ctx, os.Stderr, func() error {
			_, err := output(ctx, filepath.Join(source, module), "go", "mod", "download")
			return err
		}); err != nil {
			return err
		}
	}
	for _, p := range programs {
		// #nosec G204 -- what is in the arguments comes from this file
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(full, p.name), p.pkg)
		cmd.Dir = filepath.Join(source, p.module)
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local"), os.Stderr, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that go takes its temporary files away
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build %s in %s: %w", p.pkg, cmd.Dir, err)
		}
	}
	say("built in %s", time.Since(begun).Round(time.Second))
	return nil
}

// debianRegistry gives the program docker-registry: that of this machine, or the one in Debian's package, which is unpacked
// in the cache and not installed. It is of a version that has no list of referrers, as many registries in use.
func debianRegistry(ctx context.Context, cache string) (string, error) {
	const name = "docker-registry"
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	dir, err := once(filepath.Join(cache, "sigstore-"+name), func(partial string) error {
		if err := download(ctx, partial, name); err != nil {
			return fmt.Errorf("%s is missing, and Debian's package cannot be had: install it first: %w", name, err)
		}
		files, err := filepath.Glob(filepath.Join(partial, name+"_*.deb"))
		if err != nil || len(files) != 1 {
			return errors.Join(fmt.Errorf("apt-get download gave %d files", len(files)), err)
		}
		_, err = output(ctx, partial, "dpkg-deb", "-x", files[0], partial)
		return err
	})
	return filepath.Join(dir, "usr", "bin", name), err
}

// download asks once more with new lists of packages, which only root can get.
func download(ctx context.Context, dir, name string) error {
	get := func() error { _, err := output(ctx, dir, "apt-get", "download", name); return err }
	if get() == nil {
		return nil
	}
	update := []string{"apt-get", "update"}
	if os.Geteuid() != 0 {
		update = append([]string{"sudo", "--non-interactive"}, update...)
	}
	if err := again.Do(ctx, os.Stderr, func() error { _, err := output(ctx, dir, update[0], update[1:]...); return err }); err != nil {
		return err
	}
	return again.Do(ctx, os.Stderr, get)
}

// output gives what a program prints; what it complains of is in the error.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- callers pass fixed programs
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
