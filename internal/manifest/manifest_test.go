package manifest_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
)

var update = flag.Bool("update", false, "write the golden files")

var sizes = map[string]policy.Size{
	"small": {CPU: "100m", Memory: "128Mi"}, "medium": {CPU: "500m", Memory: "512Mi"}, "large": {CPU: "2", Memory: "2Gi"},
}

type input struct {
	Environment, Image, Commit, Digest, Repository string
	Service                                        service.Service
}

func (in *input) options() manifest.Options {
	return manifest.Options{Image: in.Image, Environment: in.Environment, Commit: in.Commit, Digest: in.Digest,
		Repository: in.Repository, Sizes: sizes}
}

// Each folder of testdata is a test: input.yaml is rendered and compared with want.yaml.
func TestRenderGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*/input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range inputs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			got := render(t, readInput(t, file))
			golden := filepath.Join(dir, "want.yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("want.yaml (-want +got):\n%s", diff)
			}
			for range 10 {
				if again := render(t, readInput(t, file)); !bytes.Equal(got, again) {
					t.Fatal("the same input gave other bytes")
				}
			}
			if noise := regexp.MustCompile(`(?m)creationTimestamp|^status:|null`).Find(got); noise != nil {
				t.Errorf("the output has %q", noise)
			}
			roundTrip(t, dir, got)
		})
	}
}

func readInput(t *testing.T, file string) *input {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&in); err != nil {
		t.Fatal(err)
	}
	return &in
}

func render(t *testing.T, in *input) []byte {
	t.Helper()
	set, err := manifest.Load(t.Context(), &in.Service, in.options())
	if err != nil {
		t.Fatal(err)
	}
	data, err := set.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// roundTrip decodes the rendered file strictly into the types of Kubernetes and wants the same objects back.
func roundTrip(t *testing.T, dir string, data []byte) {
	t.Helper()
	tmp := t.TempDir()
	write(t, tmp, "all.yaml", string(data))
	set, err := manifest.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	in := readInput(t, filepath.Join(dir, "input.yaml"))
	rendered, err := manifest.Load(t.Context(), &in.Service, in.options())
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Objects) != len(rendered.Objects) {
		t.Fatalf("%d objects read, %d rendered", len(set.Objects), len(rendered.Objects))
	}
	for i, o := range set.Objects {
		if o.Typed == nil {
			t.Errorf("%s is of no known type", o)
		}
		if got, want := o.Typed, rendered.Objects[i].Typed; !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("%s (-rendered +read):\n%s", o, cmp.Diff(want, got))
		}
	}
}

func TestObjectsFollowTheService(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*service.Service)
		want   string
	}{
		"least":       {func(*service.Service) {}, "ServiceAccount Service Deployment"},
		"two":         {func(s *service.Service) { s.Scale.Min = 2 }, "ServiceAccount Service Deployment PodDisruptionBudget"},
		"max is min":  {func(s *service.Service) { s.Scale.Max = 1 }, "ServiceAccount Service Deployment"},
		"autoscaled":  {func(s *service.Service) { s.Scale.Max = 2 }, "ServiceAccount Service Deployment HorizontalPodAutoscaler"},
		"fenced":      {func(s *service.Service) { s.Network.From = []string{"web"} }, "ServiceAccount NetworkPolicy Service Deployment"},
		"all of them": {func(s *service.Service) { s.Network.From = []string{"web"}; s.Scale = service.Scale{Min: 2, Max: 3} }, "ServiceAccount NetworkPolicy Service Deployment HorizontalPodAutoscaler PodDisruptionBudget"},
	} {
		svc := valid()
		tc.change(svc)
		set, err := manifest.Render(svc, manifest.Options{Sizes: sizes})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var kinds []string
		for _, o := range set.Objects {
			kinds = append(kinds, o.Kind)
		}
		if got := strings.Join(kinds, " "); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func valid() *service.Service {
	return &service.Service{Name: "hello", Owner: "team", Port: 8080, Health: "/healthz", Size: "small", Scale: service.Scale{Min: 1}}
}

func TestRenderBadInput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*service.Service)
		want   string
	}{
		"unknown size":     {func(s *service.Service) { s.Size = "smal" }, `size "smal": one of large, medium, small`},
		"digit first":      {func(s *service.Service) { s.Name = "9lives" }, "starts with a letter"},
		"64 characters":    {func(s *service.Service) { s.Name = strings.Repeat("a", 64) }, "at most 63"},
		"no port":          {func(s *service.Service) { s.Port = 0 }, "port 0"},
		"relative health":  {func(s *service.Service) { s.Health = "healthz" }, "starts with /"},
		"no replicas":      {func(s *service.Service) { s.Scale.Min = 0 }, "min is 0"},
		"max below min":    {func(s *service.Service) { s.Scale = service.Scale{Min: 3, Max: 2} }, "max is 2"},
		"too many":         {func(s *service.Service) { s.Scale.Max = 1 << 40 }, "at most 150000"},
		"reserved env":     {func(s *service.Service) { s.Env = map[string]string{"PORT": "1"} }, "env PORT"},
		"hostile from":     {func(s *service.Service) { s.Network.From = []string{"a b"} }, "not the name of a service"},
		"hostile ns":       {func(s *service.Service) { s.Environments = map[string]service.Environment{"": {Namespace: "../x"}} }, "namespace"},
		"all in one go":    {func(s *service.Service) { s.Port, s.Size = 0, "x" }, "2 settings of hello"},
		"size of nonsense": {func(s *service.Service) { s.Size = "odd" }, `cpu "lots"`},
	} {
		svc := valid()
		tc.change(svc)
		opts := manifest.Options{Sizes: sizes}
		if svc.Size == "odd" {
			opts.Sizes = map[string]policy.Size{"odd": {CPU: "lots", Memory: "1Gi"}}
		}
		set, err := manifest.Render(svc, opts)
		wantFault(t, name, err, fault.BadInput, tc.want)
		if len(set.Objects) != 0 {
			t.Errorf("%s: objects beside an error", name)
		}
	}
}

func TestReadDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", "# only a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n---\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: two}\nspec: {anything: 1}\n")
	write(t, dir, "below/b.json", `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "three"}}]}`)
	write(t, dir, "README.md", "kind: nothing")
	set, err := manifest.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range set.Objects {
		got = append(got, fmt.Sprintf("%s in %s typed=%t", o, o.File, o.Typed != nil))
	}
	want := []string{"ConfigMap one in a.yaml typed=true", "Rollout two in a.yaml typed=false", "Service three in below/b.json typed=true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadDirBadInput(t *testing.T) {
	t.Parallel()
	cm := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"empty":          {"", "no Kubernetes objects"},
		"comments only":  {"# nothing\n", "no Kubernetes objects"},
		"unknown field":  {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replcas: 1}\n", `x.yaml, document 1: Deployment a: error unmarshaling JSON: while decoding JSON: json: unknown field "replcas"`},
		"wrong type":     {cm + "data: [1]\n", "x.yaml, document 1: ConfigMap a"},
		"twice a key":    {cm + "kind: ConfigMap\n", "x.yaml, document 1"},
		"not YAML":       {cm + "---\n{", "x.yaml, document 2"},
		"no kind":        {"metadata: {name: a}\n", "apiVersion or kind is missing"},
		"no name":        {"apiVersion: v1\nkind: ConfigMap\n", "ConfigMap without metadata.name"},
		"kustomization":  {"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "deploy: {kustomize: FOLDER}"},
		"same twice":     {cm + "---\n" + cm, "ConfigMap a is in x.yaml already"},
		"two problems":   {"a: b\n---\nc: d\n", "2 problems in the manifests"},
		"list with typo": {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {nme: a}}]\n", "item 1"},
	} {
		dir := t.TempDir()
		write(t, dir, "x.yaml", tc.text)
		_, err := manifest.ReadDir(dir)
		wantFault(t, name, err, fault.BadInput, tc.want)
	}
	_, err := manifest.ReadDir(filepath.Join(t.TempDir(), "absent"))
	wantFault(t, "absent", err, fault.BadInput, "cannot read the manifests")
}

// A pull request must not be able to have a file outside the folder read and quoted.
func TestReadDirStaysInside(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, "secret.yaml", "token: abc\n")
	if err := os.Symlink(filepath.Join(outside, "secret.yaml"), filepath.Join(dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := manifest.ReadDir(dir)
	wantFault(t, "link", err, fault.BadInput, "escapes")
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantFault(t *testing.T, name string, err error, kind fault.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	if got := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != kind || !strings.Contains(got, text) {
		t.Errorf("%s: kind %d, %q; want kind %d with %q", name, fault.KindOf(err), got, kind, text)
	}
}
