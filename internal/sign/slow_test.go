package sign_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/testkit/expect"
)

// setSlow makes the registry answer in another way; nil ends that.
func (w *world) setSlow(how func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = how
}

// slowly is how it answers now.
func (w *world) slowly() func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slow
}

// limits are so short that a test can wait for their end; only their lengths differ from those of a job.
var limits = oci.Limits{Stall: 100 * time.Millisecond, Budget: 700 * time.Millisecond}

// slowWorld has short limits, and notes what a person is told while it goes on.
func slowWorld(t *testing.T, listed bool, limits oci.Limits) (*world, func() []string) {
	t.Helper()
	w := newWorld(t, listed)
	w.within(limits)
	var mu sync.Mutex
	var said []string
	w.deps.Progress = func(what string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, what)
	}
	return w, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return said
	}
}

func (w *world) within(limits oci.Limits) {
	noWait := func(context.Context, time.Duration) error { return nil }
	w.deps.Images, w.deps.Evidence = oci.Client{Wait: noWait, Limits: limits}, referrers.Registry{Wait: noWait, Limits: limits}
}

// delayed answers everything, each time after a while.
func delayed(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	time.Sleep(limits.Stall / 5)
	serve(rw, r)
}

// trickles sends what the registry answers a byte at a time, so that there is always some progress and never an end.
func trickles(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	whole := httptest.NewRecorder()
	serve(whole, r)
	for name, values := range whole.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(whole.Code)
	for _, b := range whole.Body.Bytes() {
		if _, err := rw.Write([]byte{b}); err != nil || http.NewResponseController(rw).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(limits.Stall / 3):
		}
	}
}

// silent takes what it is sent and never answers.
func silent(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
	_, _ = io.Copy(io.Discard, r.Body) // the end of a connection is seen only then
	<-r.Context().Done()
}

// A registry whose answers are late is borne: the image is signed and tagged.
func TestLateRegistry(t *testing.T) {
	t.Parallel()
	w, _ := slowWorld(t, true, oci.Limits{Budget: time.Minute})
	w.setSlow(delayed)
	_, err := w.run()
	expect.NoError(t, err)
	if wrong := w.wantTags(1) + w.wantOurs(len(predicates)); wrong != "" {
		t.Error(wrong)
	}
}

// A registry that trickles or falls silent, from any kind of request on: the waiting has an end, it was said what is waited for,
// nothing is determined and nothing tagged, and a second run completes the first.
func TestSlowRegistry(t *testing.T) {
	t.Parallel()
	for mode, listed := range map[string]bool{"referrers API": true, "fallback tag": false} {
		for kind, at := range kindsOf(t, listed) {
			for how, slow := range map[string]func(http.ResponseWriter, *http.Request, http.HandlerFunc){"silent": silent, "trickles": trickles} {
				if how == "trickles" && !strings.HasPrefix(kind, "GET") {
					continue // the answers to the others have no bodies that anybody reads
				}
				t.Run(fmt.Sprint(mode, " ", how, " ", kind), func(t *testing.T) {
					t.Parallel()
					w, said := slowWorld(t, listed, limits)
					var mu sync.Mutex
					n := 0
					w.setSlow(func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
						mu.Lock()
						n++
						late := n > at
						mu.Unlock()
						if late {
							slow(rw, r, serve)
							return
						}
						serve(rw, r)
					})
					out, err := w.run()
					if err == nil || fault.KindOf(err) != fault.Undetermined || out.Evidence.Tag != "" {
						t.Fatalf("gives %v, expected undetermined", err)
					}
					text := strings.Join(fault.Lines(err), "\n")
					if !strings.Contains(text, "no data for 100ms") && !strings.Contains(text, "not done in the time that it has, 700ms") || !strings.Contains(text, "run this again") {
						t.Errorf("does not say what happened and what helps: %s", text)
					}
					if last := said()[len(said())-1]; !slices.Contains([]string{"pushing " + w.inputs.Registry, "attaching evidence", "reading it back", "tagging"}, last) {
						t.Errorf("while it went on, %q was said", last)
					}
					w.setSlow(nil)
					w.within(oci.Limits{})
					if listed { // else a tag lists the evidence
						if wrong := w.wantTags(0); wrong != "" {
							t.Error(wrong)
						}
					} else if w.tagged(commit) != "" {
						t.Error("the tag moved")
					}
					if _, err := w.run(); err != nil {
						t.Fatalf("a second run: %v", err)
					}
					if wrong := w.wantOurs(len(predicates)); wrong != "" || w.tagged(commit) != w.digest {
						t.Errorf("%s the tag is on %q", wrong, w.tagged(commit))
					}
				})
			}
		}
	}
}

// kindsOf are the kinds of requests of a whole run, with how many came before the first of each.
func kindsOf(t *testing.T, listed bool) map[string]int {
	t.Helper()
	w, _ := slowWorld(t, listed, oci.Limits{})
	kinds, n := map[string]int{}, 0
	w.setSlow(func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		kind := r.Method
		for _, part := range []string{"/manifests/sha256:", "/manifests/sha256-", "/manifests/", "/blobs/uploads/", "/blobs/", "/referrers/"} {
			if strings.Contains(r.URL.Path, part) {
				kind += strings.ReplaceAll(part, "/", " ")
				break
			}
		}
		w.mu.Lock()
		if _, ok := kinds[kind]; !ok {
			kinds[kind] = n
		}
		n++
		w.mu.Unlock()
		serve(rw, r)
	})
	_, err := sign.Run(t.Context(), w.inputs, w.deps)
	expect.NoError(t, err)
	if len(kinds) < 6 {
		t.Fatalf("only %v", kinds)
	}
	return kinds
}
