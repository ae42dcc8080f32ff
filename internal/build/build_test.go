package build_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
)

const commit = "4f1c2ab94f1c2ab94f1c2ab94f1c2ab94f1c2ab9"

var when = time.Date(2026, 3, 1, 12, 30, 0, 0, time.FixedZone("", 3600))

// write lays out files below dir.
func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plain is a service without dependencies but the standard library.
func plain() map[string]string {
	return map[string]string{
		"go.mod":  "module example.com/plain\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"plain\") }\n",
	}
}

func inputs(t *testing.T, dir string) build.Inputs {
	t.Helper()
	return build.Inputs{Dir: dir, Out: filepath.Join(t.TempDir(), "out"), Service: "plain", Port: 8080, Repository: "acme/plain",
		Source: "git@github.com:acme/plain.git", Commit: commit, Time: when, Ref: "refs/heads/main", Version: "v1.2.3"}
}

func deps(extra ...string) build.Deps {
	return build.Deps{Environ: append(os.Environ(), extra...), Uncommitted: clean}
}

func clean(context.Context, []string, map[string]bool) ([]string, error) { return nil, nil }

// fails asserts the kind of an error and words that its lines must have, and that nothing was left in the folder.
func fails(t *testing.T, in build.Inputs, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind %d, want %d: %v", got, kind, err)
	}
	text := strings.Join(fault.Lines(err), "\n")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
	if entries, _ := os.ReadDir(in.Out); len(entries) > 0 {
		t.Errorf("%s was left in the output folder", entries[0].Name())
	}
}

func TestSameCommitSameDigest(t *testing.T) {
	t.Parallel()
	var images, sboms []string
	for _, dir := range []string{write(t, t.TempDir(), plain()), write(t, filepath.Join(t.TempDir(), "elsewhere", "deep"), plain())} {
		for range 2 {
			in := inputs(t, dir)
			out, err := build.Run(t.Context(), in, deps())
			if err != nil {
				t.Fatal(err)
			}
			sbom, err := os.ReadFile(out.Evidence.SBOM)
			if err != nil {
				t.Fatal(err)
			}
			images, sboms = append(images, out.Evidence.Digest), append(sboms, string(sbom))
		}
	}
	for i := range images {
		if images[i] != images[0] || sboms[i] != sboms[0] {
			t.Errorf("build %d: %s, the first: %s; SBOMs equal: %t", i, images[i], images[0], sboms[i] == sboms[0])
		}
	}
	in := inputs(t, write(t, t.TempDir(), plain()))
	in.Commit = strings.Repeat("ab", 20)
	if out, err := build.Run(t.Context(), in, deps()); err != nil || out.Evidence.Digest == images[0] {
		t.Errorf("another commit has digest %s, %v", out.Evidence.Digest, err)
	}
}

func TestSecondBuildReplacesTheFirst(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), plain())
	in := inputs(t, dir)
	first, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"main.go": "package main\n\nfunc main() { println(\"other\") }\n"})
	second, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(err)
	}
	if first.Evidence.Digest == second.Evidence.Digest {
		t.Error("another program has the same digest")
	}
	var names []string
	entries, err := os.ReadDir(in.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "image sbom.cdx.json sbom.spdx.json" {
		t.Errorf("the output folder has %s", got)
	}
	blobs, err := os.ReadDir(filepath.Join(in.Out, "image", "blobs", "sha256"))
	if err != nil || len(blobs) != 4 { // manifest, configuration, two layers
		t.Errorf("%d blobs, want 4 of the second build alone; %v", len(blobs), err)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		set   func(*build.Inputs)
		words []string
	}{
		"no go.mod":         {map[string]string{"main.go": "package main\n"}, nil, []string{"no go.mod", "Go services", "go mod init", "--dockerfile Dockerfile"}},
		"a library":         {map[string]string{"go.mod": plain()["go.mod"], "a.go": "package lib\n"}, nil, []string{"main: .", "package lib", "main: cmd/plain"}},
		"no such folder":    {plain(), func(in *build.Inputs) { in.Main = "cmd/none" }, []string{"main: cmd/none", "no such folder"}},
		"no Go files":       {map[string]string{"go.mod": plain()["go.mod"], "cmd/x/README": "x"}, func(in *build.Inputs) { in.Main = "./cmd/x" }, []string{"main: cmd/x", "no Go files"}},
		"main leads out":    {plain(), func(in *build.Inputs) { in.Main = "../other" }, []string{`"../other"`, "main: cmd/plain"}},
		"platform's form":   {plain(), func(in *build.Inputs) { in.Platform = "linux" }, []string{`platform "linux"`, "linux/arm64"}},
		"unknown platform":  {plain(), func(in *build.Inputs) { in.Platform = "linux/z80" }, []string{"linux/z80", "go tool dist list"}},
		"tests only":        {map[string]string{"go.mod": plain()["go.mod"], "a_test.go": "package main\n"}, nil, []string{"main: ."}},
		"excluded by a tag": {map[string]string{"go.mod": plain()["go.mod"], "a.go": "//go:build never\n\npackage main\n"}, nil, []string{"main: ."}},
		"go.mod above repo": {map[string]string{"go.mod": plain()["go.mod"], "repo/main.go": plain()["main.go"]}, func(in *build.Inputs) { in.Dir = filepath.Join(in.Dir, "repo") }, []string{"no go.mod"}},
		"main is a file":    {plain(), func(in *build.Inputs) { in.Main = "main.go" }, []string{"main: main.go", "no such folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, write(t, t.TempDir(), c.files))
			if c.set != nil {
				c.set(&in)
			}
			_, err := build.Run(t.Context(), in, deps())
			fails(t, in, err, fault.BadInput, c.words...)
		})
	}
}

func TestNotCompilingIsNotDetermined(t *testing.T) {
	t.Parallel()
	many := "package main\n\nfunc main() {\n" + strings.Repeat("\tundefinedThing()\n", 30) + "}\n"
	for name, c := range map[string]struct {
		files map[string]string
		first string
		next  string
	}{
		"type error":          {map[string]string{"main.go": "package main\n\nfunc main() { missing() }\n"}, "main.go:3:15: undefined: missing", "go build ./..."},
		"syntax error":        {map[string]string{"main.go": "package main\n\nfunc main() {\n"}, "main.go:4:1: syntax error: unexpected EOF", "go build ./..."},
		"many errors":         {map[string]string{"main.go": many}, "main.go:4:2: undefined: undefinedThing", "go build ./..."},
		"in a package":        {map[string]string{"main.go": "package main\n\nimport \"example.com/plain/x\"\n\nfunc main() { x.X() }\n", "x/x.go": "package x\n\nfunc X() { y() }\n"}, "x/x.go:3:12: undefined: y", "go build ./..."},
		"module not required": {map[string]string{"main.go": "package main\n\nimport _ \"example.org/none/at/all\"\n\nfunc main() {}\n"}, "main.go:3:8: cannot find module providing package example.org/none/at/all", "go mod tidy"},
		"broken go.mod":       {map[string]string{"go.mod": "module example.com/plain\n\nrequire nonsense\n"}, "go.mod:3", "go build ./..."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := plain()
			for k, v := range c.files {
				files[k] = v
			}
			in := inputs(t, write(t, t.TempDir(), files))
			out, err := build.Run(t.Context(), in, deps())
			fails(t, in, err, fault.Undetermined, "does not compile", c.first, c.next)
			if err != nil && !strings.Contains(err.Error(), c.first) {
				t.Errorf("the headline %q does not name the first error", err)
			}
			var e *fault.Error
			if errors.As(err, &e) && len(e.Detail) > 11 {
				t.Errorf("%d lines of detail", len(e.Detail))
			}
			if out.Tool.Version == "" {
				t.Error("the outputs do not say which toolchain it was")
			}
		})
	}
}

// moduleNeeding requires a module that is in no cache.
func moduleNeeding() map[string]string {
	return map[string]string{
		"go.mod": "module example.com/plain\n\ngo 1.26\n\nrequire example.org/absent v1.4.2\n",
		"go.sum": "example.org/absent v1.4.2 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\n" +
			"example.org/absent v1.4.2/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n",
		"main.go": "package main\n\nimport _ \"example.org/absent\"\n\nfunc main() {}\n",
	}
}

func TestNetworkThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ proxy, headline string }{
		"refused": {"https://robot:hunter2@127.0.0.1:1", "module example.org/absent v1.4.2 cannot be fetched"},
		"off":     {"off", "the module of package example.org/absent cannot be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, write(t, t.TempDir(), moduleNeeding()))
			_, err := build.Run(t.Context(), in, deps("GOPROXY="+c.proxy, "GOFLAGS="))
			fails(t, in, err, fault.Undetermined, c.headline, "GOPROXY")
			if text := strings.Join(fault.Lines(err), "\n"); strings.Contains(text, "hunter2") || strings.Contains(text, "robot") {
				t.Errorf("credentials are shown:\n%s", text)
			}
		})
	}
}

func TestGoModIsNotChanged(t *testing.T) {
	t.Parallel()
	files := plain()
	files["main.go"] = "package main\n\nimport _ \"example.com/lib\"\n\nfunc main() {}\n"
	files["go.mod"] += "\nreplace example.com/lib => ./lib\n"
	files["lib/go.mod"] = "module example.com/lib\n"
	files["lib/lib.go"] = "package lib\n"
	in := inputs(t, write(t, t.TempDir(), files))
	_, err := build.Run(t.Context(), in, deps("GOFLAGS=-mod=mod"))
	fails(t, in, err, fault.Undetermined, "does not compile")
	after, err := os.ReadFile(filepath.Join(in.Dir, "go.mod"))
	if err != nil || string(after) != files["go.mod"] {
		t.Errorf("go.mod became:\n%s%v", after, err)
	}
}

func TestOutputFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	in := inputs(t, write(t, t.TempDir(), plain()))
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), map[string]string{"file": ""})
	in.Out = filepath.Join(file, "out")
	_, err := build.Run(t.Context(), in, deps())
	fails(t, in, err, fault.BadInput, in.Out, "--out DIR")
}

func TestNoGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	in := inputs(t, write(t, t.TempDir(), plain()))
	_, err := build.Run(t.Context(), in, deps())
	fails(t, in, err, fault.Undetermined, "go does not run", "https://go.dev/dl/")
}

func TestGoThatFails(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Setenv("PATH", "") // no shell scripts there; no go either is the same to the caller
	} else {
		bin := t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\nexit 7\n"), 0o755); err != nil { // it must be executable
			t.Fatal(err)
		}
		t.Setenv("PATH", bin)
	}
	in := inputs(t, write(t, t.TempDir(), plain()))
	_, err := build.Run(t.Context(), in, deps())
	fails(t, in, err, fault.Undetermined, "go")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"reading the module", "compiling", "putting the image together"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			d := deps()
			d.Progress = func(what string) {
				if what == at {
					cancel()
				}
			}
			in := inputs(t, write(t, t.TempDir(), plain()))
			_, err := build.Run(ctx, in, d)
			fails(t, in, err, fault.Undetermined)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The toolchain runs programs that a module's author may choose, such as a credential helper, so it is handed no secret.
func TestSecretsDoNotReachTheCompiler(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the spy is a shell script
	}
	dir := write(t, t.TempDir(), plain())
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	spies, seen := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	spy := "#!/bin/sh\nenv >> '" + seen + "'\nexec '" + real + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(spies, "go"), []byte(spy), 0o755); err != nil { // it must be executable
		t.Fatal(err)
	}
	t.Setenv("PATH", spies+string(filepath.ListSeparator)+os.Getenv("PATH"))
	in := inputs(t, dir)
	out, err := build.Run(t.Context(), in, deps("GITHUB_TOKEN=ghs_x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=y", "COSIGN_PASSWORD=z"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(text), "CGO_ENABLED=0") {
		t.Fatalf("the compiler was not watched: %v", err)
	}
	for _, name := range []string{"GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "COSIGN_PASSWORD"} {
		if strings.Contains(string(text), name) {
			t.Errorf("%s reached the compiler", name)
		}
	}
	if out.Evidence.Digest == "" {
		t.Error("no digest")
	}
}

// TestHello builds the sample service.
func TestHello(t *testing.T) {
	t.Parallel()
	in := inputs(t, filepath.Join("..", "..", "testdata", "services", "hello"))
	in.Service, in.Path, in.Platform = "hello", "testdata/services/hello", runtime.GOOS+"/"+runtime.GOARCH
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	b := out.Evidence
	// Three modules, the program's own and the standard library.
	if b.Components != 5 || len(b.Materials) != 4 {
		t.Errorf("%d components, %d materials", b.Components, len(b.Materials))
	}
	sums, err := os.ReadFile(filepath.Join(in.Dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range b.Materials[:3] {
		if m.Sum == "" || !strings.Contains(string(sums), m.Sum) {
			t.Errorf("%s has sum %q, which is not in go.sum", m.URI, m.Sum)
		}
	}
	want := strings.TrimPrefix(strings.Fields(goTool(t, "env", "GOVERSION"))[0], "go")
	if b.Go != want || out.Tool.Version != want {
		t.Errorf("toolchain %s, want %s", b.Go, want)
	}
	if !strings.HasPrefix(out.Summary, b.Digest[:11]+"…") || !strings.HasSuffix(out.Summary, " MB · 5 modules in the SBOM") {
		t.Errorf("summary %q", out.Summary)
	}
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join("..", "..", "testdata", "services", "hello")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
