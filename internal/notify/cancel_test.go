package notify

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
	portalsfake "github.com/org/idp/internal/testkit/portals"
)

// gate lets one request wait until the answers to others have been read, and then cancels.
type gate struct {
	wait   string // METHOD PATH
	cancel func()
	others map[string]*sync.WaitGroup // done when the answer has been read
}

// read is the body of an answer that says when it has been read.
type read struct {
	io.ReadCloser
	done func()
}

func (r read) Close() error {
	r.done()
	return r.ReadCloser.Close()
}

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.Method + " " + r.URL.Path
	if key == g.wait {
		for _, other := range g.others {
			other.Wait()
		}
		g.cancel()
		return nil, context.Cause(r.Context())
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if other := g.others[key]; other != nil && err == nil {
		res.Body = read{res.Body, other.Done}
	}
	return res, err
}

// TestCancelledBetweenTwoPortals holds what is recorded when a signal comes after some portals were told and before another was:
// exactly those, no success, and the next run tells the rest once.
func TestCancelledBetweenTwoPortals(t *testing.T) {
	t.Parallel()
	why := errors.New("interrupted (SIGTERM)")
	for step, wait := range where[projection.Cortex] {
		srv := portalsfake.New(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		g := gate{wait: wait, cancel: func() { cancel(why) }, others: map[string]*sync.WaitGroup{}}
		for _, other := range []string{projection.Port, projection.OpsLevel, projection.Datadog} {
			g.others[where[other][1]] = &sync.WaitGroup{}
			g.others[where[other][1]].Add(1)
		}
		in := inputs(t, srv, delivered(t, record.Passed))
		out, err := Run(ctx, in, Deps{send.Client{Transport: g, Sleep: (&pauses{}).sleep}})
		if !errors.Is(err, why) || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%v (%v), want what cancelled it, undetermined", err, fault.KindOf(err))
		}
		want := all(true, true)
		for i := range want {
			if want[i].Portal == projection.Cortex {
				want[i].Service, want[i].Deploy = step == 1, false
			}
		}
		if diff := cmp.Diff(want, out.Evidence.Told); diff != "" {
			t.Errorf("cancelled at %s: %s", wait, diff)
		}
		if n := len(srv.Deploys(projection.Cortex)); n != 0 {
			t.Errorf("cancelled at %s: Cortex has %d deploys", wait, n)
		}
		if out, err := run(t, in); err != nil || !cmp.Equal(out.Evidence.Told, all(true, true)) {
			t.Errorf("again: %+v %v", out, err)
		}
		once(t, srv)
	}
}
