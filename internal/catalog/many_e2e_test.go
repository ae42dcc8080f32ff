//go:build e2e

package catalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// accidents happen to every eighth push or so: the server fails before git sees it, or after git took it, and says so or hangs up. With
// more, in one run of some hundreds a publisher has eight in a row, and rightly gives up.
type accidents struct {
	git http.Handler

	mu     sync.Mutex
	chance *rand.Rand
	count  map[string]int
}

func (a *accidents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
		a.git.ServeHTTP(w, r)
		return
	}
	a.mu.Lock()
	what := ""
	if kinds := []string{"500 before", "hung up before", "500 after", "hung up after"}; a.chance.IntN(8) == 0 {
		what = kinds[a.chance.IntN(len(kinds))]
	}
	a.count[what]++
	a.mu.Unlock()
	if what == "" {
		a.git.ServeHTTP(w, r)
		return
	}
	if strings.HasSuffix(what, "after") {
		a.git.ServeHTTP(httptest.NewRecorder(), r)
	}
	if strings.HasPrefix(what, "hung up") {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, "an accident", http.StatusInternalServerError)
}

// TestFiftyPublishers has fifty deliveries registered at the same time, by way of a server that has accidents: none is lost, none is
// there twice, and those of one service are numbered without a gap.
func TestFiftyPublishers(t *testing.T) {
	const publishers, services = 50, 10
	url := bare(t)
	trouble := &accidents{chance: rand.New(rand.NewPCG(1, 6)), count: map[string]int{}}
	srv := gitServer(t, filepath.Dir(url), "ann", "s3cr3t", func(git http.Handler) http.Handler {
		trouble.git = git
		return trouble
	})
	remote := strings.Replace(srv.URL, "http://", "http://ann:s3cr3t@", 1) + "/catalog.git"
	deps := testDeps()
	deps.Sleep = wait
	begun := time.Now()
	var all sync.WaitGroup
	errs := make([]error, publishers)
	numbers := make([]int, publishers)
	for i := range publishers {
		in := inputs(t, remote)
		in.Service.Name = fmt.Sprintf("service-%d", i%services)
		in.Record = delivered(t, in.Service, fmt.Sprint(100+i), commitA, fmt.Sprintf("sha256:%064d", i), record.Passed)
		all.Go(func() {
			out, err := Run(t.Context(), in, deps)
			if err == nil && !out.Evidence.Changed {
				err = fmt.Errorf("delivery %d says that it changed nothing", i)
			}
			if err != nil {
				err = errors.New(strings.Join(fault.Lines(err), "\n"))
			}
			errs[i], numbers[i] = err, out.Evidence.Delivery
		})
	}
	all.Wait()
	t.Logf("%d publishers in %s; pushes: %v", publishers, time.Since(begun).Round(time.Millisecond), trouble.count)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"500 before", "hung up before", "500 after", "hung up after"} {
		if trouble.count[what] == 0 {
			t.Errorf("it never happened: %s", what)
		}
	}
	ids := map[string]int{}
	for s := range services {
		lines := logLines(t, url, fmt.Sprintf("deliveries/service-%d/staging", s))
		if len(lines) != publishers/services {
			t.Errorf("service-%d has %d deliveries", s, len(lines))
		}
		for n, l := range lines {
			if ids[l.ID]++; l.Delivery != n+1 || ids[l.ID] > 1 {
				t.Errorf("line %d of service-%d is delivery %d, %s", n+1, s, l.Delivery, l.ID)
			}
			var run int
			if _, err := fmt.Sscan(l.Run.ID, &run); err != nil || numbers[run-100] != l.Delivery {
				t.Errorf("the delivery of run %s was told number %d, the log has %d", l.Run.ID, numbers[run-100], l.Delivery)
			}
		}
	}
	if n := commits(t, url); len(ids) != publishers || n != publishers {
		t.Errorf("%d deliveries in %d commits", len(ids), n)
	}
	if out := git(t, url, "fsck", "--strict"); strings.Contains(out, "error") {
		t.Error(out)
	}
}
