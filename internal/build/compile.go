package build

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/license"
	"github.com/org/idp/internal/proc"
	"github.com/org/idp/internal/record"
)

// program is a compiled service and what it is made of.
type program struct {
	file       string
	goVersion  string // without "go"
	parameters []string
	modules    []module // the program's own first, then by path, the standard library last
	made       compiled
}

// toolchain calls go in the service's folder.
type toolchain struct {
	dir string
	env []string
}

// flags make the output depend on the commit and the toolchain alone: no paths, no build ID, no state of the checkout.
var flags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}

// compile builds the program into the folder to.
func compile(ctx context.Context, in Inputs, deps Deps, reader *license.Reader, to string) (program, error) {
	var p program
	env, remove, err := proc.GoTemp(environ(deps.Environ, "CGO_ENABLED=0", "GOOS="+in.os(), "GOARCH="+in.arch(),
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C"))
	if err != nil {
		return p, err
	}
	defer remove()
	g := toolchain{dir: in.Dir, env: env}
	deps.Progress("reading the module")
	governing, mode, err := g.module(ctx, in, &p)
	if err != nil {
		return p, err
	}
	packages, err := g.packages(ctx, in, mode, "./"+in.Main)
	if err != nil {
		return p, err
	}
	p.made = compiledFrom(packages, governing, mode)
	deps.Progress("compiling")
	licences := licensing(ctx, in, reader, packages, mode) // while the compiler is waited for
	if err := g.build(ctx, in, mode, to, &p); err != nil {
		return p, err
	}
	info, err := buildinfo.ReadFile(p.file)
	if err != nil {
		return p, fault.Undeterminedf("the program says nothing of the modules in it: %w", err)
	}
	p.parameters = append([]string{mode}, flags...)
	for _, s := range info.Settings { // among them every GO* variable and tag that shaped the program
		if !strings.HasPrefix(s.Key, "vcs") && !slices.Contains(p.parameters, s.Key+"="+s.Value) && s.Key != "-trimpath" && s.Key != "-ldflags" {
			p.parameters = append(p.parameters, s.Key+"="+s.Value)
		}
	}
	if p.modules, err = linked(in, info, packages); err != nil {
		return p, err
	}
	return p, p.license(<-licences)
}

// build compiles the program.
func (g *toolchain) build(ctx context.Context, in Inputs, mode, to string, p *program) error {
	p.file = filepath.Join(to, filepath.Base(in.Service))
	args := append([]string{"build", mode}, flags...)
	stdout, err := g.run(ctx, append(args, "-json", "-o", p.file, "./"+in.Main)...)
	if err != nil {
		return broken(err, buildOutput(stdout))
	}
	return nil
}

// vendored is the flag that takes modules from the folder vendor, readonly the one that takes them from the cache.
const (
	vendored = "-mod=vendor"
	readonly = "-mod=readonly"
)

// module finds the module or workspace file that governs the service's folder, and the flag that keeps it as it is. One
// outside of the repository would make the image depend on more than the commit.
func (g *toolchain) module(ctx context.Context, in Inputs, p *program) (governing, mode string, err error) {
	stdout, err := g.run(ctx, "env", "-json", "GOMOD", "GOWORK", "GOVERSION", "GOFLAGS")
	if err != nil {
		return "", "", broken(err, nil)
	}
	var env struct{ GOMOD, GOWORK, GOVERSION, GOFLAGS string }
	if err := json.Unmarshal(stdout, &env); err != nil {
		return "", "", fault.Undeterminedf("go env gave no JSON: %w", err)
	}
	p.goVersion, _, _ = strings.Cut(strings.TrimPrefix(env.GOVERSION, "go"), " ")
	if err := checkFlags(env.GOFLAGS); err != nil {
		return "", "", err
	}
	if !within(in.root(), env.GOMOD) {
		return "", "", fault.BadInputf("there is no go.mod in %s or above it in the repository; build makes images of Go services", in.Dir).
			WithNext("For a Go service: go mod init MODULE && go mod tidy, then commit go.mod and go.sum",
				"For any other: --dockerfile Dockerfile, or --image with one that was built before; docs/build.md says what each of them needs")
	}
	governing = env.GOMOD
	if env.GOWORK != "" && env.GOWORK != "off" {
		if within(in.root(), env.GOWORK) {
			governing = env.GOWORK
		} else {
			g.env = append(g.env, "GOWORK=off")
		}
	}
	if record.Exists(filepath.Join(filepath.Dir(governing), "vendor", "modules.txt")) {
		return governing, vendored, nil
	}
	return governing, readonly, nil
}

// within tells whether file is below dir, also when either is named through a symlink.
func within(dir, file string) bool {
	if !filepath.IsAbs(file) || file == os.DevNull {
		return false
	}
	realDir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	realFile, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(realDir, realFile)
	return err == nil && filepath.IsLocal(rel)
}

// listed is a package as go list shows it.
type listed struct {
	ImportPath, Name, Dir                          string
	GoFiles, SFiles, HFiles, SysoFiles, EmbedFiles []string
	Standard, DepOnly                              bool
	Imports                                        []string
	ImportMap                                      map[string]string
	Module                                         *listedModule
	Error                                          *struct{ Err string }
}

const listFields = "ImportPath,Name,Dir,GoFiles,SFiles,HFiles,SysoFiles,EmbedFiles,Standard,DepOnly,Imports,ImportMap,Module,Error"

// listedModule is the module of a package.
type listedModule struct {
	Path, Version, GoMod string
	Replace              *listedModule
}

// fixed tells whether the code is that of a version, which cannot change.
func (m *listedModule) fixed() bool {
	if m == nil {
		return false
	}
	if m.Replace != nil {
		m = m.Replace
	}
	return m.Version != ""
}

// packages lists the program's package and all that it imports, and makes sure that it is a program.
func (g *toolchain) packages(ctx context.Context, in Inputs, mode, main string) ([]listed, error) {
	if info, err := os.Stat(filepath.Join(in.Dir, filepath.FromSlash(in.Main))); err != nil || !info.IsDir() {
		return nil, noProgram(in, "there is no such folder")
	}
	stdout, err := g.run(ctx, "list", mode, "-e", "-deps", "-json="+listFields, main)
	if err != nil {
		return nil, broken(err, nil)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var one listed
		err := d.Decode(&one)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fault.Undeterminedf("go list gave no JSON: %w", err)
		}
		all = append(all, one)
	}
	i := slices.IndexFunc(all, func(l listed) bool { return !l.DepOnly })
	switch {
	case i < 0:
		return nil, noProgram(in, "it has no Go package")
	case all[i].Name == "" && all[i].Error != nil:
		return nil, noProgram(in, firstLine(all[i].Error.Err))
	case all[i].Name != "main":
		return nil, noProgram(in, "it is package "+all[i].Name)
	case len(all[i].GoFiles) == 0:
		return nil, noProgram(in, "it has no Go files for "+in.Platform+" but tests or cgo")
	}
	return all, nil
}

func noProgram(in Inputs, why string) error {
	return fault.BadInputf("main: %s is not a program: %s", in.Main, why).
		WithNext("Name the folder of package main in idp.yaml, such as main: cmd/" + in.Service)
}

func (g *toolchain) run(ctx context.Context, args ...string) ([]byte, error) {
	return proc.Run(ctx, proc.Command{Dir: g.dir, Env: g.env, Name: "go", Args: args})
}

// said is one line of the compiler and the package that it is about.
type said struct{ pkg, line string }

// buildOutput is what the compiler said, from the events of go build -json; see go help buildjson.
func buildOutput(stdout []byte) []said {
	var all []said
	for d := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var event struct{ Action, ImportPath, Output string }
		if err := d.Decode(&event); err != nil {
			return all
		}
		if event.Action == "build-output" {
			for _, l := range lines(event.Output) {
				all = append(all, said{event.ImportPath, l})
			}
		}
	}
}

func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			all = append(all, line)
		}
	}
	return all
}

func firstLine(text string) string {
	if all := lines(text); len(all) > 0 {
		return strings.TrimSpace(all[0])
	}
	return text
}

// stderr is what a failed tool wrote there.
func stderr(e *proc.Error) []said {
	var all []said
	for _, l := range lines(e.Stderr) {
		all = append(all, said{line: l})
	}
	return all
}
