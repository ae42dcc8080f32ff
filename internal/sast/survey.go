package sast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// listed is what `go list -json` says about one package.
type listed struct {
	Dir, ImportPath           string
	GoFiles, CgoFiles         []string // scanned
	TestGoFiles, XTestGoFiles []string // left out
	IgnoredGoFiles            []string // left out
	InvalidGoFiles            []string // cannot be parsed
	Error                     *packageError
	DepsErrors                []packageError
	Module                    *struct{ GoVersion, Dir string }
}

// packageError is a problem that the go command has with a package or an import.
type packageError struct{ Pos, Err string }

const listFields = "Dir,ImportPath,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,InvalidGoFiles,Error,DepsErrors,Module"

// files are the absolute names of the files that a scan of the package has to see.
func (p listed) files() []string {
	var names []string
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		names = append(names, filepath.Join(p.Dir, name))
	}
	return names
}

// survey is what there is to scan, found without the loader that the scan itself uses.
type survey struct {
	root     string            // absolute, without symbolic links
	env      []string          // of the go command
	packages map[string]listed // by import path, those with Go files for this platform
	left     []string          // what is left out on purpose, and why
	gaps     []string          // files that are in no package and have no reason to be left out
}

// take walks the folder, asks the go command for its packages, and accounts for every .go file.
func take(ctx context.Context, dir, platform string) (survey, error) {
	s := survey{packages: map[string]listed{}}
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
	list, err := goList(ctx, s.root, s.env, "./...")
	if err != nil {
		return s, err
	}
	for _, p := range list {
		tree.settle(s.root, p)
		if len(p.GoFiles)+len(p.CgoFiles) > 0 || p.Error != nil {
			s.packages[p.ImportPath] = p
		}
	}
	if err := tree.settleUnlisted(ctx, s.root, s.env); err != nil {
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

// outside tells that the folder is only a part of a module: what the module has elsewhere is not this service's to scan.
func (s survey) outside() []string {
	for _, p := range s.packages {
		if p.Module == nil || p.Module.Dir == "" {
			continue
		}
		if rel, err := filepath.Rel(p.Module.Dir, s.root); err == nil && rel != "." && filepath.IsLocal(rel) {
			return []string{"the rest of the module, outside of " + filepath.ToSlash(rel)}
		}
	}
	return nil
}

// goList asks the go command about packages. Packages with problems are in the answer, with their Error.
func goList(ctx context.Context, root string, env []string, patterns ...string) ([]listed, error) {
	args := append([]string{"list", "-e", "-json=" + listFields, "--"}, patterns...)
	out, err := proc.Run(ctx, proc.Command{Dir: root, Env: env, Name: "go", Args: args})
	if err != nil {
		return nil, goFault(ctx, root, err)
	}
	var list []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fault.Undeterminedf("the answer of go list cannot be read: %w", err)
		}
		list = append(list, p)
	}
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
	if strings.Contains(err.Error(), "can't determine type sizes") {
		return fault.BadInputf("the platform is none that Go compiles for: %w", err).WithNext("List them: go tool dist list")
	}
	var e *proc.Error
	if !errors.As(err, &e) {
		return fault.Undeterminedf("the go command does not run: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(relative(root, e.Error())), "\n")
	head := strings.TrimPrefix(strings.TrimPrefix(lines[0], "go list: "), "go: ")
	if strings.Contains(head, "requires go >= ") {
		return fault.Undeterminedf("the module needs a newer Go than the one on the PATH: %s", head).
			WithNext("Install that version, or let go fetch it: GOTOOLCHAIN=auto.")
	}
	if strings.Contains(head, "does not contain main module") || strings.Contains(head, "go.mod file not found") {
		return fault.Undeterminedf("there is Go code here, but no go.mod, so go cannot tell what belongs to the service").
			WithNext("Make it a module: go mod init NAME && go mod tidy")
	}
	return fault.Undeterminedf("go cannot list the packages: %s", head).
		WithDetail(lines[1:]...).
		WithNext("See what go says: go list ./...")
}

func stopped(ctx context.Context) error {
	return fault.Undeterminedf("stopped before everything was scanned: %w", context.Cause(ctx))
}

// relative takes the folder's place on this machine out of a text.
func relative(root, text string) string {
	return strings.ReplaceAll(text, root+string(filepath.Separator), "")
}
