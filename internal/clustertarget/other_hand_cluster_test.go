//go:build e2e

package clustertarget_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// Whatever somebody else does to an object while the old version is put back, the run does not say that it is back, and says who
// did what. The next deploy that may take fields over has all of it again.
func TestClusterIsNotBackOnWhatSomebodyElseChanged(t *testing.T) {
	t.Parallel()
	address := cluster.Open(t).Address(t)
	const (
		applied = "PATCH /apis/apps/v1/namespaces/NS/deployments/shop" // the last object of the set
		looked  = "GET /apis/apps/v1/namespaces/NS/deployments/shop"
		begun   = "PATCH /api/v1/namespaces/NS/configmaps/settings"
	)
	for name, tc := range map[string]struct {
		at   string // request that it comes before
		does func(s *site)
		kind fault.Kind
		says string
	}{
		"configuration": {applied, func(s *site) { s.edit("configmaps", "settings", "theirs", "data", "MODE") }, fault.Undetermined,
			`ConfigMap settings was changed by "kubectl-edit" while it was waited for: .data.MODE`},
		"selector": {applied, func(s *site) { s.edit("services", "shop", "theirs", "spec", "selector", "app") }, fault.Undetermined,
			`Service shop was changed by "kubectl-edit" while it was waited for: .spec.selector`},
		"deleted": {applied, func(s *site) { s.call(http.MethodDelete, "/api/v1/namespaces/"+s.ns+"/configmaps/settings", nil) }, fault.Undetermined,
			"ConfigMap settings was deleted by somebody else"},
		"template": {looked, func(s *site) {
			s.edit("deployments", "shop", "theirs", "spec", "template", "metadata", "annotations", "note")
		}, fault.Undetermined,
			`Deployment shop was changed by "kubectl-edit" while it was waited for`},
		"before it": {begun, func(s *site) { s.edit("configmaps", "settings", "theirs", "data", "MODE") }, fault.Failed,
			"data.MODE is set by kubectl-edit"},
		"nobody": {applied, func(*site) {}, fault.Failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, address)
			s.confirmed(s.target(address, "one", "good", false))
			var back, applying, done atomic.Bool
			front := cluster.NewFront(t, address, func(r *http.Request, body []byte) cluster.Fault {
				request := r.Method + " " + strings.ReplaceAll(r.URL.Path, s.ns, "NS")
				switch {
				case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/secrets/idp.shop.v2") && bytes.Contains(body, []byte(`"idp/state":"failed"`)):
					back.Store(true)
				case !back.Load() || r.URL.Query().Get("dryRun") != "":
				case request == tc.at && (tc.at != looked || applying.Load()):
					if !done.Swap(true) {
						tc.does(s)
					}
				case request == applied:
					applying.Store(true)
				}
				return cluster.None
			})
			bad := s.target(front.Address, "two", "bad", false)
			restored, err := bad.Rollback(t.Context(), s.deployed(bad).Evidence)
			if !done.Load() {
				t.Fatalf("nobody did anything: %+v, %v", restored, err)
			}
			if tc.says == "" {
				if err != nil || restored.Summary != "back on gggg…gg (healthy)" {
					t.Errorf("%q, %v", restored.Summary, err)
				}
				return
			}
			text := ""
			if err != nil {
				text = strings.Join(fault.Lines(err), "\n")
			}
			if fault.KindOf(err) != tc.kind || !strings.Contains(text, tc.says) || strings.Contains(text+restored.Summary, "back on") {
				t.Errorf("it says %q, %s", restored.Summary, text)
			}
			s.wantReleases("v3 failed, v2 failed, v1 superseded")
			next := s.target(address, "three", "good", false)
			next.Force = true
			s.confirmed(next)
			if is := s.is(); strings.Contains(is["ConfigMap settings"]+is["Service shop"], "theirs") || !strings.Contains(is["ConfigMap settings"], "good") {
				t.Errorf("it is %v", is)
			}
		})
	}
}

// edit gives a field of an object a value, as kubectl edit does.
func (s *site) edit(resource, name, value string, path ...string) {
	prefix := "/api/v1/namespaces/"
	if resource == "deployments" {
		prefix = "/apis/apps/v1/namespaces/"
	}
	url := prefix + s.ns + "/" + resource + "/" + name
	var o kubernetes.Object
	if err := json.Unmarshal(s.call(http.MethodGet, url, nil), &o.Object); err != nil {
		s.t.Error(err)
	}
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		s.t.Error(err)
	}
	o.SetResourceVersion("") // whatever its controller has written since
	s.call(http.MethodPut, url+"?fieldManager=kubectl-edit", o.Object)
}
