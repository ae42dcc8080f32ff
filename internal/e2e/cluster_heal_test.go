//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// TestClusterHealsAfterAKill kills an upgrade at twenty moments, spread over all that it changes in the cluster, and deploys
// again: the new version, or in turn the old one.
func TestClusterHealsAfterAKill(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	sharedBench(t, c)
	var cut atomic.Int32
	t.Run("moments", func(t *testing.T) {
		for kind, n := range map[string]int{"rolling": 8, "canary": 6, "blue-green": 6} {
			s := settings{deploy: fmt.Sprintf("{strategy: %s}", kind)}
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				all := &moment{}
				upgradeThrough(newApp(t, c), s, all).wait(t).want(0)
				t.Logf("it changes something %d times", all.writes)
				if all.writes < 6 { // the release twice, the Deployment, the Service, …
					t.Fatal("these are not all")
				}
				for i := range n {
					t.Run(fmt.Sprintf("%d of %d", i+1, n), func(t *testing.T) {
						t.Parallel()
						a := newApp(t, c)
						m := newMoment(1+i*all.writes/n, i)
						r := upgradeThrough(a, s, m)
						m.kill(t, r)
						cut.Add(1)
						t.Logf("%s: releases %v", m, a.history())
						a.healed([]string{second, first}[i%2], s)
					})
				}
			})
		}
	})
	if cut.Load() != 20 {
		t.Errorf("%d of 20 were cut off", cut.Load())
	}
}

// moment is one of a run, by what it does to the cluster: so the machine may be as slow as it likes.
type moment struct {
	write  int // the number of the change, from 1 on; 0: none
	when   string
	writes int // so far

	mu      sync.Mutex
	reads   int           // since then
	reached chan struct{} // closed at the moment
	over    chan struct{} // closed when the run has ended, and what it asked last may go
}

const (
	unsent   = "before change" // which the API server does not see
	answered = "with the answer to change"
	later    = "a look after change"
)

func newMoment(write, i int) *moment {
	return &moment{write: write, when: []string{unsent, answered, later}[i%3], reached: make(chan struct{}), over: make(chan struct{})}
}

func (m *moment) String() string { return fmt.Sprintf("%s %d", m.when, m.write) }

// upgradeThrough makes the first version live and begins to deploy the second one, told of by its requests.
func upgradeThrough(a *app, s settings, m *moment) *running {
	a.t.Helper()
	a.is(first, s)
	a.deploy().want(0)
	a.is(second, s)
	direct := a.kubeconfig
	a.kubeconfig = cluster.Between(a.t, direct, m.before, m.after)
	defer func() { a.kubeconfig = direct }()
	return a.start()
}

// changes tells of a request that changes something, but for the renewals of the lock.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && !r.URL.Query().Has("dryRun") && !strings.Contains(r.URL.Path, "/leases")
}

func (m *moment) before(r *http.Request) (goes bool) {
	m.mu.Lock()
	write := changes(r)
	if write {
		m.writes++
	} else if m.write > 0 && m.writes >= m.write {
		m.reads++
	}
	now := write && m.writes == m.write && m.when == unsent || m.reads == 2 && m.when == later
	m.mu.Unlock()
	return !now || !m.hold()
}

func (m *moment) after(r *http.Request) {
	m.mu.Lock()
	now := m.write > 0 && changes(r) && m.writes == m.write && m.when == answered
	m.mu.Unlock()
	if now {
		m.hold()
	}
}

// hold says that the moment is there, and lets it last.
func (m *moment) hold() bool {
	m.mu.Lock()
	select {
	case <-m.reached:
	default:
		close(m.reached)
	}
	m.mu.Unlock()
	<-m.over
	return true
}

// kill ends a run at the moment.
func (m *moment) kill(t *testing.T, r *running) {
	t.Helper()
	defer close(m.over)
	select {
	case <-m.reached:
	case <-r.ended:
		t.Fatalf("it ended before the moment %s, after %d changes", m, m.writes)
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.ended
}

// healed deploys a version after a deploy was killed, and holds that nothing of that is left.
func (a *app) healed(version string, s settings) {
	a.t.Helper()
	pending := ""
	for name, state := range a.history() {
		if state == "pending" {
			pending = name
		}
	}
	a.is(version, s)
	o := a.deploy().want(0)
	if d := o.record.deploy(a.t); pending != "" && !slices.Equal(d.Healed, []string{pending}) {
		a.t.Errorf("it says that it healed %q, want %s", d.Healed, pending)
	}
	a.serves(version, 2)
	live := 0
	for name, state := range a.history() {
		switch state {
		case "live":
			live++
		case "pending":
			a.t.Errorf("release %s is pending", name)
		}
	}
	if live != 1 {
		a.t.Errorf("%d releases are live: %v", live, a.history())
	}
	a.wantFree()
	if got := strings.Fields(a.get("deployments,services", "-o", "name")); len(got) != 2 {
		a.t.Errorf("there are %q, want one Deployment and one Service", got)
	}
}

func TestClusterDeploysWhileTheAPIServerRestarts(t *testing.T) {
	c := cluster.Own(t)
	a := newApp(t, c)
	a.deploy().want(0)
	a.is(second, settings{})
	looked, killed := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() {
		close(looked)
		<-killed
	})
	a.kubeconfig = cluster.Between(t, c.Kubeconfig, func(r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pods") { // it waits for the new ones
			once()
		}
		return true
	}, nil)
	// The scheduler and the controllers ask an API server that was away again only after up to a minute.
	r := a.start()
	select {
	case <-looked:
	case <-r.ended:
		t.Fatal("it ended before the API server did")
	}
	back := c.KillAPIServer(t)
	close(killed)
	back()
	r.wait(t).want(0, "replaces")
	a.kubeconfig = c.Kubeconfig
	a.serves(second, 2)
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "live"})
	a.wantFree()
}

// TestClusterDeploysManyObjects holds how many requests and how much memory a large service takes. Alone, for the times that it logs.
func TestClusterDeploysManyObjects(t *testing.T) {
	c := cluster.Open(t)
	requests := map[string]int64{}
	for _, folder := range []string{"half", "many"} {
		a := newApp(t, c)
		a.is(first, settings{deploy: "{manifests: k8s/" + folder + "}"})
		var asked atomic.Int64 // of this deploy alone: what the cluster itself asks is nobody's to hold
		a.kubeconfig = cluster.Between(t, c.Kubeconfig, func(r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/configmaps") {
				asked.Add(1)
			}
			return true
		}, nil)
		a.deploy().want(0, "first release")
		requests[folder] = asked.Swap(0)
		a.deploy().want(0, "already live")
		t.Logf("%s: %d requests about ConfigMaps, again: %d", folder, requests[folder], asked.Load())
	}
	// Each at least once, or they were not counted; 50: what is asked again after a moment without an answer.
	if most := 2*requests["half"] + 50; requests["half"] < 250 || requests["many"] > most {
		t.Errorf("twice as many objects took %d requests, want at most %d: %v", requests["many"], most, requests)
	}
	a := newApp(t, c) // to the API server itself, since a connection takes memory too
	a.is(first, settings{deploy: "{manifests: k8s/many}"})
	o := a.deploy().want(0, "first release")
	if t.Logf("%d MiB, %.1fs", o.memory>>20, o.took.Seconds()); o.memory > 200e6 {
		t.Errorf("it took %d bytes of memory", o.memory)
	}
}
