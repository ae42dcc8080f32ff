//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

// leastRequests is how many each way of upgrading has to serve.
const leastRequests = 10_000

// TestClusterLosesNoRequest upgrades the sample service by each strategy while it is asked through the address of its
// Service, without a pause and by connections both new and kept.
func TestClusterLosesNoRequest(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	for _, strategy := range []string{"rolling", "canary", "blue-green"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c)
			a.repo = &repository{t, filepath.Join(t.TempDir(), "hello")}
			copyDir(t, a.repo.dir, inRepo("testdata", "services", "hello"))
			a.repo.git("init", "--quiet", "--initial-branch", "main")
			write(t, filepath.Join(a.repo.dir, "idp.yaml"), fmt.Sprintf("name: hello\nowner: team-hello\nscale: {min: 4}\ndeploy: {strategy: %s}\n"+
				"smoke:\n  - {get: /greet/ada, expect: {json: {$.greeting: \"hello, ada\"}}}\nenvironments:\n  staging: {namespace: %s}\n", strategy, a.ns))
			a.path().want(0, "first release")
			a.repo.change("internal/web/web.go", `text(w, "ok, hello\n")`, `text(w, "ok, hello again\n")`)

			url := c.ServiceURL(t, a.ns, "hello")
			load := startLoad(url)
			a.path().want(0, "replaces")
			during, answers := load.end()
			t.Logf("%d requests until the old version had gone, all in all %v", during, answers)
			old, after := answers["ok, hello"], answers["ok, hello again"]
			maps.DeleteFunc(answers, func(text string, _ int) bool { return strings.HasPrefix(text, "ok, hello") })
			if len(answers) > 0 {
				t.Errorf("failed: %v", answers)
			}
			if old+after < leastRequests || old == 0 || after == 0 {
				t.Errorf("%d answers of the old version, %d of the new one", old, after)
			}
		})
	}
}

// load asks a URL again and again.
type load struct {
	stop    chan struct{}
	wg      sync.WaitGroup
	mu      sync.Mutex
	answers map[string]int // text of an answer, or what went wrong
	asked   int
}

// startLoad asks a URL some hundred times a second, until it is ended and has done so often enough, at most for 5 minutes.
func startLoad(url string) *load {
	l := &load{stop: make(chan struct{}), answers: map[string]int{}}
	end := time.Now().Add(5 * time.Minute)
	for i := range 8 {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		l.wg.Go(func() {
			for !l.enough() && time.Now().Before(end) {
				answer := ask(client, url)
				l.mu.Lock()
				l.asked++
				l.answers[answer]++
				l.mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return l
}

// enough tells whether it was ended and has asked often enough, with something to spare for what is still to be told apart.
func (l *load) enough() bool {
	select {
	case <-l.stop:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked >= leastRequests
}

// end gives how many there were until now, and what the answers were in the end.
func (l *load) end() (during int, answers map[string]int) {
	time.Sleep(7 * time.Second) // until the last pods of the old version have gone
	l.mu.Lock()
	during = l.asked
	l.mu.Unlock()
	close(l.stop)
	l.wg.Wait()
	return during, l.answers
}

func ask(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err.Error()
	case answer.StatusCode != http.StatusOK:
		return answer.Status
	}
	return strings.TrimSpace(string(body))
}
