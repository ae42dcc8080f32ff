//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

// TestClusterHealsAfterAKill kills an upgrade at twenty moments, spread over how long it takes, and deploys again: the new
// version, or in turn the old one.
func TestClusterHealsAfterAKill(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	sharedBench(t, c)
	var cut atomic.Int32
	moments := 0
	t.Run("moments", func(t *testing.T) {
		for kind, n := range map[string]int{"rolling": 8, "canary": 6, "blue-green": 6} {
			moments += n
			for i := range n {
				t.Run(fmt.Sprintf("%s/%d of %d", kind, i+1, n), func(t *testing.T) {
					t.Parallel()
					a := newApp(t, c)
					s := settings{deploy: fmt.Sprintf("{strategy: %s}", kind)}
					a.is(first, s)
					a.deploy().want(0)
					a.is(second, s)
					r := a.start()
					// Reading and verifying take the first moment; what follows is mostly waiting.
					full := map[string]time.Duration{"rolling": 7, "canary": 17, "blue-green": 9}[kind] * time.Second
					time.Sleep(300*time.Millisecond + full*time.Duration(i)/time.Duration(n))
					if err := r.cmd.Process.Kill(); err == nil {
						<-r.ended
					}
					if r.cmd.ProcessState.ExitCode() == -1 {
						cut.Add(1)
					}
					t.Logf("at %.1fs: %s, releases %v", r.took.Seconds(), r.cmd.ProcessState, a.history())
					a.healed([]string{second, first}[i%2], s)
				})
			}
		}
	})
	t.Logf("%d of %d were cut off", cut.Load(), moments)
	if moments != 20 || cut.Load() < 15 {
		t.Error("too few: the moments are not those of a deploy any more")
	}
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
	// The scheduler and the controllers ask an API server that was away again only after up to a minute.
	r := a.start("--wait", "5m")
	time.Sleep(2 * time.Second)
	select {
	case <-r.ended:
		t.Fatal("it ended before the API server did")
	default:
	}
	c.RestartAPIServer(t)
	r.wait(t).want(0, "replaces")
	a.serves(second, 2)
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "live"})
	a.wantFree()
}

// TestClusterDeploysManyObjects holds how much memory and how many requests a large service takes. Alone, so that the API
// server counts this deploy's requests.
func TestClusterDeploysManyObjects(t *testing.T) {
	c := cluster.Open(t)
	requests := map[string]int{}
	for _, folder := range []string{"half", "many"} {
		a := newApp(t, c)
		a.is(first, settings{deploy: "{manifests: k8s/" + folder + "}"})
		before := configMapRequests(t, c)
		o := a.deploy().want(0, "first release")
		requests[folder] = configMapRequests(t, c) - before
		t.Logf("%s: %d requests about ConfigMaps, %d MiB, %.1fs", folder, requests[folder], o.memory>>20, o.took.Seconds())
		if o.memory > 200e6 {
			t.Errorf("it took %d bytes of memory", o.memory)
		}
		before = configMapRequests(t, c)
		o = a.deploy().want(0, "already live")
		t.Logf("%s again: %d requests about ConfigMaps, %d MiB, %.1fs", folder, configMapRequests(t, c)-before, o.memory>>20, o.took.Seconds())
	}
	if most := 2*requests["half"] + 50; requests["many"] > most { // 50: what the cluster itself asks meanwhile
		t.Errorf("twice as many objects took %d requests, want at most %d: %v", requests["many"], most, slices.Sorted(maps.Keys(requests)))
	}
}

// configMapRequests is how many requests about ConfigMaps the API server has answered.
func configMapRequests(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	sum := 0.0
	for line := range strings.Lines(c.Kubectl(t, "get", "--raw", "/metrics")) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="configmaps"`) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, "}")+1:], &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return int(sum)
}
