package sign_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/retry"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
)

// step is one of the two times in a delivery at which evidence is signed.
type step struct {
	name   string
	before func(t *testing.T) *world
	do     func(ctx context.Context, w *world) error
	// left is what holds when the step was cut off, done when it is complete.
	left, done func(w *world) string
}

var steps = []step{
	{name: "sign", before: func(t *testing.T) *world { return newWorld(t, true) },
		do: func(ctx context.Context, w *world) error {
			out, err := sign.Run(ctx, w.inputs, w.deps)
			if err != nil && out.Evidence.Tag != "" {
				return fmt.Errorf("a tag is said to have moved: %w", err)
			}
			return err
		},
		left: func(w *world) string { return w.wantTags(0) },
		done: func(w *world) string { return w.wantTags(1) + w.wantOurs(len(predicates)) }},
	{name: "attest", before: func(t *testing.T) *world { w, _ := delivered(t, true); return w },
		do: func(ctx context.Context, w *world) error {
			_, err := sign.Append(ctx, w.inputs.Record, w.deps)
			return err
		},
		left: func(w *world) string { return w.wantTags(1) },
		done: func(w *world) string { return w.wantTags(1) + w.wantOurs(4) }},
}

// wantTags holds that so many tags are on the image; empty when it is so.
func (w *world) wantTags(n int) string {
	w.t.Helper()
	repository, err := name.NewRepository(w.inputs.Registry)
	expect.NoError(w.t, err)
	tags, err := remote.List(repository)
	if err != nil && !strings.Contains(err.Error(), "NAME_UNKNOWN") {
		w.t.Fatal(err)
	}
	if len(tags) != n || n == 1 && w.tagged(commit) != w.digest {
		return fmt.Sprintf("tags %q of %s, expected %d; ", tags, w.tagged(commit), n)
	}
	return ""
}

// wantOurs holds that so many statements are served that the signer of this run signed.
func (w *world) wantOurs(n int) string {
	w.t.Helper()
	attached, err := referrers.Registry{}.Read(w.t.Context(), w.inputs.Registry+"@"+w.digest)
	expect.NoError(w.t, err)
	ours := 0
	for _, a := range attached {
		if _, err := w.deps.Signer.Verify(w.t.Context(), a.Bundle, w.digest); err == nil {
			ours++
		}
	}
	if ours != n {
		return fmt.Sprintf("%d statements are served, expected %d; ", ours, n)
	}
	return ""
}

// keyless does a step as a job of GitHub that signs keyless, on a clock that runs ahead by a minute for each second that is to be
// waited, so that patience ends soon.
func (s step) keyless(ctx context.Context, w *world, i *sigstorefake.Instance, attempt time.Duration) error {
	w.t.Helper()
	_, config := i.Files()
	services, err := signing.ReadServices(config)
	expect.NoError(w.t, err)
	env := i.Environ()
	job := runner.New(func(name string) string { return env[name] }, io.Discard)
	var ahead atomic.Int64
	sleep := func(ctx context.Context, d time.Duration) error { ahead.Add(int64(d * 60)); return ctx.Err() }
	clock := retry.Clock{Sleep: sleep, Attempt: attempt, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}
	signer, err := signing.NewKeylessSigner(ctx, signing.KeylessOptions{Trust: signed.Trust(w.t, i), Services: services, Clock: clock,
		Token: func(ctx context.Context) (string, error) { return job.IDToken(ctx, "sigstore", sleep) }})
	if err != nil {
		return err
	}
	w.deps.Signer = signer
	return s.do(ctx, w)
}

// soon is how long a service has for an answer that never comes; patient is enough on a busy machine.
const soon, patient = 100 * time.Millisecond, 30 * time.Second

// ways are how a service fails, for good or for one request.
var ways = map[string]struct {
	answer http.HandlerFunc
	once   bool // and answers the next request
	borne  bool // nobody notices
}{
	"down": {answer: reset},
	"5xx": {answer: func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "upstream connect error", http.StatusServiceUnavailable)
	}},
	"garbage":      {answer: garbage},
	"hang":         {answer: hang},
	"down once":    {answer: reset, once: true, borne: true},
	"5xx once":     {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, once: true, borne: true},
	"garbage once": {answer: garbage, once: true},
}

func reset(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func garbage(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = io.WriteString(w, "<html>\x00 a proxy's page: please log in</html>")
}

func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body) // the end of a connection is seen only then
	<-r.Context().Done()
}

// Each service fails at each of its requests, from then on or once, in each way, in both steps: nothing is determined, no
// tag is on what is not signed, and the same again completes it, of the image that was built before.
func TestServiceFailsAtEachRequest(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]sigstorefake.Options{"Rekor v2": {Rekor: 2, TSA: true}, "Rekor v1": {Rekor: 1}} {
		for _, s := range steps {
			for service, n := range requestsOf(t, s, form) {
				if form.Rekor == 1 && (service != sigstorefake.RekorA || s.name == "attest") {
					continue // the others are the same for both
				}
				for way, how := range ways {
					for at := range n {
						if how.once && at > 0 && at < n-1 {
							continue
						}
						t.Run(fmt.Sprint(name, "/", s.name, strings.ReplaceAll(service, "/", " "), " ", way, " ", at), func(t *testing.T) {
							t.Parallel()
							failsAt(t, s, form, service, way, at)
						})
					}
				}
			}
		}
	}
}

// start starts an instance whose certificates end so soon that each statement needs a token and a certificate of its own.
func start(t *testing.T, form sigstorefake.Options) *sigstorefake.Instance {
	t.Helper()
	i := sigstorefake.Start(t, form)
	i.Taint(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) })
	return i
}

// requestsOf is how often an undisturbed step asks each service.
func requestsOf(t *testing.T, s step, form sigstorefake.Options) map[string]int {
	t.Helper()
	i, w := start(t, form), s.before(t)
	expect.NoError(t, s.keyless(t.Context(), w, i, patient))
	asked := map[string]int{sigstorefake.Token: 0, sigstorefake.Fulcio: 0, map[uint32]string{1: sigstorefake.RekorA, 2: sigstorefake.RekorB}[form.Rekor]: 0}
	if form.TSA {
		asked[sigstorefake.TSA] = 0
	}
	for service := range asked {
		if asked[service] = i.Asked(service); asked[service] < 4 {
			t.Fatalf("%s was asked %d times", service, asked[service])
		}
	}
	return asked
}

func failsAt(t *testing.T, s step, form sigstorefake.Options, service, name string, at int) {
	t.Helper()
	way := ways[name]
	i := start(t, form)
	w := s.before(t)
	i.BreakWhen(service, func(n int) http.HandlerFunc {
		if n < at || way.once && n > at {
			return nil
		}
		return way.answer
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempt := patient
	if name == "hang" {
		attempt = soon
		if service == sigstorefake.Token { // which has 10 seconds of the real clock: the job ends before
			ctx, cancel = context.WithTimeout(t.Context(), 2*soon)
			defer cancel()
		}
	}
	err := s.keyless(ctx, w, i, attempt)
	if way.borne || way.once && service == sigstorefake.Token { // whose answers that break off are asked for again
		expect.NoError(t, err)
	} else {
		if err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("gives %v, expected undetermined", err)
		}
		if lines := strings.Join(fault.Lines(err), "\n"); strings.Count(lines, "Nothing got a tag") > 1 { // it ends what is signed beside it
			t.Errorf("what to do is said more than once:\n%s", lines)
		}
		if wrong := s.left(w); wrong != "" {
			t.Error(wrong)
		}
		i.BreakWhen(service, nil)
		if err := s.keyless(t.Context(), w, i, patient); err != nil {
			t.Fatalf("the same again: %v", err)
		}
	}
	if wrong := s.done(w); wrong != "" {
		t.Error(wrong)
	}
}
