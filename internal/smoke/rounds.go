package smoke

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
)

const (
	// looks at the version in each round, each on a connection of its own, so that replicas of an old version are met.
	looks = 5
	// maxRaise is how many times as many rounds may be asked for because an old version answered in between.
	maxRaise = 10
	// pause between two good rounds; without one, three rounds are over in the time of a hiccup.
	pause = 250 * time.Millisecond
)

// runner is one run of the stage.
type runner struct {
	in     Inputs
	deps   Deps
	client *http.Client
	base   *url.URL // without credentials
	user   *url.Userinfo

	checks  []*check
	version version

	need, streak int // good rounds in a row: asked for, had
	raised       int
	round        int
	answered     bool // by anything, ever
	tlsSkipped   bool
	last         *fault.Error // why the last whole round was not good
}

func (r *runner) run(ctx context.Context) error {
	if r.versionChecked() {
		if err := r.await(ctx); err != nil {
			return err
		}
	}
	wait := pause
	for {
		r.round++
		r.deps.Progress(fmt.Sprintf("round %d, %d of %d good in a row", r.round, r.streak, r.need))
		before := r.streak
		err, final := r.oneRound(ctx)
		switch {
		case final:
			return toError(err)
		case ctx.Err() != nil:
			return r.outOfTime(err, before)
		case err != nil:
			r.last, r.streak = err, 0
			wait = min(2*wait, 2*time.Second)
		default:
			wait = pause
		}
		if r.deps.Sleep(ctx, wait) != nil {
			return r.outOfTime(err, r.streak)
		}
	}
}

// toError keeps a nil *fault.Error from becoming an error that is not nil.
func toError(err *fault.Error) error {
	if err == nil {
		return nil
	}
	return err
}

// oneRound looks at the version and asks every safe check. With the last good round it also settles what is left to the
// end: the latency over all rounds, then the unsafe checks. Final means that the run is over.
func (r *runner) oneRound(ctx context.Context) (err *fault.Error, final bool) {
	r.begin()
	if err := r.sameVersion(ctx); err != nil {
		return err, false
	}
	good := true
	for _, c := range r.checks {
		if c.safe {
			r.examine(ctx, c)
			good = good && c.failure == ""
		}
		if ctx.Err() != nil {
			break
		}
	}
	if !good || ctx.Err() != nil {
		return r.failed(), false
	}
	if r.streak+1 < r.need {
		r.streak++
		return nil, false
	}
	for _, c := range r.checks {
		if slow := c.slow(); slow != "" {
			c.failure = slow
			good = false
		}
	}
	if !good {
		return r.failed(), false
	}
	if err := r.unsafe(ctx); err != nil {
		return err, true
	}
	r.streak++
	return nil, true
}

// begin forgets the last round; after a bad one also its latencies, or one slow start would count for ever.
func (r *runner) begin() {
	for _, c := range r.checks {
		c.done, c.failure, c.excerpt = false, "", ""
		if r.streak == 0 {
			c.samples = nil
		}
	}
}

// sameVersion meets several replicas. Where one is of another version, the bar rises: with some old replicas left, a short
// row of lucky answers is sure to come if it is only waited for.
func (r *runner) sameVersion(ctx context.Context) *fault.Error {
	if !r.versionChecked() {
		return nil
	}
	for range looks {
		s := r.look(ctx)
		switch {
		case s.wanted != "":
		case s.other != "":
			r.raised = min(r.raised+1, maxRaise-1)
			r.need = r.in.Rounds * (1 + r.raised)
			return fault.Failedf("an old version still answers beside the new one: %s", s.other).WithDetail(r.wanted()...).
				WithNext("Some replicas were not replaced, or the traffic is split. Look at the rollout.")
		default:
			return fault.Undeterminedf("which version answers can no longer be told from %s: %s", r.in.VersionPath, s.problem).WithDetail(r.wanted()...)
		}
	}
	return nil
}

// examine asks one check and judges the answer.
func (r *runner) examine(ctx context.Context, c *check) {
	a := r.ask(ctx, c.request, c.status)
	c.done = true
	c.failure, c.excerpt = r.judge(c, a)
	if a.problem == "" {
		c.samples = append(c.samples, a.took)
	}
}

// unsafe sends what may change something. Its answer is final, whatever it is: sending it again could do the thing twice.
func (r *runner) unsafe(ctx context.Context) *fault.Error {
	for _, c := range r.checks {
		if c.safe {
			continue
		}
		if r.examine(ctx, c); c.failure == "" {
			c.failure = c.slow()
		}
		if c.failure != "" {
			return r.failed()
		}
	}
	return nil
}

// failed reports the checks that are not good.
func (r *runner) failed() *fault.Error {
	var headline string
	var detail []string
	for _, c := range r.checks {
		if c.failure == "" {
			continue
		}
		text := c.name + " " + c.failure
		if headline == "" {
			headline = text
		}
		detail = append(detail, text)
		if c.excerpt != "" {
			detail = append(detail, "  | "+c.excerpt)
		}
	}
	if headline == "" {
		return nil
	}
	if len(detail) == 1 {
		detail = nil
	}
	return fault.Failedf("%s", headline).WithDetail(detail...)
}

// outOfTime is the verdict when the timeout is over. Now is how the round that it cut off was, streak the good ones before.
func (r *runner) outOfTime(now *fault.Error, streak int) error {
	why := r.last
	if why == nil {
		why = now
	}
	switch {
	case !r.answered && why != nil:
		return r.unreachable(why.What)
	case r.last != nil:
		return r.last.WithDetail(fmt.Sprintf("%s in %v, never %s good in a row", finding.Plural(r.round, "round"), r.in.Timeout, finding.Plural(r.need, "round")))
	case streak > 0:
		r.streak = streak
		return fault.Undeterminedf("%d of %d rounds were good in a row when %v were over", streak, r.need, r.in.Timeout).
			WithNext("Give it more time: --timeout " + (2 * r.in.Timeout).String())
	case now != nil:
		return now
	}
	return fault.Undeterminedf("no round was finished within %v", r.in.Timeout)
}

// slow says that the latency of a check is over what it may be.
func (c *check) slow() string {
	if took := p95(c.samples); c.p95 > 0 && took > c.p95 {
		return fmt.Sprintf("took %s at p95 over %s, want at most %v", shortMS(took), finding.Plural(len(c.samples), "sample"), c.p95)
	}
	return ""
}

func (r *runner) p95All() time.Duration {
	var all []time.Duration
	for _, c := range r.checks {
		all = append(all, c.samples...)
	}
	return p95(all)
}

// p95 is the 95th percentile by nearest rank; 0 where there is no sample.
func p95(samples []time.Duration) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(math.Ceil(0.95*float64(len(sorted))))-1]
}

// milliseconds keeps microseconds; finer is noise.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond).Microseconds()) / 1000
}

// shortMS is 4 ms, or 0.4 ms below one.
func shortMS(d time.Duration) string {
	ms := milliseconds(d)
	if ms < 1 {
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(math.Round(ms), 'f', 0, 64) + " ms"
}
