package oci_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
)

// keeping is a registry whose tags are immutable: a tag that is there cannot be written again, not even to what it is on.
func keeping(t *testing.T, status int, body string) string {
	t.Helper()
	var mu sync.Mutex
	taken := map[string]bool{}
	return front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "sha256:") {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if !taken[r.URL.Path] {
			taken[r.URL.Path] = true
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	})
}

// The answers are those that users of these registries have reported: kaniko#204 (of osscontainertools), Harbor's
// immutable middleware, docker/hub-feedback#2466.
func TestImmutableTags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"Amazon ECR": {http.StatusBadRequest, `{"errors":[{"code":"TAG_INVALID","message":"The image tag 'main' already exists in the 'a' repository and cannot be overwritten because the tag is immutable."}]}`},
		"Harbor":     {http.StatusPreconditionFailed, `{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'a:main' configured as immutable."}]}`},
		"Docker Hub": {http.StatusForbidden, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var waits int
			client, repo := impatient(&waits), keeping(t, c.status, c.body)+"/a"
			var digests []string
			for range 2 {
				d, err := push(t.Context(), client, saved(t, anImage(t)), repo)
				if err != nil {
					t.Fatal(err)
				}
				digests = append(digests, d)
			}
			for range 2 { // a second run finds the tag where it wants it, and must not write it again
				if err := client.Tag(t.Context(), repo, digests[0], "main"); err != nil {
					t.Fatal(err)
				}
			}
			err := client.Tag(t.Context(), repo, digests[1], "main")
			fails(t, err, fault.Failed, "tag "+repo+":main stays on "+digests[0], digests[1], repo+"@"+digests[0], "a new commit")
			if waits != 0 {
				t.Errorf("a refusal was tried %d times more", waits)
			}
		})
	}
}

// A refusal where no other image holds the tag has another reason, and a registry that is broken refuses nothing.
func TestTagThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusForbidden: "docker login", http.StatusBadGateway: "502"} {
		host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/main") {
				w.WriteHeader(status)
				return true
			}
			return false
		})
		var waits int
		c := impatient(&waits)
		d, err := push(t.Context(), c, saved(t, anImage(t)), host+"/a")
		if err != nil {
			t.Fatal(err)
		}
		fails(t, c.Tag(t.Context(), host+"/a", d, "main"), fault.Undetermined, want)
	}
}

// On a registry whose tags may move, they do.
func TestTagMoves(t *testing.T) {
	t.Parallel()
	c, repo := oci.Client{}, serve(t).Host()+"/a"
	for range 2 {
		d, err := push(t.Context(), c, saved(t, anImage(t)), repo)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Tag(t.Context(), repo, d, "main"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.Head("http://" + strings.Replace(repo, "/a", "/v2/a/manifests/main", 1))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Docker-Content-Digest"); got != d {
			t.Errorf("the tag is on %s, want %s", got, d)
		}
	}
}

// A registry that says when to come again is not asked before, and one that asks for an hour is not asked again.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for after, test := range map[string]struct {
		date    time.Duration // from the time of the answer, in the place of what is said
		atLeast time.Duration
		busy    string
	}{
		"1": {atLeast: time.Second}, "-5": {}, "soon": {}, "a past date": {date: -time.Hour}, "a date": {date: 3 * time.Second, atLeast: time.Second},
		"3600": {busy: "429 Too Many Requests, and it asks to be left alone for 1h0m0s"}, "a far date": {date: 48 * time.Hour, busy: "for 24h0m0s"},
	} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var begun time.Time
			var asked time.Duration
			var times int
			host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if times++; begun.IsZero() {
					begun = time.Now()
					w.Header().Set("Retry-After", after)
					if test.date != 0 {
						w.Header().Set("Retry-After", begun.Add(test.date).UTC().Format(http.TimeFormat))
						w.Header().Set("Date", begun.UTC().Format(http.TimeFormat))
					}
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				}
				if asked == 0 {
					asked = time.Since(begun)
				}
				return false
			})
			var waits int
			_, err := push(t.Context(), impatient(&waits), saved(t, anImage(t)), host+"/a")
			if test.busy != "" {
				if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), test.busy) || times != 1 || waits != 0 {
					t.Errorf("asked %d times, waited %d times: %v", times, waits, err)
				}
				return
			}
			if err != nil || asked < test.atLeast || waits != 1 {
				t.Errorf("asked again after %s, waited %d times: %v", asked, waits, err)
			}
		})
	}
}
