//go:build e2e

package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// counted is a way to the API server that counts the requests, and may do something before each.
func counted(t *testing.T, kubeconfig string, before func(n int64)) (string, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	return cluster.Between(t, kubeconfig, func(*http.Request) bool {
		if n := requests.Add(1); before != nil {
			before(n)
		}
		return true
	}, nil), &requests
}

// many are n objects of a size that people have: 4 of 5 are ConfigMaps of 2 KiB, the others Deployments without pods.
func many(t *testing.T, ns string, n int, value string) []kubernetes.Object {
	var b strings.Builder
	for i := range n {
		if i%5 == 0 {
			b.WriteString("---" + strings.NewReplacer("replicas: 1", "replicas: 0", "{name: shop}", fmt.Sprintf("{name: shop-%d}", i), "value: info", "value: "+value).
				Replace(deploymentOf(shop)))
			continue
		}
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop-%d}\ndata: {a: %s, text: %q}\n", i, value, strings.Repeat("0123456789abcdef", 128))
	}
	return objects(t, ns, b.String())
}

func TestClusterRequestsGrowAsTheObjectsDoAndMemoryIsBounded(t *testing.T) {
	k := cluster.Open(t)
	kubeconfig, requests := counted(t, k.Kubeconfig, nil)
	for _, n := range []int{50, 500} {
		ns := k.Namespace(t)
		c := connect(t, kubeconfig)
		if _, err := c.Get(t.Context(), kubernetes.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "x"}); err != nil {
			t.Fatal(err) // the kinds are known from here on
		}
		for _, step := range []struct {
			what, value string
			each        int64 // requests for each object
		}{{"first apply", "a", 3}, {"second apply, unchanged", "a", 2}, {"third apply, all changed", "b", 3}} {
			settled(t, k, ns) // what a controller writes to between two requests is asked about again
			set := many(t, ns, n, step.value)
			debug.FreeOSMemory()
			highest := watchHeap(t)
			requests.Store(0)
			start := time.Now()
			done, err := apply.Apply(t.Context(), c, set, apply.Options{})
			must(t, done, err)
			t.Logf("%d objects, %s: %d requests, %.1f s, heap at most %d MB, diff %d bytes", n, step.what, requests.Load(), time.Since(start).Seconds(), highest()>>20, len(apply.Diff(done)))
			if got, want := requests.Load(), step.each*int64(n); got < want || got > want+want/20 {
				t.Errorf("%d requests, want %d", got, want)
			}
			if got := apply.Summary(done); step.each == 2 && got != fmt.Sprintf("%d unchanged", n) {
				t.Errorf("a second apply of the same: %s", got)
			}
			if got := highest(); got > 100<<20 {
				t.Errorf("%d MB of heap", got>>20)
			}
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	t.Logf("memory of this process at most: %s", strings.TrimSpace(strings.SplitN(peak, "\n", 2)[0]))
}

// settled waits until the controllers have done what there is to do for the Deployments of a namespace.
func settled(t *testing.T, k *cluster.Cluster, ns string) {
	t.Helper()
	cluster.Until(t, func() error {
		for line := range strings.Lines(k.Kubectl(t, "get", "deployments", "-n", ns, "-o", `jsonpath={range .items[*]}{.metadata.generation} {.status.observedGeneration} {.status.conditions[?(@.reason=="NewReplicaSetAvailable")].status} {.metadata.name}{"\n"}{end}`)) {
			if f := strings.Fields(line); len(f) != 4 || f[0] != f[1] {
				return fmt.Errorf("a Deployment is still worked on: %s", line)
			}
		}
		return nil
	})
}

// watchHeap gives the highest size of the heap that it sees from now until it is asked.
func watchHeap(t *testing.T) func() uint64 {
	var highest atomic.Uint64
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest.Store(max(highest.Load(), m.HeapInuse))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() uint64 {
		cancel()
		<-ended
		return highest.Load()
	}
}

func TestClusterRestartOfTheAPIServerIsADelay(t *testing.T) {
	k := cluster.Own(t)
	ns := k.Namespace(t)
	// Rights by RBAC, since an API server that has just started has not read them yet and refuses.
	k.Kubectl(t, "create", "serviceaccount", "deployer", "-n", ns)
	k.Kubectl(t, "create", "role", "deployer", "-n", ns, "--verb=get,create,patch", "--resource=configmaps,deployments.apps")
	k.Kubectl(t, "create", "rolebinding", "deployer", "-n", ns, "--role=deployer", "--serviceaccount="+ns+":deployer")
	user := k.User(t, ns, "deployer", time.Hour)
	k.May(t, user, "patch", "deployments.apps", "-n", ns)
	for name, at := range map[string]int64{"while it plans": 60, "while it applies": 250} {
		t.Run(name, func(t *testing.T) {
			restarted := make(chan struct{})
			kubeconfig, requests := counted(t, user, func(n int64) {
				if n == at {
					go func() {
						defer close(restarted)
						k.RestartAPIServer(t)
					}()
				}
			})
			set := many(t, ns, 100, fmt.Sprint("v", at))
			start := time.Now()
			done, err := apply.Apply(t.Context(), connect(t, kubeconfig), set, apply.Options{})
			must(t, done, err)
			t.Logf("100 objects in %.1f s, %d requests", time.Since(start).Seconds(), requests.Load())
			if requests.Load() < at {
				t.Fatalf("%d requests, and the API server restarts at request %d", requests.Load(), at)
			}
			<-restarted
			if len(done) != 100 {
				t.Errorf("%d objects", len(done))
			}
			again, err := apply.Plan(t.Context(), connect(t, user), set, apply.Options{})
			if got := apply.Summary(must(t, again, err)); got != "100 unchanged" {
				t.Errorf("after: %s", got)
			}
		})
	}
}
