package kubernetes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conflict is what an API server says of an object that is another one, or is written to all the time
// (k8s.io/apiserver, registry/rest/create_update.go and storage/errors.go).
func conflict(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonConflict, Code: http.StatusConflict,
		Message: message})
}

// What was to be deleted is gone where another object has its name: that is what the uid was given for.
func TestAnotherObjectOfTheNameIsNotDeletedAndNoError(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		uid   string // of what is there
		fails bool
	}{"another one": {200, "new", false}, "none": {404, "", false}, "the same": {200, "old", true}, "nobody knows": {403, "", true}} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(kinds(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodDelete:
					conflict(w, `Operation cannot be fulfilled on configmaps "x": Precondition failed: UID in precondition: old, UID in object meta: new`)
				case c.code == 403:
					fail(t, w, "forbidden", c.code)
				case c.code == 404:
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(c.code)
					_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
				default:
					live := settings.DeepCopy()
					live.Object["metadata"].(map[string]any)["uid"] = c.uid
					w.Header().Set("Content-Type", "application/json")
					_ = json.NewEncoder(w).Encode(live.Object)
				}
			}))
			defer s.Close()
			if err := connect(t, s, map[string]any{}).Delete(t.Context(), RefOf(settings), "old"); (err != nil) != c.fails {
				t.Error(err)
			}
		})
	}
}

// An object that a controller writes to all the time is applied all the same, since the apply holds to no version of it.
func TestAnObjectThatChangesAllTheTimeIsAppliedAgain(t *testing.T) {
	for busy, fails := range map[int64]bool{2: false, 1000: true} {
		var n atomic.Int64
		s := httptest.NewServer(kinds(t, func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) <= busy {
				conflict(w, `Operation cannot be fulfilled on configmaps "x": the object has been modified; please apply your changes to the latest version and try again`)
				return
			}
			succeed(w)
		}))
		defer s.Close()
		_, err := connect(t, s, map[string]any{}).Apply(t.Context(), settings, ApplyOptions{})
		if (err != nil) != fails || fails && (n.Load() != adoptions || !IsConflict(err)) {
			t.Errorf("%d times: %d requests, %v", busy, n.Load(), err)
		}
	}
}
