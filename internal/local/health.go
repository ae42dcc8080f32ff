package local

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// requestLimit is how long one health request may take, as a Kubernetes probe would have it at most.
const requestLimit = 2 * time.Second

// ErrGaveUp is a release whose supervisor has stopped trying.
var ErrGaveUp = errors.New("the service was given up")

// Observation is what was seen of a release while waiting for it.
type Observation struct {
	Status    Status
	Code      int   // last HTTP status of the health path; 0 when it never answered
	TimedOut  bool  // the last request was accepted but not answered
	Foreign   bool  // the port was answered by a process that is not the service's
	Listening []int // TCP ports that the service listens on, where the system tells
}

// WaitHealthy waits until the service itself answers 200 on the health path. The error is ErrGaveUp as soon as its
// supervisor is gone, or the context's; the observation is filled in every case. Each look is told, where told is not nil.
func (t *Target) WaitHealthy(ctx context.Context, r *Release, client *http.Client, told func(Observation)) (Observation, error) {
	var seen Observation
	for {
		healthy := t.observe(ctx, r, client, &seen)
		if told != nil {
			told(seen)
		}
		if ctx.Err() != nil {
			return seen, context.Cause(ctx)
		}
		if !seen.Status.Supervisor.Alive() {
			seen.Status = t.Status(r.Name) // the reason was written last
			return seen, ErrGaveUp
		}
		if healthy {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return seen, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// observe tells whether the service answered 200. An answer counts only when the service was the same process before and
// after, and, where the system tells, when the port is its own: a stranger on the port proves nothing.
func (t *Target) observe(ctx context.Context, r *Release, client *http.Client, seen *Observation) bool {
	before := t.Status(r.Name)
	code, timedOut := get(ctx, client, running(before).URL+r.Health)
	if ctx.Err() != nil {
		return false // a request that was cut short says nothing
	}
	seen.Status = t.Status(r.Name)
	service := seen.Status.Service
	if service != before.Service || !service.Alive() {
		return false
	}
	ports, known := listening(service)
	seen.Listening, seen.TimedOut = ports, timedOut
	seen.Foreign = code != 0 && known && !slices.Contains(ports, seen.Status.Port)
	if seen.Foreign {
		return false
	}
	seen.Code = code
	return code == http.StatusOK
}

func get(ctx context.Context, client *http.Client, url string) (code int, timedOut bool) {
	// A redirect is an answer of its own, and no probe of a cluster follows one off the service either.
	direct := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if client != nil {
		direct.Transport = client.Transport
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false
	}
	req.Close = true // a kept connection could outlive the service's restart
	res, err := direct.Do(req)
	if err != nil {
		return 0, errors.Is(err, context.DeadlineExceeded)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, false
}
