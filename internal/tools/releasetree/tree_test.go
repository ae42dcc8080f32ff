package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const source = "../../.."

// TestTree lays out a release for this machine, as `make release-tree` does, and looks at it as a workflow would.
func TestTree(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-source", source, "-out", dir, "-version", "v9.8.7", "-platforms", "host"}, &out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	program := "dist/idp-" + runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	names := actions(t)
	wantFiles(t, dir, names, program)
	for _, name := range append(names, "") {
		wantEntries(t, dir, name)
	}
	wantChecksums(t, dir)
	wantBOM(t, dir, program)

	said, err := exec.Command(filepath.Join(dir, program), "version").Output()
	if err != nil || !strings.HasPrefix(string(said), "idp v9.8.7 ") {
		t.Errorf("version says %q, %v", said, err)
	}
	// Without idp.yaml the action refuses with exit code 2, which only the program can have decided.
	cmd := exec.Command("node", filepath.Join(dir, "dist", "deploy.js"))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "INPUT_TARGET=local", "GITHUB_ACTIONS=", "RUNNER_TEMP=")
	refused, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !bytes.Contains(refused, []byte("idp.yaml")) {
		t.Errorf("exit code %d, %v: %s", cmd.ProcessState.ExitCode(), err, refused)
	}
}

// actions are the names of the repository's actions but the root one.
func actions(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(source, "actions"))
	if err != nil || len(entries) < 10 {
		t.Fatalf("%d actions, %v", len(entries), err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantFiles wants exactly the files of a release, each with its mode.
func wantFiles(t *testing.T, dir string, names []string, program string) {
	t.Helper()
	want := []string{"action.yml", "LICENSE", "README.md", ".github/workflows/golden-path.yml", "dist/idp.js", "dist/path.js",
		"dist/path-post.js", "dist/deploy-post.js", "dist/checksums.txt", "dist/sbom.cdx.json", program}
	for _, name := range names {
		want = append(want, name+"/action.yml", name+"/README.md", "dist/"+name+".js")
	}
	var got []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, file)
		mode := fs.FileMode(0o644)
		if d.IsDir() || filepath.ToSlash(name) == program {
			mode = 0o755
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != mode && file != dir {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
		if !d.IsDir() {
			got = append(got, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("files\n%q, want\n%q", got, want)
	}
}

// wantEntries wants the files that an action.yml names to be there and to hand the action's own name to the shim.
func wantEntries(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Runs struct{ Using, Main, Post string }
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	action := name
	if name == "" {
		action = "path"
	}
	if doc.Runs.Using != "node24" || doc.Runs.Main == "" {
		t.Errorf("%s: %+v", action, doc.Runs)
	}
	for entry, file := range map[string]string{"main": doc.Runs.Main, "post": doc.Runs.Post} {
		if file == "" {
			continue
		}
		code, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path.Join(name, file))))
		if want := "require('./idp.js')." + entry + "('" + action + "');\n"; err != nil || string(code) != want {
			t.Errorf("%s: %s is %q, %v; want %q", action, entry, code, err, want)
		}
	}
}

func wantChecksums(t *testing.T, dir string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(checksumsFile)))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(data)) {
		digest, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			t.Errorf("line %q", line)
		}
		listed[name] = digest
	}
	_ = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, file)
		name = filepath.ToSlash(name)
		if err != nil || d.IsDir() || name == checksumsFile {
			return err
		}
		if got, err := digestOf(file); err != nil || listed[name] != got {
			t.Errorf("%s has %s, listed is %q (%v)", name, got, listed[name], err)
		}
		delete(listed, name)
		return nil
	})
	if len(listed) > 0 {
		t.Errorf("listed and not there: %v", listed)
	}
	if _, err := exec.LookPath("sha256sum"); errors.Is(err, exec.ErrNotFound) {
		return // only Linux is sure to have it
	}
	cmd := exec.Command("sha256sum", "--check", "--quiet", "--strict", checksumsFile)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
}

// wantBOM holds the SBOM against what `go version -m` reads from the program.
func wantBOM(t *testing.T, dir, program string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(sbomFile)))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		SpecVersion string
		Components  []struct {
			Type, Name, Version string
			Licenses            []struct {
				Expression string
				License    struct{ ID string }
			}
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	listed, licences, silent := map[string]bool{}, map[string]string{}, 0
	for _, c := range doc.Components {
		if len(c.Licenses) == 1 {
			licences[c.Name] = c.Licenses[0].License.ID + c.Licenses[0].Expression
		} else if c.Type == "library" {
			silent++
		}
		if c.Type == "library" && c.Name != "stdlib" {
			listed[c.Name+" "+c.Version] = true
		}
	}
	// What https://pkg.go.dev shows of them.
	for name, want := range map[string]string{"github.com/google/uuid": "BSD-3-Clause", "k8s.io/client-go": "Apache-2.0", "go.yaml.in/yaml/v3": "MIT AND Apache-2.0", "github.com/spf13/viper": "MIT"} {
		if licences[name] != want {
			t.Errorf("%s is %q in the SBOM, and %s", name, licences[name], want)
		}
	}
	if silent > 3 {
		t.Errorf("of %d modules the SBOM does not know the licence", silent)
	}
	out, err := exec.Command("go", "version", "-m", filepath.Join(dir, program)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			if !listed[f[1]+" "+f[2]] {
				t.Errorf("%s %s is in the program and not in the SBOM", f[1], f[2])
			}
			delete(listed, f[1]+" "+f[2])
		}
	}
	if len(listed) > 0 || doc.SpecVersion != "1.6" {
		t.Errorf("only in the SBOM (%s): %v", doc.SpecVersion, listed)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	err := run(t.Context(), []string{"-source", empty, "-out", filepath.Join(empty, "tree")}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "which this commit does not have") {
		t.Error(err)
	}
	for _, version := range []string{"1.2.3", "v1", "v1.2.3 -X main.x=y", "devel"} {
		if err := run(t.Context(), []string{"-version", version}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "v1.2.3") {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestTheTarballHasALimit(t *testing.T) {
	t.Parallel()
	tr := tree{dir: t.TempDir()}
	if err := tr.write("a", []byte("some bytes")); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := tr.weigh(&first, 10_000); err != nil {
		t.Error(err)
	}
	if err := tr.weigh(&second, 1); err == nil {
		t.Error("over the limit and not refused")
	}
	if err := os.Chmod(filepath.Join(tr.dir, "a"), 0o600); err != nil {
		t.Fatal(err)
	}
	second.Reset()
	if err := tr.weigh(&second, 0); err != nil || first.String() == second.String() && runtime.GOOS != "windows" {
		t.Errorf("a changed mode is not seen: %v, %s", err, second.String())
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"": "linux/amd64 linux/arm64", "host": runtime.GOOS + "/" + runtime.GOARCH, "linux/riscv64": "linux/riscv64",
		"linux/amd64, linux/arm64": "linux/amd64 linux/arm64",
		"all":                      "linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64",
	} {
		if got, _ := choose(list); strings.Join(got, " ") != want {
			t.Errorf("%q is %q, want %q", list, got, want)
		}
	}
}
