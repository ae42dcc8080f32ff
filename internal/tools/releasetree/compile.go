package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/proc"
)

// fixed are variables that would change the program and that a machine may have set.
var fixed = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off", "GOTOOLCHAIN=local"}

const tags = "grpcnotrace"

// compile makes the program for every platform and the SBOM of what the linker put into them.
func (t tree) compile(ctx context.Context) error {
	if err := t.folder("dist"); err != nil {
		return err
	}
	at, err := t.time(ctx)
	if err != nil {
		return err
	}
	var programs []build.Program
	for _, platform := range t.platforms {
		p, err := t.program(ctx, platform)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		programs = append(programs, p)
	}
	version := t.version
	if version == "" {
		version = "devel"
	}
	sbom, err := build.ReleaseBOM(version, at, programs)
	if err != nil {
		return err
	}
	return t.write(sbomFile, sbom)
}

// program compiles one platform. The flags are those of `make build`, so both share the compiler's cache.
func (t tree) program(ctx context.Context, platform string) (build.Program, error) {
	system, arch, ok := strings.Cut(platform, "/")
	if !ok {
		return build.Program{}, fmt.Errorf("a platform is OS/ARCH, such as %s", platforms[0])
	}
	name := "dist/idp-" + system + "-" + arch
	if system == "windows" {
		name += ".exe"
	}
	file, err := filepath.Abs(filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil {
		return build.Program{}, err
	}
	flags := "-s -w -buildid="
	if t.version != "" {
		flags += " -X github.com/org/idp/internal/app/cli.version=" + t.version
	}
	environ := append(append(os.Environ(), fixed...), "GOOS="+system, "GOARCH="+arch)
	_, err = proc.Run(ctx, proc.Command{Dir: t.source, Env: environ,
		Name: "go", Args: []string{"build", "-tags", tags, "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file, "./cmd/idp"}})
	if err != nil {
		return build.Program{}, err
	}
	if err := os.Chmod(file, 0o755); err != nil { // #nosec G302 -- a program, published to everyone
		return build.Program{}, err
	}
	p := build.Program{Name: name}
	if p.SHA256, err = digestOf(file); err != nil {
		return p, err
	}
	if p.Info, err = buildinfo.ReadFile(file); err != nil {
		return p, err
	}
	p.Of, err = build.Licences(ctx, t.source, "cmd/idp", append(environ, "GOFLAGS=-tags="+tags))
	return p, err
}

// time is that of the commit, the only time in the tree.
func (t tree) time(ctx context.Context) (time.Time, error) {
	out, err := proc.Run(ctx, proc.Command{Dir: t.source, Name: "git", Args: []string{"log", "-1", "--format=%cI"}})
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(out)))
}
