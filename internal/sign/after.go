package sign

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/record"
)

// after is the record of a delivery with deploy or smoke; it is only read.
type after struct{ *record.Record }

// Append attaches to the digest what became of it: the policy's verdict, the approval, that it is live, and how it did in the
// smoke test, also when that failed. It is skipped where there is nothing to say.
func Append(ctx context.Context, r *record.Record, deps Deps) (action.Result[record.Attest], error) {
	out := action.Result[record.Attest]{Tool: attest.Tool()}
	out.Evidence.Predicates = []string{}
	artifact := Became(r)
	if artifact.Reference() == "" {
		return out, fault.BadInputf("the record names no image that was pushed")
	}
	list, words, err := after{r}.statements()
	if err != nil {
		return out, err
	}
	if len(list) == 0 {
		return out, fault.Skipf("nothing became of the image that could be said of it")
	}
	s := subject{digest: artifact.Digest, statements: list}
	if err := s.sign(ctx, deps, func() {}); err != nil {
		return out, err
	}
	out.Evidence.Reference, out.Evidence.Signer = artifact.Reference(), deps.Signer.Identity()
	if out.Evidence.Added, err = s.attach(ctx, artifact.Image, deps); err != nil {
		return out, err
	}
	for _, one := range list {
		out.Evidence.Predicates = append(out.Evidence.Predicates, one.PredicateType)
	}
	out.Summary = strings.Join(words, ", ") + " → " + artifact.Image
	return out, nil
}

// Became is the image of which there is something to say: the one that is delivered, or that was made live again by a rollback by
// hand. It is empty where it is not known.
func Became(r *record.Record) record.Artifact {
	if _, ok := wentBack(r); !ok {
		return r.Artifact
	}
	back, err := record.EvidenceOf[record.Rollback](r, record.StageRollback)
	image, digest, ok := strings.Cut(back.Image, "@")
	if err != nil || !ok || back.To == nil || back.To.Digest != digest {
		return record.Artifact{}
	}
	return record.Artifact{Image: image, Digest: digest}
}

// wentBack is the rollback by hand, unless something was deployed after it.
func wentBack(r *record.Record) (record.Stage, bool) {
	back, ok := r.Stage(record.StageRollback)
	deployed, again := r.Stage(record.StageDeploy)
	return back, ok && !(again && deployed.StartedAt.After(back.StartedAt))
}

// statements gives them, and a word for each. Of a rollback by hand only that is said: a deploy before it has spoken for itself.
func (r after) statements() (list []attest.Statement, words []string, err error) {
	add := func(word, predicateType string, predicate any) {
		if err != nil {
			return
		}
		var s attest.Statement
		s, err = attest.NewStatement(Became(r.Record).Digest, predicateType, predicate)
		list, words = append(list, s), append(words, word)
	}
	if s, ok := wentBack(r.Record); ok {
		if err := r.returned(s, add); err != nil {
			return nil, nil, err
		}
		return list, words, err
	}
	if err := r.deployed(add); err != nil {
		return nil, nil, err
	}
	if err := r.smoked(add); err != nil {
		return nil, nil, err
	}
	return list, words, err
}

// verdict is that of the policy before the deploy; there is none of a policy that refused, since nothing is deployed then.
func (r after) verdict(a record.Accepted) attest.Verdict {
	v := attest.Verdict{Verifier: me, TimeVerified: a.At.UTC().Truncate(time.Second), ResourceURI: purl(r.Artifact),
		Policy: attest.Resource{URI: a.Policy}, VerificationResult: attest.ResultPassed, VerifiedLevels: []string{attest.NotEvaluated}, SLSAVersion: "1.0",
		Detail: attest.VerdictMore{Environment: r.Environment, Clauses: a.Clauses}}
	if hex, ok := strings.CutPrefix(a.PolicyDigest, "sha256:"); ok {
		v.Policy.Digest = map[string]string{"sha256": hex}
	}
	return v
}

// deployed says that the policy accepted the image, who approved it, and that the image is live; not of one that was taken back.
func (r after) deployed(add func(word, predicateType string, predicate any)) error {
	s, ok := r.Stage(record.StageDeploy)
	if !ok || s.Outcome != record.Passed {
		return nil
	}
	d, err := record.EvidenceOf[record.Deploy](r.Record, record.StageDeploy)
	if err != nil {
		return err
	}
	started, finished, err := times(s)
	if err != nil {
		return err
	}
	if a := d.Accepted; a != nil && len(a.Clauses) > 0 {
		add("verdict", attest.PredicateVerdict, r.verdict(*a))
	}
	for _, g := range d.Guards {
		if g.Guard == guard.GuardApproval && g.By != "" {
			add("approval", attest.PredicateApproval, attest.Approval{Verifier: me, TimeCreated: finished, Properties: []string{attest.Approved},
				Detail: attest.ApprovalMore{Environment: r.Environment, Commit: r.Source.Commit, By: g.By, URL: g.URL}})
		}
	}
	if d.Restored != nil || d.Release == "" || d.Digest != r.Artifact.Digest {
		return nil
	}
	when := attest.DeployedWhen{Commit: r.Source.Commit, Target: d.Target, Release: d.Release, Strategy: d.Strategy, StartedOn: started, FinishedOn: finished}
	r.live(when, d.Replaced, add)
	return nil
}

// live says that the image is.
func (r after) live(when attest.DeployedWhen, before *record.Deployment, add func(word, predicateType string, predicate any)) {
	when.Environment, when.Service = r.Environment, r.Service.Name
	if before != nil {
		when.Replaced = before.Digest
	}
	report := attest.Deployment{Attributes: []attest.Attribute{{Attribute: attest.Deployed, Conditions: when}}}
	if r.Run.URL != "" {
		report.Producer = &attest.Resource{Name: "run", URI: r.Run.URL}
	}
	add("deployment", attest.PredicateDeployment, report)
}

// returned says that the image is live again. The policy was not asked anew, and nobody approved it but who went back.
func (r after) returned(s record.Stage, add func(word, predicateType string, predicate any)) error {
	if s.Outcome != record.Passed {
		return nil
	}
	back, err := record.EvidenceOf[record.Rollback](r.Record, record.StageRollback)
	if err != nil {
		return err
	}
	started, finished, err := times(s)
	if err != nil || back.Release == "" || back.To == nil {
		return err
	}
	r.live(attest.DeployedWhen{Commit: back.To.Commit, Target: back.Target, Release: back.Release, StartedOn: started, FinishedOn: finished}, back.From, add)
	return nil
}

// smoked says how the image did; nothing where that was not determined.
func (r after) smoked(add func(word, predicateType string, predicate any)) error {
	s, ok := r.Stage(record.StageSmoke)
	if !ok || s.Outcome != record.Passed && s.Outcome != record.Failed {
		return nil
	}
	var e record.Smoke
	if err := json.Unmarshal(s.Evidence, &e); err != nil {
		return err
	}
	started, finished, err := times(s)
	if err != nil {
		return err
	}
	result := attest.TestResult{Result: attest.ResultPassed, URL: r.Run.URL,
		Configuration: []attest.Resource{{Name: "idp.yaml", Digest: map[string]string{"gitCommit": r.Source.Commit}}},
		Smoke:         &attest.Smoke{Environment: r.Environment, Commit: r.Source.Commit, Rounds: e.Rounds, P95MS: e.P95MS, StartedOn: started, FinishedOn: finished}}
	for _, c := range e.Checks {
		if c.Passed {
			result.PassedTests = append(result.PassedTests, c.Name)
		} else {
			result.FailedTests = append(result.FailedTests, c.Name)
		}
	}
	switch {
	case s.Outcome == record.Failed:
		result.Result = attest.ResultFailed
		if len(result.FailedTests) == 0 {
			result.FailedTests = []string{record.StageSmoke}
		}
	case len(result.FailedTests) > 0:
		return fault.Undeterminedf("the smoke test passed, and its check %s did not", result.FailedTests[0])
	default:
		result.PassedTests = append(slices.Clone(result.PassedTests), record.StageSmoke)
	}
	add("smoke", attest.PredicateTestResult, result)
	return nil
}

// me is this program as the one who judged.
var me = attest.Builder{ID: builderID}

// purl is the package URL of an image, as its specification has it for type oci.
func purl(a record.Artifact) string {
	name := a.Image[strings.LastIndex(a.Image, "/")+1:]
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", name, a.Digest, packageurl.Qualifiers{{Key: "repository_url", Value: a.Image}}, "").ToString()
}
