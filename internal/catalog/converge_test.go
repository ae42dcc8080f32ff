package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/expect"
)

func mustRun(t *testing.T, in Inputs) Outputs {
	t.Helper()
	out, err := Run(t.Context(), in, testDeps())
	if err != nil {
		t.Fatalf("%s", strings.Join(fault.Lines(err), "\n"))
	}
	return out
}

func TestSecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Checkout = filepath.Join(t.TempDir(), "catalog")
	first := mustRun(t, in)
	another := delivered(t, in.Service, "101", commitA, digestA, record.Passed)
	another.Put(record.Stage{Name: record.StageDeploy, Outcome: record.Passed, Evidence: []byte(`{"digest":"` + digestA + `","changed":false}`)})
	for name, rec := range map[string]*record.Record{
		"same record":               in.Record,
		"same version, another run": another,
		"same version, without run": delivered(t, in.Service, "", commitA, digestA, record.Passed),
	} {
		again := in
		again.Record = rec
		out := mustRun(t, again)
		if out.Evidence.Changed || out.Summary != "component checkout · nothing changed" ||
			out.Evidence.Commit != first.Evidence.Commit || out.Evidence.Delivery != 1 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if n := commits(t, in.URL); n != 1 {
		t.Errorf("%d commits", n)
	}
	if _, err := os.Stat(filepath.Join(in.Checkout, "index.json")); err != nil {
		t.Error(err)
	}
}

// The same version with other manifests, such as a size that the policy changed, is a delivery: what runs, and what it costs, is
// not what it was.
func TestSameVersionThatChangedSomethingIsLogged(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	in.Record = delivered(t, in.Service, "101", commitA, digestA, record.Passed)
	in.Record.Put(record.Stage{Name: record.StageCost, Outcome: record.Passed, Evidence: []byte(`{"currency":"USD","min":20,"max":60}`)})
	if out := mustRun(t, in); out.Summary != "component checkout, delivery 2" {
		t.Errorf("%+v", out)
	}
	if out := mustRun(t, in); out.Evidence.Changed {
		t.Errorf("once more: %+v", out)
	}
	if lines := logLines(t, in.URL, "deliveries/checkout/staging"); len(lines) != 2 || lines[1].Cost.Max != 60 || effects(lines) != "2 2" {
		t.Errorf("%+v", lines)
	}
}

// The log says what happened: each of these is a delivery of its own, and of no other.
func TestLogOfSeveralDeliveries(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	digestB := strings.Replace(digestA, "9d0c", "77aa", 1)
	steps := []struct {
		name     string
		run      string
		digest   string
		outcome  record.Outcome
		delivery int
		changed  bool
	}{
		{"first, outside CI", "", digestA, record.Passed, 1, true},
		{"another version", "", digestB, record.Passed, 2, true},
		{"the first version again", "", digestA, record.Passed, 3, true},
		{"fails", "7", digestB, record.Failed, 4, true},
		{"the same run again", "7", digestB, record.Failed, 4, false},
		{"the same run, and now it passes", "7", digestB, record.Passed, 5, true},
		{"undetermined", "8", digestB, record.Error, 6, true},
		{"an old run once more", "7", digestB, record.Failed, 4, false},
	}
	for _, step := range steps {
		in.Record = delivered(t, in.Service, step.run, commitA, step.digest, step.outcome)
		out := mustRun(t, in)
		if out.Evidence.Delivery != step.delivery || out.Evidence.Changed != step.changed {
			t.Fatalf("%s: %+v", step.name, out.Evidence)
		}
	}
	if n := len(logLines(t, in.URL, "deliveries/checkout/staging")); n != 6 {
		t.Errorf("%d lines", n)
	}
	env := readIndex(t, in.URL).Services["checkout"].Environments["staging"]
	if env.Latest.Delivery != 6 || env.Latest.Outcome != record.Error || env.Passed.Delivery != 5 || env.Passed.Digest != digestB {
		t.Errorf("index: %+v %+v", env.Latest, env.Passed)
	}
}

// readIndex reads the catalogue as people's tools do.
func readIndex(t *testing.T, url string) *catalogfile.Index {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	git(t, filepath.Dir(dir), "clone", "--quiet", url, dir)
	x, err := catalogfile.ReadIndex(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// A second delivery writes its log and its state, and reads nothing that grows with the catalogue.
func TestIndexIsReadOnlyToRegister(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	first := show(t, in.URL, "index.json")
	edit(t, in.URL, map[string]string{"index.json": "not an index\n"})
	in.Record = delivered(t, in.Service, "101", strings.Repeat("b", 40), digestA, record.Passed)
	mustRun(t, in)
	lines := logLines(t, in.URL, "deliveries/checkout")
	month := lines[len(lines)-1].Time.UTC().Format("2006-01")
	if changed := git(t, in.URL, "diff", "--name-only", "main~", "main"); changed != "deliveries/checkout/staging/"+month+".jsonl\ndeliveries/checkout/state.json\n" {
		t.Errorf("it changed %s", changed)
	}
	in.Service.Tier = 2
	in.Record = delivered(t, in.Service, "102", strings.Repeat("c", 40), digestA, record.Passed)
	refused(t, in, fault.BadInput, "index.json in the catalogue is not what it has to be")
	edit(t, in.URL, map[string]string{"index.json": first})
	mustRun(t, in)
	if got := readIndex(t, in.URL).Services["checkout"]; got.Tier != 2 || got.Environments["staging"].Latest.Delivery != 3 {
		t.Errorf("%+v", got)
	}
}

// The index of a catalogue that an earlier version wrote has the deliveries itself; none of them is lost.
func TestIndexThatHasDeliveries(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	edit(t, in.URL, map[string]string{"index.json": `{"schema":"idp.catalog/v1","more":1,"services":{
		"checkout":{"name":"checkout","owner":"team-old","repository":"acme/checkout","environments":{"production":{"latest":{"delivery":7,"id":"x","outcome":"failed"}}}},
		"cart":{"name":"cart","repository":"acme/cart","environments":{"production":{"latest":{"delivery":3,"id":"y","outcome":"passed"}}}}}}`})
	mustRun(t, in)
	got := readIndex(t, in.URL).Services
	if s := got["checkout"]; s.Owner != "team-payments" || s.Environments["production"].Latest.Delivery != 7 || s.Environments["staging"].Latest.Delivery != 1 {
		t.Errorf("%+v", s)
	}
	if s := got["cart"]; s.Environments["production"].Latest.Delivery != 3 {
		t.Errorf("%+v", s)
	}
	if text := show(t, in.URL, "index.json"); !strings.Contains(text, `"more": 1`) || strings.Count(text, "environments") != 1 {
		t.Error(text)
	}
}

func TestRolledBackDeliveryIsLogged(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Record = delivered(t, in.Service, "9", commitA, digestA, record.Passed)
	evidence, err := json.Marshal(record.Deploy{Release: "r0", Digest: digestA, Changed: true,
		Restored: &record.Deployment{Digest: "sha256:77aa", Commit: "77aa"}})
	if err != nil {
		t.Fatal(err)
	}
	in.Record.Put(record.Stage{Name: record.StageDeploy, Outcome: record.Passed, Evidence: evidence})
	in.Record.Put(record.Stage{Name: record.StageSmoke, Outcome: record.Failed})
	in.Record.Put(record.Stage{Name: record.StageCatalog, Outcome: record.Error}) // of an earlier try
	mustRun(t, in)
	l := logLines(t, in.URL, "deliveries/checkout/staging")[0]
	if !l.RolledBack || l.Outcome != record.Failed || len(l.Stages) != 3 {
		t.Errorf("%+v", l)
	}
}

// A rollback by hand is a line of its own, also in the run of the delivery that it takes back, and says what is live then.
func TestRollbackByHandIsLogged(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	before := record.Deployment{Digest: in.Record.Artifact.Digest, Commit: in.Record.Source.Commit}
	in.Record = delivered(t, in.Service, "101", strings.Repeat("b", 40), "sha256:"+strings.Repeat("b", 64), record.Passed)
	after := record.Deployment{Digest: in.Record.Artifact.Digest, Commit: in.Record.Source.Commit}
	mustRun(t, in)
	data, err := json.Marshal(record.Rollback{Release: "v3", From: &after, To: &before})
	if err != nil {
		t.Fatal(err)
	}
	in.Record.Put(record.Stage{Name: record.StageRollback, Outcome: record.Passed, Evidence: data, StartedAt: time.Now()})
	if out := mustRun(t, in); out.Summary != "component checkout, delivery 3" {
		t.Errorf("%+v", out)
	}
	if out := mustRun(t, in); out.Evidence.Changed {
		t.Errorf("once more: %+v", out)
	}
	lines := logLines(t, in.URL, "deliveries/checkout/staging")
	if len(lines) != 3 || lines[2].Digest != before.Digest || lines[2].Commit != before.Commit || *lines[2].Previous != after || lines[2].RolledBack ||
		lines[2].Outcome != record.Passed || lines[2].Image != "" || lines[1].Digest != after.Digest || effects(lines) != "2 2 4" || len(lines[2].Stages) != 1 || lines[2].Cost != nil {
		t.Errorf("the log is %+v", lines)
	}
	if text := show(t, in.URL, "deliveries/checkout/state.json"); strings.Count(text, before.Digest) != 2 {
		t.Errorf("the state does not say that %s is live: %s", before.Digest, text)
	}
	// One that failed is no pass of anything, and what is deployed later in the same record is no rollback.
	data, err = json.Marshal(record.Rollback{From: &before})
	if err != nil {
		t.Fatal(err)
	}
	in.Record.Put(record.Stage{Name: record.StageRollback, Outcome: record.Failed, Evidence: data, StartedAt: time.Now()})
	mustRun(t, in)
	deployed, _ := in.Record.Stage(record.StageDeploy)
	deployed.StartedAt = time.Now().Add(time.Second)
	in.Record.Put(deployed)
	mustRun(t, in)
	lines = logLines(t, in.URL, "deliveries/checkout/staging")
	if len(lines) != 5 || lines[3].Outcome != record.Failed || lines[3].Digest != "" || lines[4].Digest != after.Digest || lines[4].Outcome != record.Passed || effects(lines) != "2 2 4 0 2" {
		t.Errorf("the log is %+v", lines)
	}
}

// effects are what the lines did, as the metrics and the costs read it: 2 came live, 4 went back, 0 did nothing.
func effects(lines []catalogfile.Line) string {
	var list []int
	for _, l := range lines {
		list = append(list, int(l.Effect()))
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

func TestServiceWithoutDeliveryIsRegisteredOnly(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	rec := record.New(in.Record.Service, in.Record.Source, in.Record.Run, "staging")
	rec.Put(record.Stage{Name: record.StageSAST, Outcome: record.Passed})
	in.Record = rec
	out := mustRun(t, in)
	if out.Evidence.Delivery != 0 || !out.Evidence.Changed || out.Summary != "component checkout, no delivery to log" {
		t.Errorf("%+v", out)
	}
	if text := git(t, in.URL, "ls-tree", "-r", "--name-only", "main"); strings.Contains(text, ".jsonl") {
		t.Error(text)
	}
}

func TestPlanPushesNothing(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Plan, in.Checkout, in.Diff = true, filepath.Join(t.TempDir(), "catalog"), filepath.Join(t.TempDir(), "catalog.diff")
	out := mustRun(t, in)
	diff, err := os.ReadFile(in.Diff)
	if err != nil || !strings.Contains(string(diff), "+++ b/catalog/checkout.yaml\n") || !strings.Contains(string(diff), "\n+  owner: team-payments\n") {
		t.Errorf("%v\n%s", err, diff)
	}
	if out.Evidence.Changed || !strings.Contains(out.Summary, ", catalog/checkout.yaml (new), ") ||
		!strings.Contains(out.Summary, "(delivery 1)") {
		t.Errorf("%+v", out)
	}
	if refs := git(t, in.URL, "for-each-ref"); refs != "" {
		t.Error(refs)
	}
	if _, err := os.Stat(in.Checkout); !os.IsNotExist(err) {
		t.Errorf("a plan wrote a copy: %v", err)
	}
}

func TestTenPublishersAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	url := bare(t)
	const publishers = 10
	var wg sync.WaitGroup
	errs := make([]error, publishers)
	for i := range publishers {
		in := inputs(t, url)
		// Half of them publish to one log, half a service of their own: both meet in index.json.
		if i%2 == 1 {
			in.Service.Name = fmt.Sprintf("service-%d", i)
		}
		digest := fmt.Sprintf("sha256:%064d", i)
		in.Record = delivered(t, in.Service, fmt.Sprint(100+i), commitA, digest, record.Passed)
		wg.Go(func() { _, errs[i] = Run(t.Context(), in, testDeps()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	ids, numbers := map[string]int{}, map[int]int{}
	for _, l := range logLines(t, url, "deliveries") {
		ids[l.ID]++
		if l.Service == "checkout" {
			numbers[l.Delivery]++
		}
	}
	if len(ids) != publishers {
		t.Errorf("%d of %d deliveries in the log", len(ids), publishers)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("delivery %s is there %d times", id, n)
		}
	}
	for n := 1; n <= publishers/2; n++ {
		if numbers[n] != 1 {
			t.Errorf("number %d was given %d times", n, numbers[n])
		}
	}
	var idx struct {
		Services map[string]catalogfile.Service
	}
	if err := json.Unmarshal([]byte(show(t, url, "index.json")), &idx); err != nil || len(idx.Services) != publishers/2+1 {
		t.Errorf("%d services in the index, %v", len(idx.Services), err)
	}
	if n := commits(t, url); n != publishers {
		t.Errorf("%d commits", n)
	}
}

// The difference is that of the very commit that the delivery then makes.
func TestPlanShowsWhatTheDeliveryThenDoes(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	in.Service.Owner = "team-new"
	in.Record = delivered(t, in.Service, "101", strings.Repeat("b", 40), digestA, record.Passed)
	in.Plan, in.Diff = true, filepath.Join(t.TempDir(), "catalog.diff")
	now := time.Now()
	deps := testDeps()
	deps.Now = func() time.Time { return now }
	if _, err := Run(t.Context(), in, deps); err != nil {
		t.Fatal(err)
	}
	diff, err := os.ReadFile(in.Diff)
	if err != nil {
		t.Fatal(err)
	}
	in.Plan = false
	if _, err := Run(t.Context(), in, deps); err != nil {
		t.Fatal(err)
	}
	if did := git(t, in.URL, "diff-tree", "-p", "--no-commit-id", "--no-renames", "main"); did != string(diff) || !strings.Contains(did, "-  owner: team-payments\n+  owner: team-new\n") {
		t.Errorf("planned:\n%s\ndone:\n%s", diff, did)
	}
}

// hook puts a program into the catalogue that git runs for each push.
func hook(t *testing.T, url, name, script string) {
	t.Helper()
	path := filepath.Join(url, "hooks", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	expect.Program(t, path, "#!/bin/sh\n"+script)
}

func TestPushThatFailsAtFirst(t *testing.T) {
	t.Parallel()
	fails := func(times int, say string) string {
		return fmt.Sprintf("echo x >> tries\n[ $(wc -l < tries) -gt %d ] && exit 0\necho \"%s\" >&2\nexit 1\n", times, say)
	}
	for _, test := range []struct{ name, hook, script string }{
		{"cannot lock ref, five times", "update", fails(5, "error: cannot lock ref 'refs/heads/main': is at 1 but expected 2")},
		{"incorrect old value", "pre-receive", fails(4, "fatal: incorrect old value provided")},
		{"no reason, twice", "pre-receive", fails(2, "try later")},
		// The push gets through and its answer does not: the next attempt must find it.
		{"answer lost", "post-receive", "[ -e once ] && exit 0\ntouch once\nkill -9 $PPID\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, bare(t))
			hook(t, in.URL, test.hook, test.script)
			out := mustRun(t, in)
			if !out.Evidence.Changed || out.Evidence.Delivery != 1 || len(logLines(t, in.URL, "deliveries")) != 1 {
				t.Errorf("%+v", out.Evidence)
			}
			if tip := strings.TrimSpace(git(t, in.URL, "rev-parse", "main")); tip != out.Evidence.Commit {
				t.Errorf("evidence names %s, the catalogue is at %s", out.Evidence.Commit, tip)
			}
		})
	}
}

// A branch whose history was rewritten between two deliveries is built upon as it is now.
func TestRewrittenHistory(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	tree := strings.TrimSpace(git(t, in.URL, "rev-parse", "main^{tree}"))
	git(t, in.URL, "update-ref", "refs/heads/main", strings.TrimSpace(git(t, in.URL, "commit-tree", tree, "-m", "squashed")))
	in.Record = delivered(t, in.Service, "200", "77aa", digestA, record.Passed)
	if out := mustRun(t, in); out.Evidence.Delivery != 2 || commits(t, in.URL) != 2 {
		t.Errorf("%+v", out.Evidence)
	}
}

// A branch whose history is rewritten between our fetch and our push: what was built on the old tip is built anew.
func TestHistoryRewrittenUnderUs(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	mustRun(t, in)
	in.Record = delivered(t, in.Service, "200", "77aa", digestA, record.Passed)
	deps, rewritten := testDeps(), false
	deps.Progress = func(what string) {
		if strings.HasPrefix(what, "pushing") && !rewritten {
			rewritten = true
			tree := strings.TrimSpace(git(t, in.URL, "rev-parse", "main^{tree}"))
			git(t, in.URL, "update-ref", "refs/heads/main", strings.TrimSpace(git(t, in.URL, "commit-tree", tree, "-m", "squashed")))
		}
	}
	out, err := Run(t.Context(), in, deps)
	if err != nil || !rewritten || out.Evidence.Delivery != 2 || commits(t, in.URL) != 2 || len(logLines(t, in.URL, "deliveries")) != 2 {
		t.Errorf("%v, %+v", err, out.Evidence)
	}
	if first := git(t, in.URL, "log", "--format=%s", "--reverse", "main"); !strings.HasPrefix(first, "squashed\n") {
		t.Errorf("the history is %s", first)
	}
}

func TestCancelledWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	out := filepath.Join(t.TempDir(), "out")
	in.Checkout = filepath.Join(out, "catalog")
	started := filepath.Join(t.TempDir(), "started")
	hook(t, in.URL, "pre-receive", fmt.Sprintf("touch '%s'\nexec sleep 60\n", started))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, err := Run(ctx, in, testDeps())
	if !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if refs := git(t, in.URL, "for-each-ref"); refs != "" {
		t.Error(refs)
	}
}
