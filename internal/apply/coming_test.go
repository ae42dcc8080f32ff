package apply

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// slow is a cluster that knows of a kind and a namespace only some answers after it has got them.
type slow struct {
	t       *testing.T
	objects map[kubernetes.Ref]*kubernetes.Object
	lag     []error // of the answers about the rest, one after the other, once the definition and the namespace are there
}

func (s *slow) answer(ref kubernetes.Ref) error {
	if ref.Kind != "Gadget" {
		return nil
	}
	if len(s.objects) < 2 {
		return &kubernetes.UnknownKindError{GVK: ref.GVK()}
	}
	if len(s.lag) == 0 {
		return nil
	}
	err := s.lag[0]
	if len(s.lag) > 1 {
		s.lag = s.lag[1:]
	}
	return err
}

func (s *slow) Get(_ context.Context, ref kubernetes.Ref) (*kubernetes.Object, error) {
	var unknown *kubernetes.UnknownKindError
	if err := s.answer(ref); errors.As(err, &unknown) {
		return nil, err
	}
	return s.objects[ref], nil // what there is no place for is not there
}

func (s *slow) Apply(_ context.Context, o *kubernetes.Object, options kubernetes.ApplyOptions) (*kubernetes.Object, error) {
	if err := s.answer(kubernetes.RefOf(o)); err != nil {
		return nil, err
	}
	if !options.DryRun {
		s.objects[kubernetes.RefOf(o)] = o
	}
	return o.DeepCopy(), nil
}

func (s *slow) Scope(_ context.Context, gvk schema.GroupVersionKind) (bool, error) {
	if gvk.Kind == "Gadget" {
		return false, &kubernetes.UnknownKindError{GVK: gvk}
	}
	return false, nil
}

func (s *slow) Adopt(context.Context, kubernetes.Ref) error { return s.never() }

func (s *slow) Delete(context.Context, kubernetes.Ref, types.UID) error { return s.never() }

func (s *slow) PlanAdoption(context.Context, *kubernetes.Object, *kubernetes.Object) (*kubernetes.Object, error) {
	return nil, s.never()
}

func (s *slow) never() error {
	s.t.Error("it is asked for what nobody wants")
	return errors.New("never")
}

var newKind = []string{
	"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gadgets.example.com}\nspec: {group: example.com, names: {kind: Gadget}, scope: Namespaced}",
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: new}",
	"apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: one, namespace: new}",
}

// An API server says that it has a kind or a namespace before all of it knows: that is waited for, and no verdict.
func TestWhatASetBringsIsWaitedFor(t *testing.T) {
	unknown := &kubernetes.UnknownKindError{GVK: schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Gadget"}}
	noPlace := apierrors.NewGenericServerResponse(404, "patch", schema.GroupResource{}, "", "404 page not found", 0, false)
	noNamespace := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "new")
	for name, c := range map[string]struct {
		lag  []error
		fine bool
	}{
		"at once":                {nil, true},
		"the kind":               {[]error{unknown, unknown, nil}, true},
		"the place of the kind":  {[]error{nil, noPlace, nil, noPlace, nil}, true},
		"the namespace":          {[]error{nil, noNamespace, nil, noNamespace, nil}, true},
		"the kind never comes":   {[]error{unknown}, false},
		"the place never comes":  {[]error{noPlace}, false},
		"something else is said": {[]error{nil, errors.New("no route")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slow{t: t, objects: map[kubernetes.Ref]*kubernetes.Object{}, lag: c.lag}
				var set []kubernetes.Object
				for _, text := range newKind {
					o := kubernetes.Object{}
					if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
						t.Fatal(err)
					}
					o.SetLabels(map[string]string{kubernetes.LabelService: "shop"})
					set = append(set, o)
				}
				done, err := Apply(t.Context(), s, set, Options{})
				if c.fine && (err != nil || len(done) != 3 || done[2].Action != Create || done[2].Unchecked != "") {
					t.Errorf("%v, %v", done, err)
				}
				if !c.fine && (err == nil || fault.KindOf(err) != fault.Undetermined || len(done) != 2) {
					t.Errorf("kind %v: %v, after %d", fault.KindOf(err), err, len(done))
				}
			})
		})
	}
}
