package sign_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	scai "github.com/in-toto/attestation/go/predicates/scai/v0"
	svr "github.com/in-toto/attestation/go/predicates/svr/v01"
	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	vsa "github.com/in-toto/attestation/go/predicates/vsa/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/testkit/expect"
)

var previous = "sha256:" + strings.Repeat("e", 64)

// delivered is a world whose image was signed, deployed after an approval, and tested.
func delivered(t *testing.T, listed bool) (*world, *record.Record) {
	t.Helper()
	w := newWorld(t, listed)
	_, err := w.run()
	expect.NoError(t, err)
	r := w.inputs.Record
	r.SetArtifact(record.Artifact{Image: w.inputs.Registry, Digest: w.digest})
	r.Run = record.Run{ID: "7", Attempt: 2, URL: "https://github.com/acme/checkout/actions/runs/7/attempts/2"}
	w.stage(record.StageDeploy, record.Passed, record.Deploy{Target: "kubernetes", Release: "v12", URL: "https://secret.internal", Digest: w.digest, Strategy: "canary",
		Replaced: &record.Deployment{Digest: previous, Commit: "beef"},
		Accepted: &record.Accepted{At: time.Date(2026, 3, 2, 9, 5, 0, 0, time.FixedZone("", 3600)), Policy: "policy.yaml",
			PolicyDigest: "sha256:" + strings.Repeat("c", 64), Clauses: []string{"signature", "provenance"}},
		Guards: []record.Guard{{Guard: "freeze", Answer: "clear"},
			{Guard: "approval", Answer: "clear", By: "@jane", URL: "https://github.com/acme/checkout/pull/5#pullrequestreview-1"}}})
	w.stage(record.StageSmoke, record.Passed, record.Smoke{URL: "https://secret.internal", Rounds: 3, P95MS: 12.5,
		Checks: []record.CheckResult{{Name: "GET /", Passed: true}, {Name: "GET /healthz", Passed: true}}})
	return w, r
}

// predicates of what was attached after the image was signed, by what they are.
func (w *world) later() map[string]any {
	w.t.Helper()
	got := map[string]any{}
	for _, s := range w.served() {
		key := map[string]string{attest.PredicateVerdict: "verdict", attest.PredicateApproval: "approval", attest.PredicateDeployment: "deployment"}[s.PredicateType]
		if s.PredicateType == attest.PredicateTestResult && strings.Contains(string(s.Predicate), "idpSmoke") {
			key = "smoke"
		}
		if key == "" {
			continue
		}
		if got[key] != nil {
			w.t.Errorf("there are two of %s", key)
		}
		var predicate map[string]any
		expect.NoError(w.t, json.Unmarshal(s.Predicate, &predicate))
		got[key] = predicate
	}
	return got
}

func keys(m map[string]any) string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestAppends(t *testing.T) {
	t.Parallel()
	for mode, listed := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, in := delivered(t, listed)
			out, err := sign.Append(t.Context(), in, w.deps)
			expect.NoError(t, err)
			want := record.Attest{Reference: w.inputs.Registry + "@" + w.digest, Signer: w.key.Fingerprint(), Added: 4, Predicates: []string{"https://slsa.dev/verification_summary/v1",
				"https://in-toto.io/attestation/svr/v0.1", "https://in-toto.io/attestation/scai/v0.3", "https://in-toto.io/attestation/test-result/v0.1"}}
			if d := cmp.Diff(want, out.Evidence); d != "" {
				t.Error(d)
			}
			if out.Summary != "verdict, approval, deployment, smoke → "+w.inputs.Registry {
				t.Errorf("summary %q", out.Summary)
			}
			var expected map[string]any
			data, err := os.ReadFile(filepath.Join("testdata", "after.json"))
			expect.NoError(t, err)
			expect.NoError(t, json.Unmarshal([]byte(strings.NewReplacer("DIGEST", strings.TrimPrefix(w.digest, "sha256:"), "REGISTRY", strings.ReplaceAll(w.inputs.Registry, "/", "%2F")).Replace(string(data))), &expected))
			if d := cmp.Diff(expected, w.later()); d != "" {
				t.Error(d)
			}
			again, err := sign.Append(t.Context(), in, w.deps)
			expect.NoError(t, err)
			if again.Evidence.Added != 0 || len(w.served()) != 10 {
				t.Errorf("a second time %d are added, %d are served", again.Evidence.Added, len(w.served()))
			}
		})
	}
}

func TestPublishedFormsAfterwards(t *testing.T) {
	t.Parallel()
	w, in := delivered(t, true)
	_, err := sign.Append(t.Context(), in, w.deps)
	expect.NoError(t, err)
	for key, predicate := range w.later() {
		data, err := json.Marshal(predicate)
		expect.NoError(t, err)
		switch key {
		case "verdict":
			published(t, data, &vsa.VerificationSummary{}, "idpVerdict")
		case "approval":
			published(t, data, &svr.SimpleVerificationResult{}, "idpApproval")
		case "smoke":
			published(t, data, &testresult.TestResult{}, "idpSmoke")
		case "deployment":
			var r scai.AttributeReport
			expect.NoError(t, protojson.Unmarshal(data, &r))
			if err := r.Validate(); err != nil {
				t.Error(err)
			}
		}
	}
}

// What is said follows from what was determined, and never from more.
func TestAppendsOnlyWhatIsKnown(t *testing.T) {
	t.Parallel()
	deploy := func(change func(*record.Deploy)) func(*world) {
		return func(w *world) {
			e, err := record.EvidenceOf[record.Deploy](w.inputs.Record, record.StageDeploy)
			expect.NoError(w.t, err)
			change(&e)
			w.stage(record.StageDeploy, record.Passed, e)
		}
	}
	outcome := func(stage string, o record.Outcome, evidence any) func(*world) {
		return func(w *world) { w.stage(stage, o, evidence) }
	}
	tests := map[string]struct {
		change func(*world)
		want   string // nothing at all where it is empty
	}{
		"taken back":          {deploy(func(d *record.Deploy) { d.Restored = &record.Deployment{Digest: previous} }), "approval smoke verdict"},
		"first taken back":    {deploy(func(d *record.Deploy) { d.Release = "" }), "approval smoke verdict"},
		"another digest":      {deploy(func(d *record.Deploy) { d.Digest = previous }), "approval smoke verdict"},
		"nobody had to":       {deploy(func(d *record.Deploy) { d.Guards = d.Guards[:1] }), "deployment smoke verdict"},
		"no verdict":          {deploy(func(d *record.Deploy) { d.Accepted = nil }), "approval deployment smoke"},
		"no clauses":          {deploy(func(d *record.Deploy) { d.Accepted.Clauses = nil }), "approval deployment smoke"},
		"smoke undetermined":  {outcome(record.StageSmoke, record.Error, record.Smoke{}), "approval deployment verdict"},
		"smoke skipped":       {outcome(record.StageSmoke, record.Skipped, nil), "approval deployment verdict"},
		"deploy failed":       {outcome(record.StageDeploy, record.Failed, record.Deploy{}), "smoke"},
		"deploy undetermined": {outcome(record.StageDeploy, record.Error, record.Deploy{}), "smoke"},
		"nothing was done":    {func(w *world) { w.inputs.Record.Drop(record.StageDeploy, record.StageSmoke) }, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, in := delivered(t, true)
			tc.change(w)
			_, err := sign.Append(t.Context(), in, w.deps)
			if tc.want == "" && (err == nil || fault.KindOf(err) != fault.Skipped) || tc.want != "" && err != nil {
				t.Errorf("gives %v", err)
			}
			if got := keys(w.later()); got != tc.want {
				t.Errorf("says %q, expected %q", got, tc.want)
			}
		})
	}
}

func TestFailedSmokeIsSaid(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]record.Smoke{
		"a check":     {Checks: []record.CheckResult{{Name: "GET /", Passed: true}, {Name: "GET /cart", Reason: "500"}}},
		"the version": {Checks: []record.CheckResult{{Name: "GET /", Passed: true}}},
	} {
		w, in := delivered(t, true)
		w.stage(record.StageSmoke, record.Failed, e)
		_, err := sign.Append(t.Context(), in, w.deps)
		expect.NoError(t, err)
		got := w.later()["smoke"].(map[string]any)
		want := map[string]any{"a check": []any{"GET /cart"}, "the version": []any{"smoke"}}[name]
		if d := cmp.Diff(want, got["failedTests"]); d != "" || got["result"] != "FAILED" || cmp.Diff([]any{"GET /"}, got["passedTests"]) != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	w, in := delivered(t, true)
	w.stage(record.StageSmoke, record.Passed, record.Smoke{Checks: []record.CheckResult{{Name: "GET /"}}})
	if _, err := sign.Append(t.Context(), in, w.deps); err == nil || fault.KindOf(err) != fault.Undetermined || len(w.later()) != 0 {
		t.Errorf("a record that contradicts itself: %v, %v", err, w.later())
	}
}

// Wherever it stops, nothing is lost, it is not known, and the next run completes it.
func TestAppendIsCutOff(t *testing.T) {
	t.Parallel()
	for _, listed := range []bool{true, false} {
		for n := range 40 {
			w, in := delivered(t, listed)
			left := n
			w.failOn(func(*http.Request) bool { left--; return left < 0 })
			_, err := sign.Append(t.Context(), in, w.deps)
			w.failOn(nil)
			if left >= 0 {
				if err != nil || n < 10 {
					t.Fatalf("with %d requests it ends with %v", n, err)
				}
				break
			}
			if err == nil || fault.KindOf(err) != fault.Undetermined {
				t.Fatalf("cut off after %d requests it gives %v", n, err)
			}
			_, err = sign.Append(t.Context(), in, w.deps)
			expect.NoError(t, err)
			if len(w.served()) != 10 {
				t.Errorf("cut off after %d requests and run again, %d statements are served", n, len(w.served()))
			}
		}
	}
}

func TestAppendsToNothing(t *testing.T) {
	t.Parallel()
	w, in := delivered(t, true)
	in.SetArtifact(record.Artifact{Image: w.inputs.Registry, Digest: previous})
	w.stage(record.StageDeploy, record.Passed, record.Deploy{Release: "v1", Digest: previous})
	if _, err := sign.Append(t.Context(), in, w.deps); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("an image that is not there: %v", err)
	}
	in.SetArtifact(record.Artifact{})
	if _, err := sign.Append(t.Context(), in, w.deps); fault.KindOf(err) != fault.BadInput {
		t.Errorf("no image: %v", err)
	}
	w, in = delivered(t, true)
	w.deps.Signer = w.publicKey()
	if _, err := sign.Append(t.Context(), in, w.deps); fault.KindOf(err) != fault.BadInput || len(w.later()) != 0 {
		t.Errorf("a public key: %v", err)
	}
}

// TestTwoJobsAppendAtOnce: both have read the fallback tag before either writes it, so that one takes away what the other wrote.
func TestTwoJobsAppendAtOnce(t *testing.T) {
	t.Parallel()
	w, in := delivered(t, false)
	other := in.Clone()
	other.Environment = "production"
	w.deps.Wait = nil // their pauses differ
	var gate sync.WaitGroup
	gate.Add(2)
	arrived := 0
	var mu sync.Mutex
	w.onTag(func() {
		mu.Lock()
		arrived++
		first := arrived <= 2
		mu.Unlock()
		if first {
			gate.Done()
			gate.Wait()
		}
	})
	var wg sync.WaitGroup
	for _, job := range []*record.Record{in, other} {
		wg.Go(func() {
			if _, err := sign.Append(t.Context(), job, w.deps); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	environments := map[string]int{}
	for _, s := range w.served() {
		for _, e := range []string{"staging", "production"} {
			if strings.Contains(string(s.Predicate), `"environment":"`+e+`"`) {
				environments[e]++
			}
		}
	}
	if d := cmp.Diff(map[string]int{"staging": 4, "production": 4}, environments); d != "" || len(w.served()) != 14 {
		t.Errorf("%d statements are served: %s", len(w.served()), d)
	}
	if arrived <= 8 {
		t.Errorf("the tag was written %d times, so nothing was lost and attached again", arrived)
	}
}

// Of an image that was made live again by hand it is said that it is live, by the same statement as after a deploy, and nothing
// of what the same record says of another image.
func TestAppendsARollback(t *testing.T) {
	t.Parallel()
	back := func(change func(*record.Rollback)) func(*world) {
		return func(w *world) {
			e := record.Rollback{Target: "kubernetes", Release: "v13", URL: "https://secret.internal", From: &record.Deployment{Digest: previous, Commit: "beef"},
				To: &record.Deployment{Digest: w.digest, Commit: commit}, Image: w.inputs.Registry + "@" + w.digest}
			change(&e)
			w.stage(record.StageRollback, record.Passed, e)
		}
	}
	whole := func(*record.Rollback) {}
	for name, tc := range map[string]struct {
		change func(*world)
		want   string // nothing at all where it is empty
		kind   fault.Kind
	}{
		"alone":             {func(w *world) { back(whole)(w); w.inputs.Record.Drop(record.StageDeploy, record.StageSmoke) }, "deployment", 0},
		"after a deploy":    {back(whole), "deployment", 0},
		"of another image":  {back(func(r *record.Rollback) { r.Image = elsewhere(r.Image); r.To.Digest = previous }), "", fault.Undetermined},
		"no image":          {back(func(r *record.Rollback) { r.Image = "" }), "", fault.BadInput},
		"two digests":       {back(func(r *record.Rollback) { r.To.Digest = previous }), "", fault.BadInput},
		"nothing is live":   {back(func(r *record.Rollback) { r.Release, r.To = "", nil }), "", fault.BadInput},
		"it failed":         {func(w *world) { back(whole)(w); again(w, record.Failed) }, "", fault.BadInput},
		"it is not known":   {func(w *world) { back(whole)(w); again(w, record.Error) }, "", fault.BadInput},
		"deployed after it": {func(w *world) { back(whole)(w); w.postpone(record.StageDeploy) }, "approval deployment smoke verdict", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, in := delivered(t, true)
			tc.change(w)
			_, err := sign.Append(t.Context(), in, w.deps)
			if tc.want == "" && (err == nil || fault.KindOf(err) != tc.kind) || tc.want != "" && err != nil {
				t.Errorf("gives %v", err)
			}
			got := w.later()
			if keys(got) != tc.want {
				t.Fatalf("says %q, expected %q", keys(got), tc.want)
			}
			if tc.want != "deployment" {
				return
			}
			want := map[string]any{"attributes": []any{map[string]any{"attribute": "DEPLOYED", "conditions": map[string]any{"environment": "staging", "service": "checkout",
				"commit": commit, "target": "kubernetes", "release": "v13", "replaced": previous, "startedOn": "2026-03-02T09:00:00Z", "finishedOn": "2026-03-02T09:00:01Z"}}},
				"producer": map[string]any{"name": "run", "uri": "https://github.com/acme/checkout/actions/runs/7/attempts/2"}}
			if d := cmp.Diff(want, got["deployment"]); d != "" {
				t.Error(d)
			}
			if _, err := sign.Append(t.Context(), in, w.deps); err != nil || len(w.served()) != len(predicates)+1 {
				t.Errorf("a second time: %v, %d statements", err, len(w.served()))
			}
		})
	}
}

// elsewhere names the same repository, at a digest that is not in it.
func elsewhere(image string) string { return image[:strings.Index(image, "@")] + "@" + previous }

// again gives the rollback another outcome.
func again(w *world, outcome record.Outcome) {
	s, _ := w.inputs.Record.Stage(record.StageRollback)
	w.stage(record.StageRollback, outcome, s.Evidence)
}

// postpone moves a stage an hour on.
func (w *world) postpone(stage string) {
	s, _ := w.inputs.Record.Stage(stage)
	s.StartedAt = s.StartedAt.Add(time.Hour)
	w.inputs.Record.Put(s)
}
