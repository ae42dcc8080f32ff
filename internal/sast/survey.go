package sast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gosource"
	"github.com/org/idp/internal/proc"
)

// survey is what there is to scan, found without the loader that the scan itself uses.
type survey struct {
	root     string                      // absolute, without symbolic links
	env      []string                    // of the go command
	tool     string                      // version of the go command
	sizes    types.Sizes                 // of the platform
	packages map[string]gosource.Package // by import path, those with Go files for this platform
	list     []gosource.Package          // all of them and what they import, dependencies first
	left     []string                    // what is left out on purpose, and why
	gaps     []string                    // files that are in no package and have no reason to be left out
}

// take walks the folder, asks the go command for its packages, and accounts for every .go file.
func take(ctx context.Context, dir, platform string) (survey, error) {
	s := survey{packages: map[string]gosource.Package{}}
	abs, err := filepath.Abs(dir)
	if err == nil {
		s.root, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return s, fault.BadInputf("service folder %s: %w", dir, err)
	}
	if s.env, err = environ(s.root, platform); err != nil {
		return s, err
	}
	tree, err := walk(ctx, s.root)
	if err != nil {
		return s, err
	}
	if reason := tree.nothing(); reason != "" {
		s.left = tree.reasons()
		return s, fault.Skipf("%s", reason)
	}
	if err := s.listPackages(ctx, tree); err != nil {
		return s, err
	}
	s.left = append(tree.reasons(), s.outside()...)
	for _, name := range tree.unaccounted() {
		s.gaps = append(s.gaps, name+": in no package that go lists")
	}
	if len(s.packages) > 0 {
		return s, nil
	}
	if tree.onlyTests() {
		return s, fault.Skipf("the module has tests only, no Go code that runs in a service")
	}
	return s, fault.Undeterminedf("go lists no package for this platform, though there is Go code").
		WithDetail(append(s.left, s.gaps...)...).
		WithNext("Give the platform that the service is built for, such as --platform linux/arm64, and its tags, such as GOFLAGS=-tags=…")
}

// listPackages asks the go command for the packages of the service and what they import, and settles which files they are made of.
func (s *survey) listPackages(ctx context.Context, tree *tree) (err error) {
	if err := s.ask(ctx); err != nil {
		return err
	}
	if s.list, err = goList(ctx, s.root, s.env, []string{"-deps"}, "./..."); err != nil {
		return err
	}
	for i := range s.list {
		p := &s.list[i]
		p.DepOnly = p.DepOnly && !s.own(*p)
	}
	for _, p := range s.list {
		if p.DepOnly {
			continue
		}
		if p.Dir == "" && p.Error != nil {
			return notFound(p.Error.Err)
		}
		tree.settle(s.root, p)
		if len(p.GoFiles)+len(p.CgoFiles) > 0 || p.Error != nil {
			s.packages[p.ImportPath] = p
		}
	}
	if err := s.runCgo(ctx); err != nil {
		return err
	}
	return tree.settleUnlisted(ctx, s.root, s.env)
}

// runCgo lets go write the Go code behind C, for the packages of the service that have some: nothing else knows its types.
func (s survey) runCgo(ctx context.Context) error {
	var paths []string
	for path, p := range s.packages {
		if len(p.CgoFiles) > 0 {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	env, remove, err := proc.GoTemp(s.env)
	if err != nil {
		return err
	}
	defer remove()
	list, err := goList(ctx, s.root, env, []string{"-compiled"}, paths...)
	for _, p := range list {
		s.packages[p.ImportPath] = p
	}
	return err
}

// own tells whether a package that the pattern ./... passes over is the service's all the same: code in its folder that it is
// compiled with, whether in testdata, in a folder that go.mod says to ignore, behind a symbolic link, or in a module of its own
// that replace or go.work leads to.
func (s survey) own(p gosource.Package) bool {
	rel, err := filepath.Rel(s.root, p.Dir)
	return err == nil && filepath.IsLocal(rel) && p.Module.Local() && !strings.HasPrefix(filepath.ToSlash(rel)+"/", "vendor/")
}

// outside names code that the service has elsewhere: the rest of its module, where the folder is only a part of one, and local
// modules that it is compiled with. That is not this service's to scan.
func (s survey) outside() []string {
	var lines []string
	for _, p := range s.list {
		if p.Dir == "" || !p.Module.Local() || p.Module.Dir == "" {
			continue
		}
		rel, err := filepath.Rel(s.root, p.Module.Dir)
		if err != nil || filepath.IsLocal(rel) {
			continue
		}
		line := "a module outside of the folder that it is compiled with: " + p.Module.Path
		if part, err := filepath.Rel(p.Module.Dir, s.root); err == nil && filepath.IsLocal(part) {
			line = "the rest of the module, outside of " + filepath.ToSlash(part)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// goList asks the go command about packages. Packages with problems are in the answer, with their Error.
func goList(ctx context.Context, root string, env, flags []string, patterns ...string) ([]gosource.Package, error) {
	args := slices.Concat([]string{"list", "-e", "-json=" + gosource.Fields}, flags, []string{"--"}, patterns)
	env = slices.Concat([]string{"GOGC=400"}, env) // what the user has set comes later; go takes a quarter less time, and little memory
	out, err := proc.Run(ctx, proc.Command{Dir: root, Env: env, Name: "go", Args: args})
	if err != nil {
		return nil, goFault(ctx, root, err)
	}
	var list []gosource.Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p gosource.Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fault.Undeterminedf("the answer of go list cannot be read: %w", err)
		}
		list = append(list, p)
	}
}

// ask asks the go command for its version and its platform.
func (s *survey) ask(ctx context.Context) error {
	out, err := proc.Run(ctx, proc.Command{Dir: s.root, Env: s.env, Name: "go", Args: []string{"env", "GOARCH", "GOVERSION"}})
	if err != nil {
		return goFault(ctx, s.root, err)
	}
	arch, tool, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	s.tool = tool
	if s.sizes = types.SizesFor("gc", arch); s.sizes == nil {
		return fault.BadInputf("the platform is none that Go compiles for: GOARCH %s", arch).WithNext("List them: go tool dist list")
	}
	return nil
}

// environ is the user's environment, for the platform that build compiles for where that is given. PWD makes go name files
// below the resolved folder, and a packages driver would answer in go's place.
func environ(root, platform string) ([]string, error) {
	env := append(os.Environ(), "PWD="+root, "GOPACKAGESDRIVER=off")
	if platform == "" {
		return env, nil
	}
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok || goos == "" || goarch == "" || strings.Contains(goarch, "/") {
		return nil, fault.BadInputf("platform %q is not OS/ARCH, such as linux/arm64", platform)
	}
	return append(env, "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch), nil
}

// goFault says why the go command could not tell what is in the module.
func goFault(ctx context.Context, root string, err error) error {
	if ctx.Err() != nil {
		return stopped(ctx)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fault.Undeterminedf("go is not on the PATH, so the Go code cannot be scanned").
			WithNext("Install it: https://go.dev/doc/install; in a workflow, put actions/setup-go before this step.")
	}
	var e *proc.Error
	if !errors.As(err, &e) {
		return fault.Undeterminedf("the go command does not run: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(relative(root, e.Error())), "\n")
	if len(lines) > 1 && strings.HasPrefix(lines[0], "go list: go: warning: ") {
		lines = lines[1:]
	}
	head := strings.TrimPrefix(strings.TrimPrefix(lines[0], "go list: "), "go: ")
	if strings.Contains(head, "requires go >= ") {
		return fault.Undeterminedf("the module needs a newer Go than the one on the PATH: %s", head).
			WithNext("Install that version, or let go fetch it: GOTOOLCHAIN=auto.")
	}
	if strings.Contains(head, "does not contain main module") || strings.Contains(head, "go.mod file not found") {
		return notFound(head)
	}
	return fault.Undeterminedf("go cannot list the packages: %s", head).
		WithDetail(lines[1:]...).
		WithNext("See what go says: go list ./...")
}

// notFound is when go has no module for the folder.
func notFound(said string) error {
	if strings.Contains(said, "go.work") {
		return fault.Undeterminedf("go does not find the module: %s", said).
			WithNext("Add it to the workspace, go work use FOLDER, or do without: GOWORK=off")
	}
	return fault.Undeterminedf("there is Go code here, but no go.mod, so go cannot tell what belongs to the service").
		WithNext("Make it a module: go mod init NAME && go mod tidy")
}

func stopped(ctx context.Context) *fault.Error {
	return fault.Undeterminedf("stopped before everything was scanned: %w", context.Cause(ctx))
}

// relative takes the folder's place on this machine out of a text.
func relative(root, text string) string {
	text = strings.ReplaceAll(text, root+string(filepath.Separator), "")
	return strings.ReplaceAll(text, root+":", ".:")
}
