package release

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// cluster keeps objects as an API server does: with versions, and refusing what was read before somebody else wrote.
type cluster struct {
	mu      sync.Mutex
	objects map[kubernetes.Ref]*kubernetes.Object
	version int
	down    error // every request fails with it
}

func newCluster() *cluster { return &cluster{objects: map[kubernetes.Ref]*kubernetes.Object{}} }

func (c *cluster) enter() (leave func(), err error) {
	c.mu.Lock()
	return c.mu.Unlock, c.down
}

func (c *cluster) Get(_ context.Context, ref kubernetes.Ref) (*kubernetes.Object, error) {
	leave, err := c.enter()
	defer leave()
	if o := c.objects[ref]; o != nil && err == nil {
		return o.DeepCopy(), nil
	}
	return nil, err
}

func (c *cluster) List(_ context.Context, q kubernetes.Query) ([]kubernetes.Object, error) {
	leave, err := c.enter()
	defer leave()
	key, value, _ := strings.Cut(q.Labels, "=")
	var list []kubernetes.Object
	for ref, o := range c.objects {
		if err == nil && ref.Kind == q.Kind && ref.Namespace == q.Namespace && o.GetLabels()[key] == value {
			list = append(list, *o.DeepCopy())
		}
	}
	return list, err
}

func (c *cluster) Create(_ context.Context, o *kubernetes.Object) (*kubernetes.Object, error) {
	leave, err := c.enter()
	defer leave()
	ref := kubernetes.RefOf(o)
	if c.objects[ref] != nil && err == nil {
		err = apierrors.NewAlreadyExists(schema.GroupResource{Resource: ref.Kind}, ref.Name)
	}
	return c.put(ref, o, err)
}

func (c *cluster) Update(_ context.Context, o *kubernetes.Object) (*kubernetes.Object, error) {
	leave, err := c.enter()
	defer leave()
	ref := kubernetes.RefOf(o)
	if old := c.objects[ref]; err == nil && (old == nil || old.GetResourceVersion() != o.GetResourceVersion()) {
		err = apierrors.NewConflict(schema.GroupResource{Resource: ref.Kind}, ref.Name, fmt.Errorf("it was changed"))
	}
	return c.put(ref, o, err)
}

func (c *cluster) put(ref kubernetes.Ref, o *kubernetes.Object, err error) (*kubernetes.Object, error) {
	if err != nil {
		return nil, err
	}
	size := 0
	data, _, _ := unstructured.NestedStringMap(o.Object, "data")
	for _, value := range data {
		size += base64.StdEncoding.DecodedLen(len(value)) - strings.Count(value, "=")
	}
	if size > corev1.MaxSecretSize {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: ref.Kind}, ref.Name, field.ErrorList{field.TooLong(field.NewPath("data"), "", corev1.MaxSecretSize)})
	}
	c.version++
	o = o.DeepCopy()
	o.SetResourceVersion(strconv.Itoa(c.version))
	o.SetUID(types.UID(ref.Name))
	c.objects[ref] = o
	return o.DeepCopy(), nil
}

func (c *cluster) Delete(_ context.Context, ref kubernetes.Ref, _ types.UID) error {
	leave, err := c.enter()
	defer leave()
	if err == nil {
		delete(c.objects, ref)
	}
	return err
}

func (c *cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = err
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func history(c *cluster) History {
	now := noon
	return History{Cluster: c, Namespace: "shop", Service: "checkout", Now: func() time.Time { now = now.Add(time.Minute); return now }}
}

func set(names ...string) []kubernetes.Object {
	var list []kubernetes.Object
	for _, name := range names {
		o := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"n": "1"}, "immutable": true}}
		o.SetName(name)
		o.SetNamespace("shop")
		list = append(list, o)
	}
	return list
}

func begin(t *testing.T, h History, digest string, names ...string) *Release {
	t.Helper()
	r, err := h.Begin(t.Context(), Release{Digest: digest, Commit: digest, Environment: "staging", Source: Source{Repository: "acme/checkout", ID: "7"}}, set(names...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func settle(t *testing.T, h History, r *Release, s State) {
	t.Helper()
	if err := h.Settle(t.Context(), r, s); err != nil {
		t.Fatal(err)
	}
}

// states are the kept releases as NAME STATE, the newest first.
func states(t *testing.T, h History) string {
	t.Helper()
	list, err := h.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, r := range list {
		texts = append(texts, r.Name()+" "+string(r.State))
	}
	return strings.Join(texts, ", ")
}

func TestLifeOfReleases(t *testing.T) {
	t.Parallel()
	h := history(newCluster())
	if list, err := h.List(t.Context()); err != nil || Current(list) != nil || Fallback(list, 0) != nil {
		t.Errorf("before the first: %v %v", list, err)
	}
	one := begin(t, h, "a", "config")
	if got := states(t, h); got != "v1 pending" {
		t.Error(got)
	}
	settle(t, h, one, Live)
	settle(t, h, one, Good)
	healthy := one.Healthy
	two := begin(t, h, "b", "config", "extra")
	settle(t, h, two, Live)
	three := begin(t, h, "c", "config")
	if err := h.Mark(t.Context(), three, Failed, "crash loop"); err != nil {
		t.Fatal(err)
	}
	if got := states(t, h); got != "v3 failed, v2 live, v1 superseded" {
		t.Error(got)
	}
	list, err := h.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := Current(list); c == nil || c.Number != 2 || !c.Healthy.After(healthy) {
		t.Errorf("current is %+v", c)
	}
	if list[0].Reason != "crash loop" || !list[0].Healthy.IsZero() || list[2].Healthy != (time.Time{}) {
		t.Errorf("%+v", list)
	}
	// v2 was never proven, v1 was: that is where a failed v3 goes back to, though v2 is live.
	if f := Fallback(list, 3); f == nil || f.Number != 1 {
		t.Errorf("fallback of v3 is %+v", f)
	}
	if f := Fallback(list[:2], 3); f == nil || f.Number != 2 {
		t.Errorf("without a proven one it is %+v", f)
	}
	var names []string
	for _, ref := range Inventory(list) {
		names = append(names, ref.Name)
	}
	if !slices.Equal(names, []string{"config", "extra"}) {
		t.Errorf("inventory %v", names)
	}
	if list[1].Source != (Source{Repository: "acme/checkout", ID: "7"}) {
		t.Errorf("it is of %+v", list[1].Source)
	}
	restored, err := list[1].Set()
	if err != nil || len(restored) != 2 || restored[1].GetName() != "extra" || restored[0].Object["immutable"] != true {
		t.Errorf("%v %v", restored, err)
	}
}

func TestHistoryKeepsTenAndWhatIsGood(t *testing.T) {
	t.Parallel()
	h := history(newCluster())
	settle(t, h, begin(t, h, "good", "config"), Good)
	for i := range 15 {
		settle(t, h, begin(t, h, strconv.Itoa(i), "config"), Live)
	}
	want := "v16 live"
	for n := 15; n > 6; n-- {
		want += fmt.Sprintf(", v%d superseded", n)
	}
	if got := states(t, h); got != want+", v1 superseded" {
		t.Error(got)
	}
}

func TestTwoWritersAreToldApart(t *testing.T) {
	t.Parallel()
	c := newCluster()
	h := history(c)
	mine := begin(t, h, "a", "config")
	theirs := *mine
	if err := h.Mark(t.Context(), &theirs, Failed, "they"); err != nil {
		t.Fatal(err)
	}
	if err := h.Mark(t.Context(), mine, Live, ""); !kubernetes.IsConflict(err) {
		t.Errorf("a release was marked that another one had changed: %v", err)
	}
}

func TestReleasesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(map[string]any){
		"no release": func(d map[string]any) { delete(d, keyRelease) },
		"not base64": func(d map[string]any) { d[keyRelease] = "%" },
		"not JSON":   func(d map[string]any) { d[keyRelease] = "AAAA" },
		"no number":  func(d map[string]any) { d[keyRelease] = "e30=" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			h := history(c)
			begin(t, h, "a", "config")
			for _, o := range c.objects {
				damage(o.Object["data"].(map[string]any))
			}
			list, err := h.List(t.Context())
			if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "idp.checkout.v1") {
				t.Errorf("%v %v", list, err)
			}
		})
	}
	t.Run("set", func(t *testing.T) {
		t.Parallel()
		if _, err := (Release{Number: 1, set: []byte("not gzip")}).Set(); fault.KindOf(err) != fault.Undetermined || err == nil {
			t.Error(err)
		}
	})
}

// What a Secret cannot hold is refused before there is anything of it, whether it is large itself, for what it took over, or for the
// number of its objects; the plan knows it too.
func TestAReleaseThatDoesNotFitIsNotBegun(t *testing.T) {
	t.Parallel()
	half := noise(largest * 6 / 10 * 100 / 65) // of which each character has 5.2 bits
	big, other := set("config"), set("small", "other")
	big[0].Object["data"], other[1].Object["data"] = map[string]any{"x": half}, map[string]any{"x": half[1:]}
	var many []string
	for i := range 6000 {
		many = append(many, fmt.Sprintf("one-of-the-many-objects-of-this-service-%d", i))
	}
	for name, tc := range map[string]struct {
		set, found []kubernetes.Object
		says       string
	}{
		"itself":            {slices.Concat(big, other), nil, "ConfigMap config: "},
		"what it took over": {big, other, "ConfigMap other as it was before, which is kept too: "},
		"its inventory":     {slices.Concat(big, set(many...)), nil, "ConfigMap config: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			h := history(c)
			_, err := h.Begin(t.Context(), Release{}, tc.set, tc.found)
			for _, err := range []error{err, h.Fits(tc.set, tc.found)} {
				if err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(strings.Join(fault.Lines(err), "\n"), tc.says) || !strings.Contains(err.Error(), "at most 1000") {
					t.Error(err)
				}
			}
			if len(c.objects) > 0 {
				t.Errorf("there is %v", c.objects)
			}
		})
	}
	if err := history(newCluster()).Fits(big, nil); err != nil {
		t.Error(err)
	}
}

// The largest release that is begun can be marked with a reason of any length, and can be put back.
func TestWhatIsBegunCanBeEnded(t *testing.T) {
	t.Parallel()
	h := history(newCluster())
	text, large := noise(largest*2), set("config")
	put := func(n int) { large[0].Object["data"] = map[string]any{"x": text[:n]} }
	put(len(text))
	all, err := pack(large)
	n := len(text) * largest / len(all)
	for put(n); h.Fits(large, nil) != nil; put(n) {
		n -= 1 << 10
	}
	if put(n - 1<<10); err != nil { // for the names in a release
		t.Fatal(err)
	}
	one, err := h.Begin(t.Context(), Release{Digest: "a"}, large, nil)
	if err != nil || len(one.set) < largest-4<<10 {
		t.Fatalf("%d bytes: %v", len(one.set), err)
	}
	settle(t, h, &one, Good)
	two := begin(t, h, "b", "config")
	if err := h.Mark(t.Context(), two, Failed, strings.Repeat("<", 1<<20)); err != nil || !strings.HasSuffix(two.Reason, "<…") {
		t.Errorf("%v: %q", err, two.Reason)
	}
	again, err := h.Begin(t.Context(), Release{Digest: "a", Restores: 1}, large, nil, kubernetes.RefOf(&set("canary")[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Release{&one, &again} {
		if err := h.Mark(t.Context(), r, Failed, strings.Repeat("<é", 1<<20)); err != nil {
			t.Error(err)
		}
	}
	if got := states(t, h); got != "v3 failed, v2 failed, v1 failed" {
		t.Error(got)
	}
}

// What a release found stays with it, whatever is marked later.
func TestFound(t *testing.T) {
	t.Parallel()
	h := history(newCluster())
	r, err := h.Begin(t.Context(), Release{}, set("config", "deployment"), set("config"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Mark(t.Context(), &r, Failed, "it did not start"); err != nil {
		t.Fatal(err)
	}
	begin(t, h, "a", "config")
	list, err := h.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, want := range []int{0, 1} { // the newest first
		if found, err := list[i].Found(); err != nil || len(found) != want || want > 0 && found[0].GetName() != "config" {
			t.Errorf("%s found %v, %v", list[i].Name(), found, err)
		}
	}
	if found, err := (Release{Number: 1, found: []byte("not gzip")}).Found(); fault.KindOf(err) != fault.Undetermined || err == nil {
		t.Errorf("%v, %v", found, err)
	}
}

// noise is text that hardly compresses, the same every time.
func noise(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteString(strconv.FormatUint(x, 36))
	}
	return b.String()
}
