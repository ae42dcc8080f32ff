package rollout_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
)

var update = flag.Bool("update", false, "write the expected texts")

// state is what a real cluster had at one moment, as the tests on a cluster write it with -capture. It answers as the
// cluster would have, and time passes only while somebody sleeps.
type state struct {
	At   time.Time         `json:"at"`
	Said map[string]string `json:"logs"` // by pod, container and whether of the one before
	Set  []map[string]any  `json:"set"`
	Has  []map[string]any  `json:"objects"`

	t        *testing.T
	now      time.Time
	objects  []kubernetes.Object
	requests map[string]int
	fail     map[string]error // by kind
}

func load(t *testing.T, file string) *state {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &state{t: t, requests: map[string]int{}, fail: map[string]error{}}
	if err := yaml.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	if len(s.Set) == 0 || len(s.Has) == 0 {
		t.Fatalf("%s has no set or no objects", file)
	}
	s.now, s.objects = s.At, objects(t, s.Has)
	return s
}

func named(t *testing.T, name string) *state {
	t.Helper()
	return load(t, filepath.Join("testdata", "states", name+".yaml"))
}

func (s *state) set() []kubernetes.Object { return objects(s.t, s.Set) }

func objects(t *testing.T, from []map[string]any) []kubernetes.Object {
	list := make([]kubernetes.Object, len(from))
	for i := range from {
		o := kubernetes.Object{Object: from[i]}
		data, err := o.MarshalJSON() // numbers as the API machinery has them
		if err != nil {
			t.Fatal(err)
		}
		if err := list[i].UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func (s *state) Get(_ context.Context, ref kubernetes.Ref) (*kubernetes.Object, error) {
	s.requests["get"]++
	if err := s.fail[ref.Kind]; err != nil {
		return nil, err
	}
	for i := range s.objects {
		if kubernetes.RefOf(&s.objects[i]).Same(ref) {
			return s.objects[i].DeepCopy(), nil
		}
	}
	return nil, nil
}

func (s *state) List(_ context.Context, q kubernetes.Query) ([]kubernetes.Object, error) {
	s.requests["list"]++
	if err := s.fail[q.Kind]; err != nil {
		return nil, err
	}
	want, err := labels.Parse(q.Labels)
	if err != nil {
		s.t.Error(err)
	}
	uid, about := strings.CutPrefix(q.Fields, "involvedObject.uid=")
	if q.Fields != "" && !about || about != (q.Kind == "Event") {
		s.t.Errorf("an unexpected query: %+v", q)
	}
	var found []kubernetes.Object
	for _, o := range s.objects {
		involved, _, _ := unstructured.NestedString(o.Object, "involvedObject", "uid")
		if o.GetAPIVersion() == q.APIVersion && o.GetKind() == q.Kind && o.GetNamespace() == q.Namespace && want.Matches(labels.Set(o.GetLabels())) && involved == uid {
			found = append(found, *o.DeepCopy())
		}
	}
	return found, nil
}

func (s *state) Logs(_ context.Context, _, pod string, o kubernetes.LogOptions) ([]byte, error) {
	log, ok := s.Said[fmt.Sprintf("%s/%s/%t", pod, o.Container, o.Previous)]
	if !ok {
		return nil, errors.New("there is no log")
	}
	return []byte(log), nil
}

// KeepsStatus is true of every kind: those that the states were captured of do.
func (s *state) KeepsStatus(context.Context, schema.GroupVersionKind) (bool, error) {
	return true, s.fail["discovery"]
}

// wait waits with a minute's patience.
func (s *state) wait(ctx context.Context, o rollout.Options) (rollout.Ready, error) {
	o.Timeout = time.Minute
	o.Now = func() time.Time { return s.now }
	if o.Sleep == nil {
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			s.now = s.now.Add(d)
			return ctx.Err()
		}
	}
	return rollout.Wait(ctx, s, s.set(), o)
}

// TestStates looks at what a real cluster had and holds what a person reads then.
func TestStates(t *testing.T) {
	files, err := filepath.Glob("testdata/states/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			ready, err := load(t, file).wait(t.Context(), rollout.Options{})
			got := fmt.Sprintf("ready after %s, %d pods, notes %q\n", ready.After, ready.Pods, ready.Notes)
			if err != nil {
				got = strings.Join(fault.Lines(err), "\n") + "\n"
				if fault.KindOf(err) != fault.Failed {
					t.Errorf("the kind of the error is %v, want failed", fault.KindOf(err))
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
