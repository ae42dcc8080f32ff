package build_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/module"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
)

// proxy is a module proxy on disk; see go help goproxy. Modules are "path@version" and their files.
func proxy(t *testing.T, modules map[string]map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	for id, content := range modules {
		path, version, _ := strings.Cut(id, "@")
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		for name, text := range content {
			f, err := w.Create(id + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		escaped, err := module.EscapePath(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, escaped, "@v"), map[string]string{
			version + ".info": `{"Version":"` + version + `"}`,
			version + ".mod":  content["go.mod"],
			version + ".zip":  archive.String(),
			"list":            version + "\n",
		})
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
	return []string{"GOPROXY=" + address.String(), "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOMODCACHE=" + t.TempDir()}
}

// service needs modules in every way that go.mod has.
func service(t *testing.T) (dir string, env []string) {
	t.Helper()
	env = proxy(t, map[string]map[string]string{
		"example.org/Upper/a/v2@v2.1.0": {
			"go.mod":     "module example.org/Upper/a/v2\n\ngo 1.26\n\nrequire (\n\texample.org/b v0.2.0\n\texample.org/unlinked v1.0.0\n)\n",
			"a.go":       "package a\n\nimport \"example.org/b\"\n\nfunc A() string { return b.B() }\n",
			"other/o.go": "package other\n\nimport _ \"example.org/unlinked\"\n",
		},
		"example.org/b@v0.2.0":        {"go.mod": "module example.org/b\n\ngo 1.26\n", "b.go": "package b\n\nimport \"strings\"\n\nfunc B() string { return strings.ToUpper(\"b\") }\n"},
		"example.org/unlinked@v1.0.0": {"go.mod": "module example.org/unlinked\n\ngo 1.26\n", "u.go": "package unlinked\n"},
		"example.org/fork@v1.1.0":     {"go.mod": "module example.org/fork\n\ngo 1.26\n", "f.go": "package old\n\nconst F = 1\n"},
	})
	dir = write(t, t.TempDir(), map[string]string{
		"go.mod": "module example.com/plain\n\ngo 1.26\n\nrequire (\n\texample.org/Upper/a/v2 v2.1.0\n\texample.org/near v0.0.0\n\texample.org/old v1.0.0\n)\n\n" +
			"replace example.org/near => ./near\n\nreplace example.org/old => example.org/fork v1.1.0\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/Upper/a/v2\"\n\t\"example.org/near\"\n\t\"example.org/old\"\n)\n\n" +
			"func main() { fmt.Println(a.A(), near.N, old.F) }\n",
		"near/go.mod":  "module example.org/near\n\ngo 1.26\n",
		"near/near.go": "package near\n\nconst N = 2\n",
	})
	run(t, dir, env, "mod", "tidy")
	return dir, env
}

func run(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func decoded(t *testing.T, file string) cyclonedx.BOM {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	valid(t, data)
	var doc cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// valid holds the document against CycloneDX's own schema, which comes with its library.
func valid(t *testing.T, data []byte) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for name, file := range map[string]string{"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json",
		"jsf-0.82.schema.json": "jsf-0.82.schemax.json"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("http://cyclonedx.org/schema/"+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
}

func TestSBOM(t *testing.T) {
	t.Parallel()
	dir, env := service(t)
	in := inputs(t, dir)
	out, err := build.Run(t.Context(), in, deps(env...))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	doc := decoded(t, out.Evidence.SBOM)
	std := "pkg:golang/stdlib@" + out.Evidence.Go
	main := "pkg:golang/example.com/plain@" + commit
	image := doc.Metadata.Component.BOMRef
	want := map[string][]string{ // go list and go.mod above say so
		image: {main},
		main:  {"pkg:golang/example.org/Upper/a/v2@v2.1.0", "pkg:golang/example.org/near", "pkg:golang/example.org/fork@v1.1.0", std},
		"pkg:golang/example.org/Upper/a/v2@v2.1.0": {"pkg:golang/example.org/b@v0.2.0"},
		"pkg:golang/example.org/b@v0.2.0":          {std},
		"pkg:golang/example.org/near":              nil,
		"pkg:golang/example.org/fork@v1.1.0":       nil,
		std:                                        nil,
	}
	got := map[string][]string{}
	for _, d := range *doc.Dependencies {
		got[d.Ref] = nil
		if d.Dependencies != nil && len(*d.Dependencies) > 0 {
			got[d.Ref] = *d.Dependencies
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	properties := map[string]string{}
	for _, c := range *doc.Components {
		if _, ok := want[c.BOMRef]; !ok || c.BOMRef != c.PackageURL {
			t.Errorf("component %+v", c)
		}
		if c.Properties != nil {
			for _, p := range *c.Properties {
				properties[c.Name+" "+p.Name] = p.Value
			}
		}
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"example.org/Upper/a/v2", "example.org/b", "example.org/fork"} {
		if sum := properties[module+" idp:go:h1"]; sum == "" || !strings.Contains(string(sums), " "+sum+"\n") {
			t.Errorf("%s has h1 %q, which is not in go.sum", module, sum)
		}
	}
	if properties["example.org/fork idp:go:replaces"] != "example.org/old" || properties["example.org/near idp:go:folder"] != "./near" {
		t.Errorf("replacements in %v", properties)
	}
	if len(*doc.Components) != 6 || out.Evidence.Components != 6 || len(out.Evidence.Materials) != 5 {
		t.Errorf("%d components, evidence %d, %d materials", len(*doc.Components), out.Evidence.Components, len(out.Evidence.Materials))
	}
	root := doc.Metadata.Component
	if hash := (*root.Hashes)[0].Value; "sha256:"+hash != out.Evidence.Digest || root.Name != "plain" || root.Version != "v1.2.3" {
		t.Errorf("root %+v", root)
	}
	if doc.Metadata.Timestamp != "2026-03-01T11:30:00Z" || doc.SpecVersion != cyclonedx.SpecVersion1_6 {
		t.Errorf("timestamp %s, version %s", doc.Metadata.Timestamp, doc.SpecVersion)
	}
	if text, _ := json.Marshal(out.Evidence.Parameters); !strings.Contains(string(text), `"-trimpath"`) || !strings.Contains(string(text), `"CGO_ENABLED=0"`) || strings.Contains(string(text), dir) {
		t.Errorf("parameters %s", text)
	}
}

func TestVendored(t *testing.T) {
	t.Parallel()
	dir, env := service(t)
	run(t, dir, env, "mod", "vendor")
	in := inputs(t, dir)
	out, err := build.Run(t.Context(), in, deps("GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir()))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if doc := decoded(t, out.Evidence.SBOM); len(*doc.Components) != 6 || out.Evidence.Parameters[0] != "-mod=vendor" {
		t.Errorf("%d components with %v", len(*doc.Components), out.Evidence.Parameters)
	}
}

// TestMonorepo has the service's module at the root of the repository, another module joined by a workspace, and a
// workspace outside of the repository that must not matter.
func TestMonorepo(t *testing.T) {
	t.Parallel()
	outside := write(t, t.TempDir(), map[string]string{
		"go.work":                         "go 1.26\n\nuse ./nowhere\n",
		"repo/go.mod":                     "module example.com/mono\n\ngo 1.26\n",
		"repo/services/plain/cmd/main.go": "package main\n\nimport \"example.com/mono/lib\"\n\nfunc main() { println(lib.X) }\n",
		"repo/lib/lib.go":                 "package lib\n\nconst X = 1\n",
	})
	in := inputs(t, filepath.Join(outside, "repo", "services", "plain"))
	in.Path, in.Main = "services/plain", "cmd"
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if doc := decoded(t, out.Evidence.SBOM); (*doc.Components)[0].PackageURL != "pkg:golang/example.com/mono@"+commit {
		t.Errorf("components %+v", *doc.Components)
	}

	repo := write(t, t.TempDir(), map[string]string{
		"go.work":     "go 1.26\n\nuse (\n\t./svc\n\t./lib\n)\n",
		"svc/go.mod":  "module example.com/svc\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n",
		"svc/main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.X) }\n",
		"lib/go.mod":  "module example.com/lib\n\ngo 1.26\n",
		"lib/lib.go":  "package lib\n\nconst X = 1\n",
	})
	in = inputs(t, filepath.Join(repo, "svc"))
	in.Path = "svc"
	out, err = build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if doc := decoded(t, out.Evidence.SBOM); (*doc.Components)[1].PackageURL != "pkg:golang/example.com/lib@"+commit {
		t.Errorf("components %+v", *doc.Components)
	}
}
