// Package smoke checks a live service from outside: first that the new version answers, then that it answers every check
// in several rounds in a row.
//
// Each request opens a connection of its own. A kept connection stays with one replica, so it would not see the others.
// Safe methods are asked every round. An unsafe one is sent exactly once in a run: at the end, when all else is good.
package smoke

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/awake"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Off as the version path means that the version is not checked.
const Off = "off"

// Inputs is what the stage takes.
type Inputs struct {
	URL     string
	Rounds  int
	Timeout time.Duration

	// Filled in by the app.
	Checks      []service.Check
	VersionPath string // path that answers with the version, or Off
	WantDigest  string // of the image, as sha256:HEX
	WantCommit  string // in full
}

// Declare declares what a user may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.URL, action.Input{Name: "url", Example: "https://checkout.staging.example.com",
		Usage: "Where the service answers. Default: what deploy says, else the environment's url in idp.yaml."})
	s.Int(&in.Rounds, action.Input{Name: "rounds", Example: "5",
		Usage: "Consecutive rounds in which every check must be good. Default: what the policy says."})
	s.Duration(&in.Timeout, action.Input{Name: "timeout", Default: "1m", Example: "5m",
		Usage: "Time in which the new version has to answer and the rounds have to be good."})
}

// Deps is what the stage needs from outside.
type Deps struct {
	Transport http.RoundTripper // nil: the default one
	Now       func() time.Time
	Sleep     func(context.Context, time.Duration) error // gives the context's error when that ends first
	Progress  action.Progress
}

// Outputs is what the stage found out.
type Outputs = action.Result[record.Smoke]

// Run checks the service until enough rounds were good or the timeout is over.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	var out Outputs
	r, err := prepare(in, deps)
	if err != nil {
		return out, err
	}
	defer r.client.CloseIdleConnections()
	limited, cancel := awake.WithTimeout(ctx, in.Timeout)
	defer cancel()
	err = r.run(limited)
	out.Evidence = r.evidence()
	if ctx.Err() != nil {
		return out, fault.Undeterminedf("stopped before the answer: %w", context.Cause(ctx))
	}
	if err == nil {
		out.Summary = r.summary()
	}
	return out, err
}

// Check refuses inputs with which nothing can be tested, before anything is deployed.
func (in Inputs) Check() error {
	if in.Timeout <= 0 {
		return fault.BadInputf("timeout is %v: more than 0", in.Timeout)
	}
	return nil
}

// prepare checks the inputs before the first request.
func prepare(in Inputs, deps Deps) (*runner, error) {
	if len(in.Checks) == 0 {
		return nil, fault.Undeterminedf("nothing to check: there are no smoke checks").
			WithNext("Add one to idp.yaml, such as: smoke: [{get: /}]")
	}
	if deps.Now == nil || deps.Sleep == nil {
		return nil, fault.Undeterminedf("no clock was given")
	}
	var problems []string
	base, err := url.Parse(in.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		problems = append(problems, "the URL of the service is not one like https://checkout.example.com") // without the text: it may hold a password
		base = &url.URL{Scheme: "http", Host: "invalid"}
	}
	if in.Rounds < 1 {
		problems = append(problems, fmt.Sprintf("rounds is %d: at least 1", in.Rounds))
	}
	if in.Timeout <= 0 {
		problems = append(problems, fmt.Sprintf("timeout is %v: more than 0", in.Timeout))
	}
	r := &runner{in: in, deps: deps, need: in.Rounds}
	r.base, r.user = &url.URL{Scheme: base.Scheme, Host: base.Host, Path: strings.TrimRight(base.Path, "/")}, base.User
	if r.versionChecked() {
		if in.WantDigest == "" && in.WantCommit == "" {
			problems = append(problems, "neither the digest nor the commit that has to answer is known; set version: off in idp.yaml to go without")
		}
		if r.version.target, err = r.target(in.VersionPath); err != nil {
			problems = append(problems, fmt.Sprintf("version: %v", err))
		}
	}
	for i, c := range in.Checks {
		compiled, err := r.compile(c)
		if err != nil {
			problems = append(problems, fmt.Sprintf("smoke[%d]: %s", i, strings.ReplaceAll(err.Error(), "\n", " ")))
			continue
		}
		r.checks = append(r.checks, compiled)
	}
	switch len(problems) {
	case 0:
	case 1:
		return nil, fault.BadInputf("%s", problems[0])
	default:
		return nil, fault.BadInputf("%d inputs of the smoke test are wrong", len(problems)).WithDetail(problems...)
	}
	if r.deps.Progress == nil {
		r.deps.Progress = func(string) {}
	}
	r.client = newClient(deps.Transport)
	return r, nil
}

func (r *runner) versionChecked() bool { return r.in.VersionPath != Off }

func (r *runner) summary() string {
	text := fmt.Sprintf("%s × %s · p95 %s", finding.Plural(len(r.checks), "check"), finding.Plural(r.streak, "round"), shortMS(r.p95All()))
	if !r.versionChecked() {
		text += " · version not checked"
	}
	if r.tlsSkipped {
		text += " · TLS not checked on loopback"
	}
	return text
}

func (r *runner) evidence() record.Smoke {
	return record.Smoke{URL: r.base.String(), Version: r.version.seen, Rounds: r.streak, Checks: r.results(), P95MS: milliseconds(r.p95All())}
}

func (r *runner) results() []record.CheckResult {
	list := make([]record.CheckResult, len(r.checks))
	for i, c := range r.checks {
		list[i] = record.CheckResult{Name: c.name, Passed: c.done && c.failure == "", Reason: c.failure}
		if !c.done {
			list[i].Reason = cmp.Or(c.failure, "not asked")
		}
	}
	return list
}
