//go:build e2e

package clustertarget_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// An answer that does not come is a delay for what may be made only once, too: the namespace, the lock and the release.
func TestClusterBeginsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	address := cluster.Open(t).Address(t)
	for what, is := range map[string]func(r *http.Request) bool{
		"the namespace": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/api/v1/namespaces" },
		"a new lock": func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/leases")
		},
		"a free lock": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/leases/idp.shop")
		},
		"a release": func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/secrets")
		},
	} {
		for how, fault := range map[string]cluster.Fault{"cut off": cluster.Cut, "carried out": cluster.Lose, "refused": cluster.Refuse} {
			t.Run(fmt.Sprintf("%s/%s", what, how), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, address)
				if what == "the namespace" {
					s.ns += "-new"
					t.Cleanup(func() { s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns, nil) })
				}
				if what == "a free lock" {
					s.deployed(s.target(address, "before", "good", false))
				}
				var hit atomic.Bool
				front := cluster.NewFront(t, address, func(r *http.Request, _ []byte) cluster.Fault {
					if is(r) && hit.CompareAndSwap(false, true) {
						return fault
					}
					return cluster.None
				})
				out := s.deployed(s.target(front.Address, "first", "bad", false))
				if want := map[bool]string{true: "v2", false: "v1"}[what == "a free lock"]; !hit.Load() || out.Evidence.Release != want {
					t.Errorf("hit: %t, it is %s, want %s", hit.Load(), out.Evidence.Release, want)
				}
			})
		}
	}
}
