package apply

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// fixedFields are the answers of API server 1.34.4 in testdata/immutable, to an apply that changes what cannot be changed.
var fixedFields = map[string]string{
	"deployment": "spec.selector", "statefulset": "spec", "job": "spec.template", "service": "spec.clusterIPs[0]", "configmap": "data", "secret": "data",
	"secret-type": "type", "persistentvolumeclaim": "spec", "rolebinding": "roleRef", "pod": "spec", "storageclass": "provisioner", "priorityclass": "value",
}

func refusal(t *testing.T, name string) error {
	t.Helper()
	data, err := os.ReadFile("testdata/immutable/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var status metav1.Status
	if err := json.Unmarshal(data, &status); err != nil {
		t.Fatal(err)
	}
	return apierrors.FromObject(&status)
}

func TestWhatCannotBeChangedIsKnown(t *testing.T) {
	files, err := filepath.Glob("testdata/immutable/*.json")
	if err != nil || len(files) != len(fixedFields)+1 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for name, field := range fixedFields {
		err := refusal(t, name)
		if causes := immutable(err); len(causes) != 1 || causes[0].Field != field {
			t.Errorf("%s: %v", name, causes)
		}
		text := explain(kubernetes.Ref{Kind: "Thing", Name: "x"}, err)
		if lines := fault.Lines(text); fault.KindOf(text) != fault.BadInput || !strings.HasPrefix(lines[0], "Thing x: "+field+" cannot be changed") ||
			slices.ContainsFunc(lines, func(l string) bool { return len(l) > 500 || strings.ContainsRune(l, '\n') }) {
			t.Errorf("%s: %q", name, lines)
		}
	}
	// A new object would not be accepted either, so that nothing may be deleted for it.
	err = refusal(t, "not-only")
	if got := immutable(err); got != nil {
		t.Errorf("it is wrong in another way too: %v", got)
	}
	if lines := fault.Lines(explain(kubernetes.Ref{Kind: "Deployment", Name: "x"}, err)); len(lines) != 3 || !strings.HasPrefix(lines[0], "Deployment x is not valid") {
		t.Errorf("it reads %q", lines)
	}
	if got := immutable(errors.New("field is immutable")); got != nil {
		t.Errorf("no answer of an API server: %v", got)
	}
}

func TestTheWorstProblemDecides(t *testing.T) {
	failed, bad, unknown := fault.Failedf("failed"), fault.BadInputf("bad").WithDetail("why").WithNext("do"), errors.New("what")
	for name, test := range map[string]struct {
		problems []error
		want     fault.Kind
	}{
		"a gate": {[]error{failed, failed}, fault.Failed}, "what the author changes": {[]error{failed, bad}, fault.BadInput},
		"what is not known": {[]error{unknown, bad, failed}, fault.Undetermined}, "not known last": {[]error{failed, bad, unknown}, fault.Undetermined}, "alone": {[]error{unknown}, fault.Undetermined},
	} {
		if err := joined(test.problems, 5); fault.KindOf(err) != test.want {
			t.Errorf("%s: kind %d", name, fault.KindOf(err))
		}
	}
	if err := joined(nil, 5); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if got, want := fault.Lines(joined([]error{bad, bad, unknown}, 5)), []string{"3 of 5 objects cannot be applied", "bad", "  why", "bad", "  why", "what", "do"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := fault.Lines(joined(slices.Repeat([]error{failed}, 500), 500)); len(got) != 22 || got[21] != "… and 480 more" {
		t.Errorf("%d lines: %q", len(got), got[len(got)-1])
	}
}

func TestOrder(t *testing.T) {
	want := strings.Fields("Namespace CustomResourceDefinition ClusterRole ServiceAccount Secret ConfigMap Service Certificate Deployment Job HorizontalPodAutoscaler Ingress ValidatingWebhookConfiguration")
	got := slices.Clone(want)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	slices.SortStableFunc(got, func(a, b string) int { return rank(kubernetes.Ref{Kind: a}) - rank(kubernetes.Ref{Kind: b}) })
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for kind, first := range map[string]bool{"ClusterRoleBinding": true, "NetworkPolicy": false, "Certificate": false} {
		if got := rank(kubernetes.Ref{Kind: kind}) < rankRest; got != first {
			t.Errorf("%s comes before the wait: %t", kind, got)
		}
	}
}

// broken is a cluster of which nothing can be known. A deletion of it is a failure of the test.
type broken struct{ t *testing.T }

var errBroken = errors.New("the line is cut")

func (broken) Get(context.Context, kubernetes.Ref) (*kubernetes.Object, error) { return nil, errBroken }
func (broken) Apply(_ context.Context, _ *kubernetes.Object, o kubernetes.ApplyOptions) (*kubernetes.Object, error) {
	return nil, errBroken
}
func (broken) Adopt(context.Context, kubernetes.Ref) error { return errBroken }
func (broken) PlanAdoption(context.Context, *kubernetes.Object, *kubernetes.Object) (*kubernetes.Object, error) {
	return nil, errBroken
}
func (b broken) Delete(context.Context, kubernetes.Ref, types.UID) error {
	b.t.Error("something is deleted")
	return nil
}
func (broken) Scope(context.Context, schema.GroupVersionKind) (bool, error) { return true, nil }

func TestWhatIsNotKnownIsNeverAPass(t *testing.T) {
	c := broken{t}
	set := []kubernetes.Object{*saved(t, "testdata/diff/deployment/given.json"), *saved(t, "testdata/diff/service/given.json")}
	refs := []kubernetes.Ref{kubernetes.RefOf(&set[0])}
	for name, run := range map[string]func() error{
		"plan":    func() error { _, err := Plan(t.Context(), c, set, Options{}); return err },
		"apply":   func() error { _, err := Apply(t.Context(), c, set, Options{Force: true, Recreate: true}); return err },
		"orphans": func() error { _, _, err := Orphans(t.Context(), c, nil, refs, "checkout"); return err },
		"leaving": func() error { _, err := Leaving(t.Context(), c, refs); return err },
		"prune":   func() error { _, err := Prune(t.Context(), c, refs, "checkout", 10, nil); return err },
	} {
		if err := run(); err == nil || fault.KindOf(err) != fault.Undetermined || !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnEmptySetIsNothingToDo(t *testing.T) {
	changes, err := Apply(t.Context(), broken{t}, nil, Options{})
	if err != nil || len(changes) != 0 {
		t.Errorf("%v, %v", changes, err)
	}
}

func TestAnObjectWithoutServiceIsNotApplied(t *testing.T) {
	o := *saved(t, "testdata/diff/service/given.json")
	o.SetLabels(nil)
	if _, err := Plan(t.Context(), broken{t}, []kubernetes.Object{o}, Options{}); err == nil || !strings.Contains(err.Error(), "has no label idp/service") {
		t.Errorf("it is %v", err)
	}
	o = *saved(t, "testdata/diff/service/given.json")
	_, err := Plan(t.Context(), broken{t}, []kubernetes.Object{o, o}, Options{})
	if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), "Service checkout is in the set twice") {
		t.Errorf("it is %v", err)
	}
}
