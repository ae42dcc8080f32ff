package announce_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	githubfake "github.com/org/idp/internal/testkit/github"
)

const (
	name   = "acme/checkout"
	digest = "sha256:9d0c4e5f60718293a4b5c6d7e8f9001122334455667788990aabbccddeeff001"
	old    = "sha256:77aa4e5f60718293a4b5c6d7e8f9001122334455667788990aabbccddeeff003"
)

var everything = map[string]string{"deployments": "write", "checks": "write", "statuses": "write", "pull-requests": "write",
	"security-events": "write", "actions": "read", "contents": "read"}

// world is a GitHub with one repository, and a run of it.
type world struct {
	*githubfake.Server
	repo  *githubfake.Repository
	token string
	said  []string
	state announce.State
}

func newWorld(t *testing.T, permissions map[string]string) *world {
	s := githubfake.New(t)
	w := &world{Server: s, repo: s.Repository(name)}
	w.token = s.Token(name, permissions)
	return w
}

func (w *world) announcer(t *testing.T, place announce.Place) *announce.Announcer {
	t.Helper()
	place.Run = github.Run{ID: 77, Attempt: 1, URL: "https://github.com/acme/checkout/actions/runs/77"}
	if place.Shows == announce.Nothing {
		place.Shows = announce.Deployment | announce.Findings | announce.Verdict
	}
	return &announce.Announcer{Place: place,
		Connect: func(budget time.Duration) (*github.Client, error) {
			return github.New(github.Options{API: w.API(), Token: w.token, Repository: name, Budget: budget, Now: time.Now,
				Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		},
		Remember: func(s announce.State) error {
			text, err := json.Marshal(s) // as it is kept between two processes
			if err != nil {
				return err
			}
			w.state = announce.State{}
			return json.Unmarshal(text, &w.state)
		},
		Say: func(line string) { w.said = append(w.said, line) },
	}
}

func (w *world) commit() string {
	return w.repo.Commit("main", githubfake.Commit{Message: "change", Author: "ada", Files: map[string]string{"main.go": "package main\n"}})
}

func delivery(commit string, stages ...record.Stage) *record.Record {
	rec := record.New(record.Service{Name: "checkout", Owner: "team-payments"}, record.Source{Repository: name, Commit: commit, Ref: "refs/heads/main"},
		record.Run{ID: "77", Attempt: 1, URL: "https://github.com/acme/checkout/actions/runs/77", Actor: "ada", Event: "push"}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/checkout", Digest: digest})
	for _, s := range stages {
		rec.Put(s)
	}
	return rec
}

func stage(name string, outcome record.Outcome, evidence any) record.Stage {
	data, err := json.Marshal(evidence)
	if err != nil {
		panic(err)
	}
	return record.Stage{Name: name, Outcome: outcome, Reason: map[bool]string{false: "it did not become ready"}[outcome == record.Passed], Evidence: data}
}

func deployed(outcome record.Outcome, e record.Deploy) record.Stage {
	e.Target, e.Digest, e.Changed = "kubernetes", digest, true
	return stage(record.StageDeploy, outcome, e)
}

func of(rec *record.Record) announce.Delivery {
	return announce.Delivery{Report: report.Report{Record: rec}, Ref: rec.Source.Ref}
}

func TestAPushIsShownWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	a := w.announcer(t, announce.Place{Commit: commit})
	rec := delivery(commit)
	a.Begin(t.Context(), rec)
	if runs := w.repo.CheckRuns(); len(runs) != 1 || runs[0].Status != "in_progress" || runs[0].Name != "idp/checkout/staging" || runs[0].SHA != commit {
		t.Fatalf("at the beginning: %+v", runs)
	}
	a.Deploying(t.Context(), rec, &record.Deployment{Digest: old, Commit: strings.Repeat("7", 40)})
	if list := w.repo.Deployments(); len(list) != 1 || list[0].State() != "in_progress" || list[0].Environment != "staging" || list[0].SHA != commit {
		t.Fatalf("before the change: %+v", list)
	}
	rec.Put(deployed(record.Passed, record.Deploy{URL: "https://checkout.example"}))
	rec.Put(stage(record.StageSmoke, record.Passed, record.Smoke{}))
	d := of(rec)
	d.Report.Scans = []record.Stage{{Name: record.StageSAST, Outcome: record.Passed, Tool: &record.Tool{Name: "gosec", Version: "2.30.0"}}}
	d.Marked = []report.Marked{{Finding: finding.Finding{Rule: "G404", Title: "weak random", File: "main.go", Line: 1, Severity: finding.Low}, Level: "warning"}}
	shown, err := a.End(t.Context(), d)
	if err != nil || len(w.said) != 0 {
		t.Fatalf("%v %q", err, w.said)
	}
	if shown.CodeScanning == "" || len(w.repo.Sarifs()) != 1 || w.repo.Sarifs()[0].Ref != "refs/heads/main" {
		t.Errorf("code scanning %q: %+v", shown.CodeScanning, w.repo.Sarifs())
	}
	check, dep := w.repo.CheckRuns()[0], w.repo.Deployments()[0]
	if check.Conclusion != "success" || len(check.Annotations) != 1 || shown.Check != check.ID {
		t.Errorf("check %+v, shown %+v", check, shown)
	}
	last := dep.Statuses[len(dep.Statuses)-1]
	if dep.State() != "success" || last.EnvironmentURL != "https://checkout.example" || last.LogURL == "" || shown.Deployment != dep.ID {
		t.Errorf("deployment %+v", dep)
	}
	var payload struct {
		Previous string
		Record   report.Payload
	}
	if err := json.Unmarshal(dep.Payload, &payload); err != nil || payload.Previous != old || payload.Record.Digest != digest || payload.Record.Owner != "team-payments" {
		t.Errorf("payload %s %v", dep.Payload, err)
	}
}

func TestAPullRequestIsCheckedAtItsHeadAndCommentedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	w.commit()
	head := w.repo.Commit("feature", githubfake.Commit{Message: "feature", Author: "ada", Files: map[string]string{"main.go": "package main // new\n"}})
	number := w.repo.PullRequest(githubfake.PullRequest{Title: "A feature", Author: "ada", Head: "feature"})
	for _, outcome := range []record.Outcome{record.Failed, record.Passed} {
		rec := delivery(head, stage(record.StageSAST, outcome, record.Scan{}))
		rec.Plan = true
		a := w.announcer(t, announce.Place{Commit: head, PullRequest: number})
		a.Begin(t.Context(), rec)
		shown, err := a.End(t.Context(), of(rec))
		if err != nil || shown.Comment == "" || shown.Deployment != 0 {
			t.Fatalf("%+v %v", shown, err)
		}
	}
	early := w.announcer(t, announce.Place{Commit: w.repo.Head("main"), PullRequest: number}) // of a commit that was the head before
	early.Run.ID = 76
	rec := delivery(early.Commit, stage(record.StageSAST, record.Failed, record.Scan{}))
	rec.Plan, rec.Run.ID = true, "76"
	const left = "the comment is about a later commit already, by run 77, and is left as it is"
	if shown, err := early.End(t.Context(), of(rec)); err != nil || shown.Comment != "" || !slices.Contains(shown.Without, left) || !slices.Contains(w.said, left) {
		t.Errorf("%+v %v, said %q", shown, err, w.said)
	}
	comments := w.repo.Comments(number)
	if len(comments) != 1 || !strings.Contains(comments[0].Body, "would deploy to staging") {
		t.Errorf("comments %+v", comments)
	}
	runs := w.repo.CheckRuns()
	if runs = slices.DeleteFunc(runs, func(k githubfake.CheckRun) bool { return k.SHA != head }); len(runs) != 2 || runs[0].Conclusion != "failure" || runs[1].Conclusion != "success" || runs[1].SHA != head {
		t.Errorf("checks %+v", runs)
	}
	if len(w.repo.Deployments()) != 0 {
		t.Error("a plan has filed a deployment")
	}
}

func TestWhatFailedAndWhatWasPutBackAreTwoDeployments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	before := w.commit()
	commit := w.commit()
	rec := delivery(commit, deployed(record.Failed, record.Deploy{URL: "https://checkout.example", Restored: &record.Deployment{Digest: old, Commit: before}}))
	a := w.announcer(t, announce.Place{Commit: commit})
	a.Deploying(t.Context(), rec, &record.Deployment{Digest: old, Commit: before})
	if _, err := a.End(t.Context(), of(rec)); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, d := range w.repo.Deployments() {
		states[d.Task+" "+d.SHA] = d.State()
	}
	if len(states) != 2 || states["deploy "+commit] != "failure" || states["deploy:rollback "+before] != "success" {
		t.Errorf("%v", states)
	}
	if k := w.repo.CheckRuns()[0]; k.Conclusion != "failure" {
		t.Errorf("check %+v", k)
	}
}

// What was put back is live again at the end of the deploy, and not when it is shown: by then another delivery may have replaced it.
func TestWhatWasPutBackDoesNotReplaceALaterDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	w.repo.Run(githubfake.Run{ID: 77, Status: "in_progress", Attempt: 1})
	before := w.commit()
	commit := w.commit()
	rec := delivery(commit, deployed(record.Failed, record.Deploy{URL: "https://checkout.example", Restored: &record.Deployment{Digest: old, Commit: before}}))
	a := w.announcer(t, announce.Place{Commit: commit})
	a.Deploying(t.Context(), rec, &record.Deployment{Digest: old, Commit: before})

	later := delivery(w.commit(), deployed(record.Passed, record.Deploy{URL: "https://checkout.example"}))
	later.Run.ID = "78"
	b := w.announcer(t, announce.Place{Commit: later.Source.Commit})
	b.Run.ID = 78
	b.Deploying(t.Context(), later, nil)
	for _, end := range []func() (record.GitHub, error){
		func() (record.GitHub, error) { return b.End(t.Context(), of(later)) },
		func() (record.GitHub, error) { return a.End(t.Context(), of(rec)) },
	} {
		if _, err := end(); err != nil {
			t.Fatal(err)
		}
	}
	states := map[string]string{}
	for _, d := range w.repo.Deployments() {
		states[d.Task+" "+d.SHA] = d.State()
	}
	want := map[string]string{"deploy " + commit: "failure", "deploy " + later.Source.Commit: "success", "deploy:rollback " + before: "inactive"}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
}

// GitHub's verdict of a name on a commit is that of its newest run, or of all of them: a run that is neither a change nor a delivery
// must not have the name of one, whichever way it ends.
func TestAScheduleDoesNotAnswerForTheDelivery(t *testing.T) {
	t.Parallel()
	const required = "idp/checkout/staging"
	noChecks := map[string]string{"statuses": "write", "contents": "read"}
	for _, permissions := range []map[string]string{everything, noChecks} {
		w := newWorld(t, permissions)
		commit := w.commit()
		verdicts := func() (list map[string][]string) { // of each name, oldest first
			list = map[string][]string{}
			for _, k := range w.repo.CheckRuns() {
				list[k.Name] = append(list[k.Name], k.Conclusion)
			}
			for _, s := range w.repo.Statuses(commit) {
				list[s.Context] = append(list[s.Context], s.State)
			}
			return list
		}
		for _, run := range []struct {
			event   string
			plan    bool
			outcome record.Outcome
			name    string
		}{
			{"push", false, record.Failed, required},
			{"schedule", true, record.Passed, required + " (schedule)"},
			{"schedule", false, record.Passed, required + " (schedule)"},
			{"workflow_dispatch", true, record.Passed, required + " (workflow_dispatch)"},
			{"release", true, record.Passed, required + " (release)"},
			{"repository_dispatch", true, record.Passed, required + " (repository_dispatch)"},
			{"workflow_dispatch", false, record.Passed, required}, // a delivery again
			{"schedule", true, record.Failed, required + " (schedule)"},
			{"issue_comment", false, record.Passed, required}, // approved
			{"release", false, record.Passed, required},
			{"pull_request", true, record.Passed, required},
			{"merge_group", true, record.Passed, required},
			{"push", true, record.Passed, required},
		} {
			before := verdicts()
			rec := delivery(commit, stage(record.StageSAST, run.outcome, record.Scan{}))
			rec.Run.Event, rec.Plan = run.event, run.plan
			a := w.announcer(t, announce.Place{Commit: commit})
			a.Begin(t.Context(), rec)
			if _, err := a.End(t.Context(), of(rec)); err != nil {
				t.Fatal(err)
			}
			after := verdicts()
			last := after[run.name][len(after[run.name])-1]
			if passed := last == "success"; len(after[run.name]) <= len(before[run.name]) || passed != (run.outcome == record.Passed) {
				t.Errorf("%+v: %v, before %v", run, after, before)
			}
			if run.name != required && !slices.Equal(before[required], after[required]) {
				t.Errorf("%+v changed what is required: %v, before %v", run, after, before)
			}
		}
	}
}

// The worse of deploy and smoke test decides; what comes after them changes nothing of what is live.
func TestTheStateOfADeployment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		deploy, smoke, catalog record.Outcome
		want                   string
	}{
		{record.Passed, record.Passed, record.Error, "success"},
		{record.Passed, record.Skipped, record.Skipped, "success"},
		{record.Passed, record.Failed, record.Passed, "failure"},
		{record.Failed, record.Skipped, record.Passed, "failure"},
		{record.Error, record.Skipped, record.Passed, "error"},
		{record.Passed, record.Error, record.Passed, "error"},
		{record.Skipped, record.Skipped, record.Skipped, ""},
	} {
		w := newWorld(t, everything)
		commit := w.commit()
		rec := delivery(commit, deployed(tc.deploy, record.Deploy{}), stage(record.StageSmoke, tc.smoke, record.Smoke{}), stage(record.StageCatalog, tc.catalog, record.Catalog{}))
		if _, err := w.announcer(t, announce.Place{Commit: commit}).End(t.Context(), of(rec)); err != nil {
			t.Fatal(err)
		}
		got := ""
		if list := w.repo.Deployments(); len(list) == 1 {
			got = list[0].State()
		}
		if got != tc.want {
			t.Errorf("deploy %s, smoke %s: %q, want %q", tc.deploy, tc.smoke, got, tc.want)
		}
	}
}

func TestEveryMissingPermissionCostsOnlyItsFeature(t *testing.T) {
	t.Parallel()
	for scope, check := range map[string]func(*world, record.GitHub) bool{
		"deployments": func(w *world, g record.GitHub) bool { return g.Deployment == 0 && g.Check != 0 && g.Comment != "" },
		"checks": func(w *world, g record.GitHub) bool {
			return g.Check == 0 && g.Status && g.Deployment != 0 && g.Comment != ""
		},
		"pull-requests": func(w *world, g record.GitHub) bool { return g.Comment == "" && g.Check != 0 && g.Deployment != 0 },
	} {
		permissions := map[string]string{}
		for name, level := range everything {
			if name != scope {
				permissions[name] = level
			}
		}
		w := newWorld(t, permissions)
		commit := w.commit()
		w.repo.Branch("feature", commit)
		number := w.repo.PullRequest(githubfake.PullRequest{Title: "A feature", Author: "ada", Head: "feature"})
		a := w.announcer(t, announce.Place{Commit: commit, PullRequest: number})
		rec := delivery(commit)
		a.Begin(t.Context(), rec)
		a.Deploying(t.Context(), rec, nil)
		rec.Put(deployed(record.Passed, record.Deploy{}))
		shown, err := a.End(t.Context(), of(rec))
		if err != nil || !check(w, shown) {
			t.Errorf("without %s: %+v, %v", scope, shown, err)
		}
		if len(w.said) != 1 || !strings.Contains(w.said[0], "permissions: {"+scope+": write}") || !slices.Equal(shown.Without, w.said) {
			t.Errorf("without %s: said %q", scope, w.said)
		}
		if scope == "checks" {
			if list := w.repo.Statuses(commit); len(list) != 2 || list[0].State != "success" && list[1].State != "success" {
				t.Errorf("statuses %+v", list)
			}
		}
	}
}

// Nothing is allowed: nothing is shown, nothing is an error, and every feature says what it lacks.
func TestNothingIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	commit := w.commit()
	shown, err := w.announcer(t, announce.Place{Commit: commit}).End(t.Context(), of(delivery(commit, deployed(record.Passed, record.Deploy{}))))
	if err != nil || shown.Deployment != 0 || shown.Check != 0 || shown.Status || len(shown.Without) != 3 {
		t.Errorf("%+v %v", shown, err)
	}
}

// What GitHub does not take is no success anywhere: the check, which is written last, says that something is missing.
func TestAnOutageOfOneFeatureIsInTheCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	w.Inject(githubfake.Fault{On: "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", Status: http.StatusBadGateway})
	_, err := w.announcer(t, announce.Place{Commit: commit}).End(t.Context(), of(delivery(commit, deployed(record.Passed, record.Deploy{}))))
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "the deployment") {
		t.Errorf("%v", err)
	}
	if k := w.repo.CheckRuns(); len(k) != 1 || k[0].Conclusion != "failure" || !strings.Contains(k[0].Title, "could not be determined: github") {
		t.Errorf("check %+v", k)
	}
}

func TestAnOutageAtTheBeginningIsMadeGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	token := w.token
	a := w.announcer(t, announce.Place{Commit: commit})
	rec := delivery(commit)
	w.Inject(githubfake.Fault{On: "POST /repos/{owner}/{repo}/check-runs", Call: 1, Cut: true})
	w.token = token
	a.Begin(t.Context(), rec)
	a.Deploying(t.Context(), rec, nil)
	rec.Put(deployed(record.Passed, record.Deploy{}))
	shown, err := a.End(t.Context(), of(rec))
	if err != nil || shown.Check == 0 || shown.Deployment == 0 || len(w.repo.CheckRuns()) != 1 || len(w.repo.Deployments()) != 1 {
		t.Errorf("%+v %v; %d checks", shown, err, len(w.repo.CheckRuns()))
	}
}

// Alerts belong to a ref. Without one nothing is uploaded, and whoever reads the report knows.
func TestFindingsOfNoRefAreLeftOutAloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	d := of(delivery(commit, stage(record.StageSAST, record.Passed, record.Scan{})))
	d.Ref, d.Report.Scans = "", []record.Stage{{Name: record.StageSAST, Outcome: record.Passed, Tool: &record.Tool{Name: "gosec"}}}
	shown, err := w.announcer(t, announce.Place{Commit: commit}).End(t.Context(), d)
	const why = "code scanning: the commit is of no branch, tag or pull request that is known, so nothing is uploaded"
	if err != nil || shown.CodeScanning != "" || !slices.Contains(shown.Without, why) || len(w.repo.Sarifs()) != 0 {
		t.Errorf("%+v, %v", shown, err)
	}
}

// What GitHub took at the beginning without anybody seeing its answer is found at the end, and not begun twice.
func TestACheckWhoseBeginningWasLostIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	a := w.announcer(t, announce.Place{Commit: commit})
	connect, rec := a.Connect, delivery(commit)
	w.Inject(githubfake.Fault{On: "POST /repos/{owner}/{repo}/check-runs", Call: 1, Cut: true, Taken: true})
	a.Connect = func(time.Duration) (*github.Client, error) { return connect(time.Nanosecond) }
	a.Begin(t.Context(), rec)
	if list := w.repo.CheckRuns(); len(list) != 1 || len(w.said) != 1 {
		t.Fatalf("checks %+v, said %q", list, w.said)
	}
	a.Connect = connect
	rec.Put(deployed(record.Passed, record.Deploy{}))
	shown, err := a.End(t.Context(), of(rec))
	if list := w.repo.CheckRuns(); err != nil || len(list) != 1 || list[0].Conclusion != "success" || list[0].ID != shown.Check {
		t.Errorf("%+v, %v; checks %+v", shown, err, list)
	}
}

// A run that is killed at any request of the beginning leaves nothing open, whether or not GitHub's answer was seen.
func TestCutOffLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	for _, f := range []githubfake.Fault{
		{},
		{On: "POST /repos/{owner}/{repo}/check-runs", Call: 1, Cut: true, Taken: true},
		{On: "POST /repos/{owner}/{repo}/deployments", Call: 1, Cut: true, Taken: true},
		{On: "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", Call: 1, Cut: true},
	} {
		w := newWorld(t, everything)
		commit := w.commit()
		ctx, cancel := context.WithCancel(t.Context())
		a := w.announcer(t, announce.Place{Commit: commit})
		if f.On != "" {
			w.Inject(f)
		}
		connect := a.Connect
		a.Connect = func(time.Duration) (*github.Client, error) { // a process that is killed repeats nothing
			return connect(time.Nanosecond)
		}
		rec := delivery(commit)
		a.Begin(ctx, rec)
		a.Deploying(ctx, rec, nil)
		cancel()
		post := w.announcer(t, announce.Place{})
		w.said = nil
		if err := post.CutOff(t.Context(), w.state, "idp path was cut off during deploy"); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
		for _, d := range w.repo.Deployments() {
			if d.State() != "error" {
				t.Errorf("%+v: deployment %+v", f, d)
			}
		}
		for _, k := range w.repo.CheckRuns() {
			if k.Conclusion != "failure" {
				t.Errorf("%+v: check %+v", f, k)
			}
		}
	}
}

func TestWhatWaitsIsQueuedAndNoSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	commit := w.commit()
	w.repo.Branch("feature", commit)
	number := w.repo.PullRequest(githubfake.PullRequest{Title: "A feature", Author: "ada", Head: "feature"})
	text := "production waits for the approval of a code owner of what changed who did not write it"
	rec := delivery(commit, stage(record.StageSign, record.Passed, record.Sign{}),
		stage(record.StageDeploy, record.Skipped, record.Deploy{Guards: []record.Guard{{Guard: "approval", Answer: "waits", Text: text}}}))
	rec.Environment = "production"
	shown, err := w.announcer(t, announce.Place{Commit: commit, PullRequest: number}).End(t.Context(), of(rec))
	if err != nil {
		t.Fatal(err)
	}
	if list := w.repo.Deployments(); len(list) != 1 || list[0].State() != "queued" || list[0].Task != github.TaskWait || shown.Deployment != list[0].ID {
		t.Errorf("deployments %+v", list)
	}
	if k := w.repo.CheckRuns(); len(k) != 1 || k[0].Conclusion != "action_required" {
		t.Errorf("check %+v", k)
	}
	if c := w.repo.Comments(number); len(c) != 1 || !strings.Contains(c[0].Body, "waits for approval to deploy to production") {
		t.Errorf("comment %+v", c)
	}
}

func TestWhatChangedSinceWhatIsLiveIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything)
	live := w.commit()
	w.repo.Branch("feature", live)
	w.repo.Commit("feature", githubfake.Commit{Message: "Take money", Author: "jane"})
	head := w.repo.Commit("feature", githubfake.Commit{Message: "Revert \"Round\"\n\nThis reverts commit " + live + ".", Author: "ada"})
	gone := w.repo.Commit("main", githubfake.Commit{Message: "Keep the receipt", Author: "joe"})
	number := w.repo.PullRequest(githubfake.PullRequest{Title: "A feature", Author: "ada", Head: "feature"})
	rec := delivery(head, stage(record.StagePlan, record.Passed, record.Plan{Live: &record.Deployment{Digest: old, Commit: gone}}))
	rec.Plan = true
	shown, err := w.announcer(t, announce.Place{Commit: head, PullRequest: number}).End(t.Context(), of(rec))
	if err != nil {
		t.Fatal(err)
	}
	want := &record.Changes{Since: gone, Commits: 2, Undone: 1, Authors: []string{"ada", "jane"}, Reverts: []string{live}}
	if diff := cmp.Diff(want, shown.Changes, cmpopts.IgnoreFields(record.Changes{}, "PullRequests")); diff != "" {
		t.Errorf("-want +have:\n%s", diff)
	}
	body := w.repo.Comments(number)[0].Body
	for _, text := range []string{"2 commits since what is live, by ada, jane", "1 commit that is live is not in this", "Keep the receipt", "It takes back"} {
		if !strings.Contains(body, text) {
			t.Errorf("%q is not in\n%s", text, body)
		}
	}
}
