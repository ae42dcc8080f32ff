//go:build unix

package manifest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/testkit/expect"
)

// stand is a small program in place of helm, for what the real one does not do on demand.
func stand(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "helm")
	expect.Program(t, file, "#!/bin/sh\n"+script+"\n")
	return file
}

// echo gives the templates of the chart as they are.
func echo(t *testing.T) string { return stand(t, "cat chart/templates/*.yaml") }

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func chart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "idp.yaml", head+"deploy: {helm: {chart: deploy/chart, values: [a.yaml, deploy/b.yaml]}}\n")
	write(t, dir, "deploy/chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n")
	write(t, dir, "deploy/chart/values.yaml", "database: {password: hunter2-default}\n")
	write(t, dir, "deploy/chart/templates/d.yaml", deployment)
	write(t, dir, "a.yaml", "apiToken: aaa.bbb.ccc\nreplicas: 2\n")
	write(t, dir, "deploy/b.yaml", "tls: {privateKey: [first-line, second]}\n")
	return dir
}

// What helm is called with is the contract with the real one; TestHelmRenders (e2e) holds that it understands it.
func TestHelmIsCalled(t *testing.T) {
	t.Parallel()
	dir, log := chart(t), filepath.Join(t.TempDir(), "log")
	helm := stand(t, `{ echo "$@"; find . -type f | sort; cat values-0.yaml; env | sort | cut -d= -f1; } > '`+log+`'; cat chart/templates/*.yaml`)
	set, err := load(t, dir, manifest.Options{Helm: helm, Image: ours + "@" + digest,
		Environ: []string{"PATH=" + os.Getenv("PATH"), "GITHUB_TOKEN=t", "KUBECONFIG=/root/.kube/config", "HELM_PLUGINS=/p", "AWS_SECRET_ACCESS_KEY=s"}})
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if len(set.Objects) != 1 || !strings.Contains(marshal(t, set), "image: "+ours+"@"+digest) {
		t.Errorf("%v", set.Objects)
	}
	if diff := cmp.Diff([]string{"a.yaml", "deploy/b.yaml", "deploy/chart/Chart.yaml", "deploy/chart/templates/d.yaml", "deploy/chart/values.yaml"}, set.Files); diff != "" {
		t.Error(diff)
	}
	have, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := `template checkout chart --namespace checkout --include-crds --skip-tests --values values-0.yaml --values values-1.yaml
./chart/Chart.yaml
./chart/templates/d.yaml
./chart/values.yaml
./values-0.yaml
./values-1.yaml
apiToken: aaa.bbb.ccc
replicas: 2
HELM_CACHE_HOME
HELM_CONFIG_HOME
HELM_DATA_HOME
HELM_PLUGINS
HOME
KUBECONFIG
LC_ALL
PATH
PWD
TMPDIR
`
	got := strings.ReplaceAll(strings.ReplaceAll(string(have), "OLDPWD\n", ""), "_\n", "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func marshal(t *testing.T, set manifest.Set) string {
	t.Helper()
	data, err := set.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHelmThatFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		kind   fault.Kind
		want   string // the first line; empty: see hidden only
	}{
		"says why": {`echo 'Error: execution error at (c/templates/d.yaml:5:4): image.tag is required' >&2; exit 1`, fault.BadInput,
			"helm cannot render the chart deploy/chart: execution error at (c/templates/d.yaml:5:4): image.tag is required"},
		"says nothing":     {"exit 1", fault.BadInput, "helm cannot render the chart deploy/chart"},
		"writes and fails": {"cat chart/templates/*.yaml; exit 1", fault.BadInput, "helm cannot render the chart deploy/chart"},
		"warns with values": {`echo 'coalesce.go:286: warning: cannot overwrite table with non table for c.database (map[password:hunter2-default])' >&2; exit 1`, fault.BadInput,
			"helm cannot render the chart deploy/chart"},
		"quotes secrets": {`echo 'Error: bad hunter2-default, aaa.bbb.ccc, first-line and second' >&2; exit 1`, fault.BadInput,
			"helm cannot render the chart deploy/chart: bad ***, ***, *** and ***"},
		"is killed":               {"kill -9 $$", fault.Undetermined, "the chart deploy/chart cannot be rendered: helm does not run: signal: killed"},
		"gives nothing":           {"exit 0", fault.BadInput, "there are no Kubernetes objects in chart deploy/chart"},
		"gives nonsense":          {"echo hello", fault.BadInput, "chart deploy/chart, document 1: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go value of type map[string]interface {}"},
		"gives too much":          {"yes '# more' | head -c 40000000", fault.BadInput, "the chart renders to more than 32 MiB"},
		"gives too much for ever": {"yes '# more'", fault.BadInput, "the chart renders to more than 32 MiB"},
		"gives a hook": {`sed 's/metadata: {name: checkout}/metadata: {name: migrate, annotations: {helm.sh\/hook: "pre-upgrade,pre-install"}}/' chart/templates/d.yaml`, fault.BadInput,
			"the chart deploy/chart has hooks, which idp does not run"},
	} {
		_, err := load(t, chart(t), manifest.Options{Helm: stand(t, tc.script), Environ: os.Environ()})
		if err == nil || fault.KindOf(err) != tc.kind || fault.Lines(err)[0] != tc.want {
			t.Errorf("%s: kind %d, %q", name, fault.KindOf(err), err)
			continue
		}
		for _, secret := range []string{"hunter2", "aaa.bbb", "first-line"} {
			if text := strings.Join(fault.Lines(err), "\n"); strings.Contains(text, secret) {
				t.Errorf("%s shows %s:\n%s", name, secret, text)
			}
		}
	}
}

func TestHelmThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := load(t, chart(t), manifest.Options{})
	wantFault(t, "none", err, fault.Undetermined, "there is no program helm on this machine")
	_, err = load(t, chart(t), manifest.Options{Helm: filepath.Join(t.TempDir(), "helm")})
	wantFault(t, "gone", err, fault.Undetermined, "helm does not run")
}

// A helm that hangs is ended with all that it started, when the delivery is.
func TestHelmThatHangs(t *testing.T) {
	t.Parallel()
	dir := chart(t)
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	svc := valid()
	svc.Deploy.Helm = &service.Helm{Chart: "deploy/chart"}
	_, err := manifest.Load(ctx, svc, manifest.Options{Dir: dir, Helm: stand(t, "echo $$ > '"+file+"'; sleep 600"), Environ: os.Environ()})
	if err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("%v", err)
	}
}
