package githubfake_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	githubfake "github.com/org/idp/internal/testkit/github"
)

const createDeployment = "POST /repos/{owner}/{repo}/deployments"

func TestPhases(t *testing.T) {
	t.Parallel()
	for _, phase := range githubfake.Phases {
		t.Run(phase.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := phase.Fault
			f.On, f.Call = createDeployment, 2
			w.hub.Inject(f)
			w.want(201, "POST", ":/deployments", m{"ref": "main"})
			broken := w.do("POST", ":/deployments", m{"ref": "main"})
			taken := 1
			if f.Taken || f.Half {
				taken = 2
			}
			if got := len(w.repo.Deployments()); got != taken {
				t.Errorf("%d deployments", got)
			}
			switch {
			case f.Cut && broken.err == nil, f.Status != broken.status && f.Status != 0:
				t.Errorf("%+v", broken)
			case f.Half && (!errors.Is(broken.err, io.ErrUnexpectedEOF) || broken.text == ""):
				t.Errorf("%+v", broken)
			case f.RetryAfter != 0 && broken.header.Get("Retry-After") != "1":
				t.Errorf("%v", broken.header)
			}
			w.want(201, "POST", ":/deployments", m{"ref": "main"})
			if calls := w.hub.Calls(); len(calls) != 3 || calls[1].Operation != createDeployment || calls[1].Status != f.Status && !f.Half {
				t.Errorf("%+v", calls)
			}
			w.quiet()
		})
	}
}

func TestSlowAnswerEndsWithItsClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.Inject(githubfake.Fault{Delay: time.Hour, Taken: true})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() {
		for len(w.hub.Calls()) == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		leave()
	}()
	r, _ := http.NewRequestWithContext(ctx, "GET", w.hub.API()+"/repos/acme/shop/deployments", nil)
	r.Header.Set("Authorization", "Bearer "+w.token)
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("there was an answer")
	}
	w.quiet()
}

// TestUnmetFaultFailsTheTest closes a fake of its own, as the end of a test does.
func TestUnmetFaultFailsTheTest(t *testing.T) {
	t.Parallel()
	w := &world{t: t, fails: &watched{T: t}}
	t.Run("inside", func(t *testing.T) {
		w.fails.T = t
		githubfake.New(w.fails).Inject(githubfake.Fault{On: createDeployment, Cut: true})
	})
	w.failed("a fault was never met", createDeployment)
}
