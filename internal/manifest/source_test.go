//go:build unix

package manifest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/service"
)

const (
	ours   = "ghcr.io/acme/checkout"
	digest = "sha256:9d0c4a0000000000000000000000000000000000000000000000000000000fe1"
)

// Each file of testdata/sources is a test: idp.yaml and what it names, and in "want" the objects as they are deployed to
// staging, or the error. What follows "read:" there are the files that it was read from.
func TestSources(t *testing.T) {
	t.Parallel()
	list, err := filepath.Glob("testdata/sources/*.txtar")
	if err != nil || len(list) < 10 {
		t.Fatalf("%d cases: %v", len(list), err)
	}
	for _, file := range list {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			last := len(archive.Files) - 1
			if archive.Files[last].Name != "want" {
				t.Fatal("the last part must be what is wanted")
			}
			have := outcome(t, archive.Files[:last])
			if *update {
				archive.Files[last].Data = []byte(have)
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[last].Data), have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func outcome(t *testing.T, files []txtar.File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		write(t, dir, f.Name, string(f.Data))
	}
	set, err := load(t, dir, manifest.Options{Image: ours + "@" + digest})
	if err != nil {
		return fmt.Sprintf("%s\n%s\n", kinds[fault.KindOf(err)], strings.Join(fault.Lines(err), "\n"))
	}
	data, err := set.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "# read: " + strings.Join(set.Files, ", ") + "\n"
}

var kinds = map[fault.Kind]string{fault.BadInput: "bad input", fault.Undetermined: "undetermined", fault.Failed: "failed"}

// load reads idp.yaml in the folder and its manifests for staging.
func load(t *testing.T, dir string, opts manifest.Options) (manifest.Set, error) {
	t.Helper()
	svc, err := service.Load(dir)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	resolved, err := svc.In("staging")
	if err != nil {
		t.Fatal(err)
	}
	opts.Dir, opts.Environment, opts.Sizes = dir, "staging", sizes
	return manifest.Load(t.Context(), resolved, opts)
}

const head = "name: checkout\nowner: team\nenvironments: {staging: {}}\n"

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec: {containers: [{name: app, image: ghcr.io/acme/checkout}]}
`

// Nothing outside of the service's folder is read, whichever way leads there.
func TestSourcesStayInside(t *testing.T) {
	t.Parallel()
	const hidden = "the content of a file elsewhere"
	for name, tc := range map[string]struct {
		deploy string
		links  map[string]string // in the service's folder, to what in the folder beside it
		files  map[string]string
		want   string
	}{
		"manifests: file":     {"{manifests: deploy}", map[string]string{"deploy/x.yaml": "secret.yaml"}, nil, "escapes"},
		"manifests: folder":   {"{manifests: deploy}", map[string]string{"deploy": "."}, nil, "escapes"},
		"kustomize: folder":   {"{kustomize: deploy}", map[string]string{"deploy": "."}, nil, "no kustomization deploy"},
		"kustomize: resource": {"{kustomize: deploy}", map[string]string{"deploy/x.yaml": "secret.yaml"}, map[string]string{"deploy/kustomization.yaml": "resources: [x.yaml]\n"}, `resources names "x.yaml", which is not in the service's folder`},
		"kustomize: base":     {"{kustomize: deploy}", map[string]string{"base": "base"}, map[string]string{"deploy/kustomization.yaml": "resources: [../base]\n"}, `resources names "../base", which is not`},
		"kustomize: dots":     {"{kustomize: deploy}", nil, map[string]string{"deploy/kustomization.yaml": "resources: [../../outside/base]\n"}, `"../../outside/base", which is not`},
		"kustomize: absolute": {"{kustomize: deploy}", nil, map[string]string{"deploy/kustomization.yaml": "resources: [/etc]\n"}, `names "/etc", which is not`},
		"kustomize: generator": {"{kustomize: deploy}", map[string]string{"deploy/app.conf": "secret.yaml"},
			map[string]string{"deploy/kustomization.yaml": "configMapGenerator: [{name: a, files: [app.conf]}]\n"}, "stat deploy/app.conf: file does not exist"},
		"kustomize: generator dots": {"{kustomize: deploy}", nil,
			map[string]string{"deploy/kustomization.yaml": "configMapGenerator: [{name: a, files: [../../outside/secret.yaml]}]\n"}, "cannot be built"},
		"kustomize: env": {"{kustomize: deploy}", map[string]string{"deploy/app.env": "secret.yaml"},
			map[string]string{"deploy/kustomization.yaml": "secretGenerator: [{name: a, envs: [app.env]}]\n"}, "escapes"},
		"kustomize: patch": {"{kustomize: deploy}", map[string]string{"deploy/patch.yaml": "secret.yaml"},
			map[string]string{"deploy/kustomization.yaml": "resources: [d.yaml]\npatches: [{path: patch.yaml}]\n", "deploy/d.yaml": deployment}, "stat deploy/patch.yaml: file does not exist"},
		"helm: template":    {"{helm: {chart: chart}}", map[string]string{"chart/templates/x.yaml": "secret.yaml"}, map[string]string{"chart/Chart.yaml": "name: c\n"}, "escapes"},
		"helm: file":        {"{helm: {chart: chart}}", map[string]string{"chart/files/x": "secret.yaml"}, map[string]string{"chart/Chart.yaml": "name: c\n"}, "escapes"},
		"helm: folder":      {"{helm: {chart: chart}}", map[string]string{"chart/templates": "."}, map[string]string{"chart/Chart.yaml": "name: c\n"}, "escapes"},
		"helm: values":      {"{helm: {chart: chart, values: [v.yaml]}}", map[string]string{"v.yaml": "secret.yaml"}, map[string]string{"chart/Chart.yaml": "name: c\n"}, "escapes"},
		"helm: the chart":   {"{helm: {chart: chart}}", map[string]string{"chart": "."}, nil, "no chart in chart"},
		"helm: folder here": {"{helm: {chart: chart}}", map[string]string{"chart/sub": "../svc/other"}, map[string]string{"chart/Chart.yaml": "name: c\n", "other/x": "y"}, "escapes"},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "svc")
		write(t, parent, "outside/secret.yaml", hidden+"\n")
		write(t, parent, "outside/base/kustomization.yaml", "resources: [d.yaml]\n")
		write(t, parent, "outside/base/d.yaml", deployment)
		write(t, parent, "outside/Chart.yaml", "name: c\n")
		write(t, dir, "idp.yaml", head+"deploy: "+tc.deploy+"\n")
		for file, text := range tc.files {
			write(t, dir, file, text)
		}
		for link, to := range tc.links {
			at := filepath.Join(dir, link)
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(parent, "outside", to), at); err != nil {
				t.Fatal(err)
			}
		}
		set, err := load(t, dir, manifest.Options{Helm: echo(t)})
		wantFault(t, name, err, fault.BadInput, tc.want)
		if err != nil && strings.Contains(strings.Join(fault.Lines(err), "\n"), hidden) || len(set.Objects) > 0 {
			t.Errorf("%s: shows what it should not have read: %v", name, err)
		}
	}
}

// A link inside of the service's folder is followed.
func TestLinksInside(t *testing.T) {
	t.Parallel()
	for name, deploy := range map[string]string{"manifests": "{manifests: deploy}", "kustomize": "{kustomize: deploy}"} {
		dir := t.TempDir()
		write(t, dir, "idp.yaml", head+"deploy: "+deploy+"\n")
		write(t, dir, "shared/d.yaml", deployment)
		if name == "kustomize" {
			write(t, dir, "deploy/kustomization.yaml", "resources: [d.yaml]\n")
		} else {
			write(t, dir, "deploy/empty.yaml", "# nothing\n")
		}
		if err := os.Symlink("../shared/d.yaml", filepath.Join(dir, "deploy", "d.yaml")); err != nil {
			t.Fatal(err)
		}
		set, err := load(t, dir, manifest.Options{})
		if err != nil || len(set.Objects) != 1 || set.Objects[0].Name != "checkout" {
			t.Errorf("%s: %v, %v", name, set.Objects, err)
		}
	}
}

// A few bytes must not cost gigabytes or hours.
func TestSourcesAreBounded(t *testing.T) {
	t.Parallel()
	laughs := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := 1; i < 10; i++ {
		alias := fmt.Sprintf("*x%d", i-1)
		laughs += fmt.Sprintf("x%d: &x%d [%s]\n", i, i, strings.Join([]string{alias, alias, alias, alias, alias, alias, alias, alias, alias, alias}, ", "))
	}
	wide := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: &a " + strings.Repeat("x", 1<<20) + "\n"
	for i := range 40 {
		wide += fmt.Sprintf("  b%d: *a\n", i)
	}
	self := "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a, labels: *m}\n"
	doubling := map[string]string{}
	for i := range 20 { // each has the one before it twice
		doubling[fmt.Sprintf("deploy/k%d/kustomization.yaml", i)] = "resources: [a, b]\n"
		for _, half := range []string{"a", "b"} {
			below := fmt.Sprintf("../../k%d", i-1)
			if i == 0 {
				below = "../../d.yaml"
			}
			doubling[fmt.Sprintf("deploy/k%d/%s/kustomization.yaml", i, half)] = fmt.Sprintf("namePrefix: %s-\nresources: [%s]\n", half, below)
		}
	}
	doubling["deploy/kustomization.yaml"], doubling["deploy/d.yaml"] = "resources: [k19]\n", deployment
	doubling["deploy/k0/a/kustomization.yaml"], doubling["deploy/k0/b/kustomization.yaml"] = "namePrefix: a-\nresources: [../../one]\n", "namePrefix: b-\nresources: [../../one]\n"
	doubling["deploy/one/kustomization.yaml"], doubling["deploy/one/d.yaml"] = "resources: [d.yaml]\n", deployment
	one := func(text string) map[string]string { return map[string]string{"deploy/x.yaml": text} }
	in := func(text string) map[string]string {
		return map[string]string{"deploy/x.yaml": text, "deploy/kustomization.yaml": "resources: [x.yaml]\n"}
	}
	for name, tc := range map[string]struct {
		deploy string
		files  map[string]string
		want   string
	}{
		"manifests: laughs":   {"{manifests: deploy}", one(laughs), "larger than 32 MiB"},
		"manifests: wide":     {"{manifests: deploy}", one(wide), "larger than 32 MiB"},
		"manifests: itself":   {"{manifests: deploy}", one(self), "larger than 32 MiB"},
		"manifests: large":    {"{manifests: deploy}", one(strings.Repeat("#", 8<<20+1)), "deploy/x.yaml is larger than 8 MiB"},
		"kustomize: laughs":   {"{kustomize: deploy}", in(laughs), "larger than 32 MiB"},
		"kustomize: wide":     {"{kustomize: deploy}", in(wide), "larger than 32 MiB"},
		"kustomize: itself":   {"{kustomize: deploy}", in(self), "larger than 32 MiB"},
		"kustomize: doubling": {"{kustomize: deploy}", doubling, "more than 5000 files are read"},
		"helm: values":        {"{helm: {chart: chart, values: [v.yaml]}}", map[string]string{"chart/Chart.yaml": "name: c\n", "v.yaml": laughs}, "larger than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "idp.yaml", head+"deploy: "+tc.deploy+"\n")
			for file, text := range tc.files {
				write(t, dir, file, text)
			}
			begun := time.Now()
			_, err := load(t, dir, manifest.Options{Helm: echo(t)})
			wantFault(t, name, err, fault.BadInput, tc.want)
			t.Log(time.Since(begun))
		})
	}
}

func TestPipeIsNoManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "idp.yaml", head+"deploy: {manifests: deploy}\n")
	write(t, dir, "deploy/a.yaml", deployment)
	mkfifo(t, filepath.Join(dir, "deploy", "x.yaml"))
	_, err := load(t, dir, manifest.Options{})
	wantFault(t, "pipe", err, fault.BadInput, "not a file")
}

func TestUnstructured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "idp.yaml", head+"deploy: {manifests: deploy}\n")
	write(t, dir, "deploy/a.yaml", strings.Replace(deployment, "spec:\n", "spec:\n  replicas: 3\n", 1))
	set, err := load(t, dir, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := set.Unstructured()
	if len(list) != 1 || kubernetes.RefOf(&list[0]) != (kubernetes.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "checkout", Name: "checkout"}) {
		t.Fatalf("%v", list)
	}
	spec := list[0].Object["spec"].(map[string]any)
	if spec["replicas"] != int64(3) || list[0].GetLabels()[manifest.LabelService] != "checkout" {
		t.Errorf("%v", list[0])
	}
	spec["replicas"] = int64(9)
	if again := set.Unstructured(); again[0].Object["spec"].(map[string]any)["replicas"] != int64(3) {
		t.Error("what is given shares memory with the set")
	}
}

func TestCancelledLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a/kustomization.yaml", "resources: [d.yaml]\n")
	write(t, dir, "a/d.yaml", deployment)
	svc := valid()
	for name, d := range map[string]service.Deploy{"manifests": {Manifests: "a"}, "kustomize": {Kustomize: "a"}, "helm": {Helm: &service.Helm{Chart: "a"}}} {
		ctx, cancel := cancelled(t)
		defer cancel()
		svc.Deploy = d
		_, err := manifest.Load(ctx, svc, manifest.Options{Dir: dir, Helm: echo(t)})
		if err == nil || fault.KindOf(err) != fault.Undetermined && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
