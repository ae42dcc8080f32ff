//go:build e2e

package clustertarget_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/target"
	"github.com/org/idp/internal/testkit/cluster"
)

// before is what runs in a namespace that no release has been in: without pods, so that many cases are quick.
const before = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {team: a}, annotations: {note: by hand}}
data: {MODE: old, ONLY: here}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {team: a}}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: app, image: example.com/old, env: [{name: A, value: "1"}]}]}
`

// version is what a release makes of it. The selector of the Deployment is one that cannot be changed in place where other is.
func version(name string, other bool) string {
	text := strings.NewReplacer("MODE: old, ONLY: here", "MODE: "+name, "note: by hand", "note: by idp", "targetPort: 8080", "targetPort: 8081", "example.com/old", "example.com/"+name,
		`value: "1"`, `value: "2"`).Replace(before)
	if other {
		text = strings.ReplaceAll(text, "app: shop}", "app: shop, new: as}")
	}
	return text + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: fresh}\n"
}

// site is a namespace with what was there before.
type site struct {
	t       *testing.T
	address string // of the API server
	ns      string
	was     map[string]string
}

var numbers struct {
	sync.Mutex
	next int
}

func newSite(t *testing.T, address string) *site {
	t.Helper()
	numbers.Lock()
	numbers.next++
	s := &site{t: t, address: address, ns: fmt.Sprintf("idp-given-%d-%d", time.Now().UnixNano(), numbers.next)}
	numbers.Unlock()
	s.call(http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": s.ns}})
	t.Cleanup(func() { s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns, nil) })
	for _, o := range s.objects(before, "") {
		s.call(http.MethodPost, s.path(&o, "")+"?fieldManager=kubectl-client-side-apply", o.Object)
	}
	s.was = s.is()
	return s
}

func (s *site) path(o *kubernetes.Object, name string) string {
	prefix := "/api/"
	if strings.Contains(o.GetAPIVersion(), "/") {
		prefix = "/apis/"
	}
	return strings.TrimSuffix(prefix+o.GetAPIVersion()+"/namespaces/"+s.ns+"/"+strings.ToLower(o.GetKind())+"s/"+name, "/")
}

// call asks the API server as an administrator.
func (s *site) call(method, path string, body any) []byte {
	s.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.address+path, bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 && res.StatusCode != http.StatusNotFound {
		s.t.Fatalf("%s %s: %s %v\n%s", method, path, res.Status, err, answer)
	}
	if res.StatusCode == http.StatusNotFound {
		return nil
	}
	return answer
}

func (s *site) objects(text, service string) (list []kubernetes.Object) {
	s.t.Helper()
	for part := range strings.SplitSeq(text, "---\n") {
		var o kubernetes.Object
		if err := yaml.Unmarshal([]byte(part), &o.Object); err != nil {
			s.t.Fatal(err)
		}
		data, err := o.MarshalJSON() // numbers as the API machinery has them
		if err == nil {
			err = o.UnmarshalJSON(data)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		o.SetNamespace(s.ns)
		if labels := o.GetLabels(); service != "" {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[kubernetes.LabelService] = service
			o.SetLabels(labels)
		}
		list = append(list, o)
	}
	return list
}

// is what people see of the objects, each with who set its fields.
func (s *site) is() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, o := range s.objects(version("any", false), "") {
		data := s.call(http.MethodGet, s.path(&o, o.GetName()), nil)
		if data == nil {
			continue
		}
		var live kubernetes.Object
		if err := live.UnmarshalJSON(data); err != nil {
			s.t.Fatal(err)
		}
		var owners []string
		for _, e := range live.GetManagedFields() {
			if e.Subresource == "" {
				owners = append(owners, fmt.Sprintf("%s %s %s", e.Manager, e.Operation, e.FieldsV1.GetRawString()))
			}
		}
		slices.Sort(owners)
		annotations := live.GetAnnotations()
		if delete(annotations, "deployment.kubernetes.io/revision"); len(annotations) == 0 { // which the controller counts on
			annotations = nil
		}
		spec, _ := live.Object["spec"].(map[string]any)
		for _, key := range []string{"clusterIP", "clusterIPs"} { // those of a Service that was made anew
			delete(spec, key)
		}
		text, err := json.Marshal([]any{live.GetLabels(), annotations, spec, live.Object["data"], owners})
		if err != nil {
			s.t.Fatal(err)
		}
		all[live.GetKind()+" "+live.GetName()] = string(text)
	}
	return all
}

// target is the service, by a process of its own: deployed through an address of the API server, with time five times as fast.
func (s *site) target(address, who, image string, other bool) clustertarget.Target {
	s.t.Helper()
	begun := time.Now()
	now := func() time.Time { return begun.Add(5 * time.Since(begun)) }
	c, err := kubernetes.Connect(kubernetes.Options{Data: cluster.Front{Address: address}.Kubeconfig(), Agent: "idp-test", Now: now})
	if err != nil {
		s.t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat(image[:1], 64)
	return clustertarget.Target{
		Inputs: clustertarget.Inputs{Wait: 3 * time.Minute, Service: "shop", Environment: "staging", Namespace: s.ns, Holder: release.Holder{ID: who, Run: who},
			Image: "example.com/" + image + "@" + digest, Digest: digest, Commit: strings.Repeat("c", 40), Set: s.objects(version(image, other), "shop"), Strategy: "rolling",
			Recreate: true, PruneMax: 10, Tested: true},
		Deps: clustertarget.Deps{Cluster: c, Clock: release.Clock{Now: now, Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d / 5):
				return nil
			}
		}}},
	}
}

func allow(context.Context, *record.Deployment) error { return nil }

// deployed is a release that is live and not yet tested.
func (s *site) deployed(t clustertarget.Target) target.Outputs {
	s.t.Helper()
	out, err := t.Deploy(s.t.Context(), allow)
	if err != nil {
		s.t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	return out
}

func (s *site) wantBefore(when string) {
	s.t.Helper()
	got := s.is()
	for _, name := range slices.Sorted(maps.Keys(s.was)) {
		if got[name] != s.was[name] {
			s.t.Errorf("%s %s is\n%s\nand was\n%s", when, name, got[name], s.was[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		s.t.Errorf("%s there is also %v", when, slices.Sorted(maps.Keys(got)))
	}
}

const restored = "back on what was there before the first release"

// marksFailed knows the request from which on what was there is given back.
func marksFailed(r *http.Request, body []byte) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/secrets/idp.shop.v1") && bytes.Contains(body, []byte(`"idp/state":"failed"`))
}

// Whatever request is refused or lost while a failed first release gives back what it took over, and whichever the process dies
// at, nothing of what was there is lost: it is back, or the run says that it is not known, and the next one puts it back.
func TestClusterGivesBackThroughFaults(t *testing.T) {
	t.Parallel()
	address := cluster.Open(t).Address(t)
	for _, kind := range []string{"in place", "anew"} {
		requests := 0
		t.Run(kind+"/whole", func(t *testing.T) {
			s, n := newSite(t, address), nth{at: -1}
			s.rollBack(&n, kind == "anew")
			if requests = n.seen; requests < alwaysMade {
				t.Fatalf("only %d requests", requests)
			}
			t.Logf("%d requests", requests)
		})
		for i := range requests {
			broken := []cluster.Fault{cluster.Refuse, cluster.Cut, cluster.Lose}[i%3]
			t.Run(fmt.Sprintf("%s/%d of %d/broken", kind, i, requests), func(t *testing.T) {
				t.Parallel()
				newSite(t, address).rollBack(&nth{at: i, fault: broken}, kind == "anew")
			})
			if i%2 > 0 {
				continue // half of the moments are enough for what is the same as a request that is cut
			}
			then := []string{"post", "deploy", "fail", "other"}[i/2%4]
			t.Run(fmt.Sprintf("%s/%d of %d/killed, then %s", kind, i, requests, then), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, address)
				if s.killed(&nth{at: i, fault: []cluster.Fault{cluster.Cut, cluster.Lose}[i/8%2], dead: true}, kind == "anew") {
					s.heals(then, kind == "anew")
				}
			})
		}
	}
}

// Where the history is lost, a first release that fails is the first of its kind only by name: what it did not change is not its own.
func TestClusterKeepsWhatALostHistoryHad(t *testing.T) {
	t.Parallel()
	address := cluster.Open(t).Address(t)
	s := newSite(t, address)
	good := s.target(address, "one", "good", false)
	if err := good.Confirm(t.Context(), s.deployed(good).Evidence.Release); err != nil {
		t.Fatal(err)
	}
	s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns+"/secrets/idp.shop.v1", nil)
	s.was = s.is()
	for _, who := range []string{"two", "three"} { // the second one knows what the first one has given back
		bad := s.target(address, who, "good", false)
		for i := range bad.Set {
			if o := &bad.Set[i]; o.GetKind() == "Deployment" {
				o.SetAnnotations(map[string]string{"note": who})
			}
		}
		bad.Digest = "sha256:" + strings.Repeat("b", 64)
		back, err := bad.Rollback(t.Context(), s.deployed(bad).Evidence)
		if err != nil || back.Summary != restored {
			t.Errorf("%q, %v", back.Summary, err)
		}
		s.wantBefore("after " + who)
	}
	// What somebody deletes now is not the service's to bring back.
	s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns+"/configmaps/settings", nil)
	delete(s.was, "ConfigMap settings")
	other := s.target(address, "four", "bad", false)
	other.Set = slices.DeleteFunc(other.Set, func(o kubernetes.Object) bool { return o.GetName() == "settings" })
	if _, err := other.Rollback(t.Context(), s.deployed(other).Evidence); err != nil {
		t.Error(err)
	}
	s.wantBefore("after a deploy without it")
}

// A namespace that is being deleted takes all with it, and the run says so.
func TestClusterSaysThatItsNamespaceGoes(t *testing.T) {
	t.Parallel()
	address := cluster.Open(t).Address(t)
	s := newSite(t, address)
	n := &nth{at: -1}
	gone := false
	front := cluster.NewFront(t, address, func(r *http.Request, body []byte) cluster.Fault {
		if n.decide(r, body); n.begun && !gone {
			gone = true
			s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns, nil)
			for s.call(http.MethodGet, "/apis/coordination.k8s.io/v1/namespaces/"+s.ns+"/leases/idp.shop", nil) != nil {
				time.Sleep(50 * time.Millisecond)
			}
		}
		return cluster.None
	})
	bad := s.target(front.Address, "first", "bad", false)
	out := s.deployed(bad)
	back, err := bad.Rollback(t.Context(), out.Evidence)
	text := fmt.Sprint(err)
	if err == nil || fault.KindOf(err) != fault.Undetermined || strings.Contains(text, "another deploy") || strings.Contains(text+back.Summary, "back on") {
		t.Errorf("it says %q, %v", back.Summary, err)
	}
	t.Log(strings.Join(fault.Lines(err), "\n"))
}

// nth breaks a request of those after the failure was written down, or that one and all after it.
type nth struct {
	mu    sync.Mutex
	seen  int
	begun bool
	at    int
	fault cluster.Fault
	dead  bool
	what  string
}

func (n *nth) decide(r *http.Request, body []byte) cluster.Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.begun = n.begun || marksFailed(r, body); !n.begun {
		return cluster.None
	}
	if strings.Contains(r.URL.Path, "/leases/") { // which are written now and then
		if n.dead && n.what != "" {
			return cluster.Cut
		}
		return cluster.None
	}
	i := n.seen
	n.seen++
	switch {
	case n.at < 0 || i < n.at:
	case i == n.at:
		n.what = r.Method + " " + r.URL.Path
		return n.fault
	case n.dead:
		return cluster.Cut
	}
	return cluster.None
}

// rollBack takes back a first release with one request broken, and what it says is true.
func (s *site) rollBack(n *nth, anew bool) {
	s.t.Helper()
	front := cluster.NewFront(s.t, s.address, n.decide)
	bad := s.target(front.Address, "first", "bad", anew)
	out := s.deployed(bad)
	if got := s.is(); got["Deployment shop"] == s.was["Deployment shop"] || got["ConfigMap fresh"] == "" {
		s.t.Fatalf("it has not taken over: %v", got)
	}
	back, err := bad.Rollback(s.t.Context(), out.Evidence)
	s.t.Logf("%s: %q, %v", n.what, back.Summary, err)
	if err == nil {
		if back.Summary != restored {
			s.t.Errorf("it says %q", back.Summary)
		}
		s.wantBefore("after it")
		return
	}
	if fault.KindOf(err) != fault.Undetermined {
		s.t.Errorf("it is %v: %v", fault.KindOf(err), err)
	}
	s.heals("post", anew)
}

// alwaysMade is how many requests giving back takes at least. How many more depends on how often it has to look until all is there.
const alwaysMade = 20

// killed takes back a first release by a process that dies; false where it was done before the request that it was to die at.
func (s *site) killed(n *nth, anew bool) bool {
	s.t.Helper()
	front := cluster.NewFront(s.t, s.address, n.decide)
	bad := s.target(front.Address, "first", "bad", anew)
	out := s.deployed(bad)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	dead := bad
	sleep := bad.Clock.Sleep
	dead.Clock.Sleep = func(ctx context.Context, d time.Duration) error {
		if n.died() {
			return errors.New("dead")
		}
		return sleep(ctx, d)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := dead.Rollback(ctx, out.Evidence)
		ended <- err
	}()
	for !n.died() {
		select {
		case err := <-ended:
			if n.died() {
				return true
			}
			if err != nil || n.at < alwaysMade {
				s.t.Fatalf("it ended without request %d: %v", n.at, err)
			}
			s.wantBefore("after it")
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

func (n *nth) died() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.what != ""
}

// heals is what comes after a rollback that did not come to its end.
func (s *site) heals(then string, anew bool) {
	s.t.Helper()
	next := s.target(s.address, "next", "good", anew)
	switch then {
	case "post":
		back, err := next.Recover(s.t.Context(), "first")
		if err != nil || back.Summary != restored && back.Summary != "" {
			s.t.Errorf("post: %q, %v", back.Summary, err)
		}
		s.t.Logf("post: %q", back.Summary)
		s.wantBefore("after post")
	case "deploy":
		out := s.deployed(next)
		if err := next.Confirm(s.t.Context(), out.Evidence.Release); err != nil {
			s.t.Error(err)
		}
		if got := s.is(); !strings.Contains(got["Deployment shop"], "example.com/good") || !strings.Contains(got["ConfigMap settings"], "good") || strings.Contains(got["Service shop"], `8080`) {
			s.t.Errorf("after a deploy: %v", got)
		}
	case "fail":
		out := s.deployed(next)
		back, err := next.Rollback(s.t.Context(), out.Evidence)
		if err != nil || back.Summary != restored {
			s.t.Errorf("after another one that fails: %q, %v", back.Summary, err)
		}
		s.wantBefore("after another one that fails")
	case "other": // whose files have only the new ConfigMap
		next.Set = slices.DeleteFunc(next.Set, func(o kubernetes.Object) bool { return o.GetName() != "fresh" })
		out := s.deployed(next)
		if err := next.Confirm(s.t.Context(), out.Evidence.Release); err != nil {
			s.t.Error(err)
		}
		if s.is()["ConfigMap fresh"] == "" {
			s.t.Error("what was deployed is not there")
		}
		s.was["ConfigMap fresh"] = s.is()["ConfigMap fresh"]
		s.wantBefore("after a deploy without it")
	}
}
