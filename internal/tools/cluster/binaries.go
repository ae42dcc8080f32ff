//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/tools/again"
)

// binaries gives the folder of the programs of Kubernetes, and builds them where that was not done yet, which takes
// minutes. The folder is named for the files that it is built from, and appears in one step, so it is never half of it.
func binaries(ctx context.Context, cache, source string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", filepath.Join("pause", "main.go")} {
		data, err := os.ReadFile(filepath.Join(source, name)) // #nosec G304 -- files of this repository
		if err != nil {
			return "", fmt.Errorf("%w: run this in the root of the repository, or give -source", err)
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data)
	}
	dir := filepath.Join(cache, "cluster-"+hex.EncodeToString(hash.Sum(nil))[:12])
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock") // whoever comes second waits for the first instead of building too
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, build(ctx, dir, source)
}

func build(ctx context.Context, dir, source string) error {
	if err := again.Do(ctx, os.Stderr, func() error { _, err := output(ctx, source, "go", "mod", "download"); return err }); err != nil {
		return err
	}
	version, err := output(ctx, source, "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	say("building Kubernetes %s once; on 2 cores that takes about 7 minutes", version)
	begun := time.Now()
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	const x = " -X k8s.io/component-base/version."
	ldflags := "-s -w" + x + "gitVersion=" + version + x + "gitMajor=" + major + x + "gitMinor=" + minor
	// #nosec G204 -- what is in the arguments comes from files of this repository
	cmd := exec.CommandContext(ctx, "go", "build", "-p", "2", "-trimpath", "-buildvcs=false", "-ldflags", ldflags,
		"-o", partial+string(filepath.Separator), "tool", "./pause")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = source, append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local"), os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that go takes its temporary files away
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build in %s: %w", source, err)
	}
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	say("built in %s: %s", time.Since(begun).Round(time.Second), dir)
	return nil
}

// output gives what a program prints; what it complains of is in the error.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- callers pass fixed programs
	cmd.Dir, cmd.Stderr = dir, io.Writer(&stderr)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// say tells a person what is going on. Standard output is the command's.
func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...) }
