package kubernetes

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/org/idp/internal/fault"
)

// refused are answers of API server 1.34.4 to a server-side apply that have a meaning by themselves. Each file of
// testdata/errors is here or in left.
var refused = map[string]struct {
	kind fault.Kind
	says []string
}{
	"unauthorized":    {fault.Undetermined, []string{"the cluster api.example:6443 does not accept the credentials", "log in to the cluster again"}},
	"forbidden":       {fault.Undetermined, []string{`the credentials may not patch ConfigMap x: User "nobody" cannot patch resource "configmaps"`, "idp deploy --print-rbac"}},
	"escalation":      {fault.Undetermined, []string{"attempting to grant RBAC permissions not currently held"}},
	"quota":           {fault.Failed, []string{"ConfigMap x is refused by the cluster: exceeded quota: small", "ask for a larger quota"}},
	"quota-new":       {fault.Undetermined, []string{"lets ConfigMap x in only then: status unknown for quota: small", "Deploy again in a moment"}},
	"policy":          {fault.Failed, []string{"ValidatingAdmissionPolicy 'two' with binding 'two' denied request: say who owns it", "change what the rule names"}},
	"pod-security":    {fault.Failed, []string{`violates PodSecurity "restricted:latest"`}},
	"terminating":     {fault.Failed, []string{"unable to create new content in namespace term", "Wait until it is gone"}},
	"webhook-deny":    {fault.Failed, []string{`admission webhook "tags.example.com" denied the request: no latest tags`}},
	"webhook-deny400": {fault.Failed, []string{`admission webhook "tags.example.com" denied the request: no latest tags`}},
	"webhook-away":    {fault.Undetermined, []string{"an admission webhook of the cluster does not answer", "tags.example.com"}},
}

// left are those that the caller tells apart.
var left = map[string]func(error) bool{
	"unknown-field": func(err error) bool {
		var m *MalformedError
		return errors.As(err, &m) && m.Problem == ".spec.replica: field not declared in schema"
	},
	"bad-request": func(err error) bool { var m *MalformedError; return errors.As(err, &m) },
	"too-large":   func(err error) bool { var m *MalformedError; return errors.As(err, &m) },
	"invalid": func(err error) bool {
		return apierrors.IsInvalid(err) && len(Causes(err)) == 3 && Causes(err)[0].Field == "spec.selector"
	},
	"no-namespace": apierrors.IsNotFound,
	"conflict": func(err error) bool {
		var c *ConflictError
		return errors.As(err, &c) && !IsConflict(err) && reflect.DeepEqual(c.Conflicts, []Conflict{
			{"kubectl (scale)", ".spec.replicas"},
			{"kubectl-client-side-apply", `.spec.template.spec.containers[name="app"].env[name="LEVEL"].value`},
			{"kubectl-client-side-apply", `.spec.template.spec.containers[name="app"].image`},
		})
	},
}

func TestWhatAnAPIServerAnswersIsClassified(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.json")
	if err != nil || len(files) != len(refused)+len(left) {
		t.Fatalf("%d files, %d expectations (%v)", len(files), len(refused)+len(left), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			got := explain(answer(t, file), "patch", Ref{"v1", "ConfigMap", "fix", "x"}, "api.example:6443")
			if is, ok := left[name]; ok {
				if !is(got) {
					t.Errorf("it is %T: %v", got, got)
				}
				return
			}
			want, ok := refused[name]
			if !ok {
				t.Fatal("nothing is expected of it")
			}
			all := strings.Join(fault.Lines(got), "\n")
			if kind := fault.KindOf(got); kind != want.kind {
				t.Errorf("kind %d, want %d: %s", kind, want.kind, all)
			}
			for _, text := range want.says {
				if !strings.Contains(all, text) {
					t.Errorf("%q is not in %s", text, all)
				}
			}
		})
	}
}

func answer(t *testing.T, file string) error {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var status metav1.Status
	if err := json.Unmarshal(data, &status); err != nil {
		t.Fatal(err)
	}
	return apierrors.FromObject(&status)
}

func TestOnlyTroubleThatGoesByItselfIsWaitedFor(t *testing.T) {
	for name, want := range map[string]bool{"unknown-field": false, "webhook-away": false, "quota": false, "forbidden": false, "conflict": false, "invalid": false} {
		if got := passing(answer(t, "testdata/errors/"+name+".json")); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	// How the API server passes on trouble of etcd: no reason (staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/status.go).
	etcd := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500, Message: "etcdserver: leader changed"}}
	if !passing(etcd) {
		t.Error("a change of etcd's leader is not waited for")
	}
}

// A value that should have been quoted is shown as it is in the manifest, not as Go writes it.
func TestAValueOfAnotherType(t *testing.T) {
	err := errors.New(`failed to create typed patch object (shop/plain; /v1, Kind=ConfigMap): .data.PORT: expected string, got &value.valueUnstructured{Value:8080}`)
	if got := explain(err, "patch", Ref{Kind: "ConfigMap", Name: "plain"}, "x").Error(); got != ".data.PORT: expected string, got 8080" {
		t.Error(got)
	}
}
