package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

const runURL = "https://github.com/acme/checkout/actions/runs/77"

var (
	commitNow    = strings.Repeat("4f1c2ab0", 5)
	commitBefore = strings.Repeat("d15ea5e0", 5)
	digestNow    = "sha256:" + strings.Repeat("9d0c00e1", 8)
	digestBefore = "sha256:" + strings.Repeat("77aa0003", 8)
)

// delivery is a record to the environment; each stage begins when the one before it ends.
func delivery(environment string, stages ...record.Stage) Report {
	rec := record.New(record.Service{Name: "checkout", Owner: "team-payments", Tier: 1},
		record.Source{Repository: "acme/checkout", Commit: commitNow, Ref: "refs/heads/main"},
		record.Run{ID: "77", Attempt: 1, URL: runURL, Actor: "ada", Event: "push"}, environment)
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/checkout", Digest: digestNow})
	rec.Previous = &record.Deployment{Digest: digestBefore, Commit: commitBefore}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, s := range stages {
		s.StartedAt = at
		at = at.Add(time.Duration(s.DurationMS) * time.Millisecond)
		rec.Put(s)
	}
	return Report{Record: rec, Code: "https://github.com/acme/checkout/blob/" + commitNow + "/"}
}

func passed(name, summary string, ms int64, evidence any) record.Stage {
	return record.Stage{Name: name, Outcome: record.Passed, Summary: summary, DurationMS: ms, Evidence: encoded(evidence)}
}

func stopped(outcome record.Outcome, name, reason string, ms int64, evidence any, detail ...string) record.Stage {
	return record.Stage{Name: name, Outcome: outcome, Reason: reason, DurationMS: ms, Detail: detail, Evidence: encoded(evidence)}
}

func skipped(reason string, names ...string) []record.Stage {
	var list []record.Stage
	for _, n := range names {
		list = append(list, record.Stage{Name: n, Outcome: record.Skipped, Reason: reason})
	}
	return list
}

func encoded(evidence any) json.RawMessage {
	if evidence == nil {
		return nil
	}
	data, err := json.Marshal(evidence)
	if err != nil {
		panic(err)
	}
	return data
}

func costOf(low, high float64, replicas ...int) record.Cost {
	budget := 300.0
	return record.Cost{Currency: "USD", Min: low, Max: high, Budget: &budget, Prices: "opencost 2026-01",
		Containers: []record.ContainerCost{{Workload: "Deployment checkout", Container: "app", MinReplicas: replicas[0], MaxReplicas: replicas[len(replicas)-1],
			CPU: 0.25, MemoryGB: 0.5, Min: low, Max: high}}}
}

func scansAndBuild() []record.Stage {
	scan := record.Scan{Known: map[string]int{"low": 3}}
	return []record.Stage{
		passed("sast", "gosec 2.30 · 14 packages · 0 new, 3 known", 812, scan),
		passed("secrets", "7 commits, 41 files, working tree · none", 300, record.Scan{}),
		passed("build", "sha256:9d0c…e1  6.2 MB · 23 modules in the SBOM", 2100, record.Build{Digest: digestNow, Size: 6_200_000}),
	}
}

// cases are deliveries that people see on GitHub.
func cases() map[string]Report {
	return map[string]Report{
		"plan": planCase(), "unchanged": unchangedCase(), "findings": findingsCase(), "deploy-failed": deployFailedCase(), "undetermined": undeterminedCase(),
		"new-service": newServiceCase(), "cost-unknown": costUnknownCase(), "deployed": deployedCase(), "rollback": rollbackCase(), "approval": approvalCase(), "monorepo": monorepoCase(),
		"hostile": hostileCase(hostile...), "huge": hugeCase(),
	}
}

func planCase() Report {
	live := &record.Deployment{Digest: digestBefore, Commit: commitBefore}
	stages := append(scansAndBuild(), passed("cost", "$34.20 a month (budget $300)", 20, costOf(34.2, 34.2, 3)),
		passed("plan", "2 to update, 1 unchanged · image 77aa…03 → 9d0c…e1", 900, record.Plan{Target: "kubernetes", Against: "cluster", Live: live,
			Changes: map[string]int{"update": 2, "unchanged": 1}, Guards: []record.Guard{
				{Guard: "freeze", Answer: "clear", Text: "deploys to staging are not frozen"},
				{Guard: "undo", Answer: "warned", Text: "this would remove 2 commits that are live in staging now",
					Commits: []string{"a1b2c3d Round half to even (#412)", "e4f5a6b Keep the receipt (#415)"}}}}))
	r := delivery("staging", append(stages, skipped("a plan changes nothing", changing...)...)...)
	r.Record.Plan = true
	before := costOf(22.8, 22.8, 2)
	r.CostBefore = &before
	r.Diff = "2 to update, 1 unchanged · image 77aa…03 → 9d0c…e1\n\nof which 1 only by their version\n\nDeployment checkout in shop: update\n" +
		"    spec.replicas:\n-     2\n+     3\n    spec.template.spec.containers[app].env[DATABASE_URL]:\n+     value: \"***\"\n"
	r.Notes = []string{"Code scanning is not available here (Advanced Security is not enabled), so findings are annotations."}
	return r
}

// newServiceCase adds all that it costs.
func newServiceCase() Report {
	r := planCase()
	r.CostBefore = &record.Cost{Currency: "USD", Containers: []record.ContainerCost{}}
	return r
}

func costUnknownCase() Report {
	r := planCase()
	r.CostBefore, r.CostUnknown = nil, `the manifests of 77aa032 cannot be rendered (deploy/deployment.yaml: unknown field "replcas")`
	return r
}

func unchangedCase() Report {
	stages := append(scansAndBuild(), passed("plan", "3 unchanged", 700, record.Plan{Target: "kubernetes", Against: "cluster",
		Live: &record.Deployment{Digest: digestNow, Commit: commitNow}, Changes: map[string]int{"unchanged": 3}}))
	r := delivery("staging", append(stages, skipped("a plan changes nothing", changing...)...)...)
	r.Record.Plan = true
	r.Diff = "3 unchanged\n"
	return r
}

func someFindings() []finding.Finding {
	return []finding.Finding{
		{Scanner: "gitleaks", Rule: "github-pat", Title: "A GitHub token is in this commit", Severity: finding.Critical, File: "internal/pay/client.go", Line: 18,
			Commit: commitNow, Fingerprint: "8c1f09aa" + strings.Repeat("0", 24), Help: "Anyone who can read the repository has it.\nRevoke it: https://github.com/settings/tokens"},
		{Scanner: "gosec", Rule: "G404", Title: "Weak random number", Severity: finding.High, File: "internal/pay/id.go", Line: 42, EndLine: 43,
			Fingerprint: "11ee22dd" + strings.Repeat("0", 24), Help: "Use crypto/rand."},
		{Scanner: "gosec", Rule: "G104", Title: "Error not checked", Severity: finding.Low, File: "main.go", Line: 7, Known: true, Fingerprint: "33cc" + strings.Repeat("0", 28)},
	}
}

func findingsCase() Report {
	waived := &record.Gate{Waivers: &record.Waived{Count: 2, Earliest: "2026-05-01", Latest: "2026-06-01"}}
	stages := []record.Stage{
		stopped(record.Failed, "sast", "1 new finding", 812, record.Scan{New: map[string]int{"high": 1}, Known: map[string]int{"low": 1}, Gate: waived}, "G404  internal/pay/id.go:42"),
		stopped(record.Failed, "secrets", "1 new secret", 300, record.Scan{New: map[string]int{"critical": 1}}, "github-pat  internal/pay/client.go:18"),
		passed("build", "sha256:9d0c…e1  6.2 MB · 23 modules in the SBOM", 2100, nil),
	}
	r := delivery("staging", append(stages, skipped("sast failed, secrets failed", "sign", "verify", "deploy")...)...)
	r.Findings = someFindings()
	return r
}

func deployFailedCase() Report {
	stages := append(scansAndBuild(), passed("verify", "policy default/production: 6 of 6 clauses", 120, nil),
		stopped(record.Failed, "deploy", "rollout of sha256:9d0c…e1 did not become ready; back on 77aa…03 (healthy)", 41000,
			record.Deploy{Target: "kubernetes", Changed: true, Restored: &record.Deployment{Digest: digestBefore, Commit: commitBefore}},
			"pod checkout-6f9c-x2kqp, container app: CrashLoopBackOff, exit code 1, 3 restarts", "  | panic: DATABASE_URL is not set",
			"It starts and dies at once. The new version asks for DATABASE_URL; env in idp.yaml does not set it."))
	return delivery("production", append(stages, skipped("deploy failed", "smoke")...)...)
}

func undeterminedCase() Report {
	stages := []record.Stage{passed("sast", "gosec 2.30 · 14 packages · 0 new, 3 known", 812, record.Scan{}),
		stopped(record.Error, "secrets", "32 of 221 commits readable", 400, record.Scan{},
			"git cannot read blob 9932a8e (partial clone?). A scan that did not see everything is not a pass.", "Fetch it: git fetch --refetch origin")}
	return delivery("staging", append(stages, skipped("secrets could not be determined", "build", "sign", "deploy")...)...)
}

func deployedCase() Report {
	stages := append(scansAndBuild(), passed("sign", "provenance, SBOM, scans → ghcr.io/acme/checkout", 2000, nil),
		passed("verify", "policy default/production: 6 of 6 clauses", 120, nil),
		passed("deploy", "9d0c…e1 replaces 77aa…03 · healthy after 0.9s", 68000, record.Deploy{Target: "kubernetes", Changed: true,
			Guards: []record.Guard{{Guard: "freeze", Answer: "overridden", Text: "deploys to production are frozen until Mon 2 Mar 2026 08:00 CET", Reason: "customers cannot pay"}}}),
		passed("smoke", "5 checks × 3 rounds · p95 4 ms", 600, nil), passed("catalog", "component checkout, delivery 12", 200, nil))
	return delivery("production", stages...)
}

func rollbackCase() Report {
	return delivery("production", passed("rollback", "77aa…03 is live again in place of 9d0c…e1 · healthy after 1.2s", 5200,
		record.Rollback{Target: "kubernetes", From: &record.Deployment{Digest: digestNow, Commit: commitNow}, To: &record.Deployment{Digest: digestBefore, Commit: commitBefore}}))
}

func approvalCase() Report {
	stages := append(scansAndBuild(), passed("sign", "provenance, SBOM, scans → ghcr.io/acme/checkout", 2000, nil), passed("verify", "policy default/production: 6 of 6 clauses", 120, nil))
	stages = append(stages, waiting("production waits for the approval of a code owner of what changed who did not write it"))
	return delivery("production", append(stages, skipped("deploy did not pass", "smoke")...)...)
}

// waiting is a deploy that nobody has approved yet.
func waiting(text string) record.Stage {
	s := stopped(record.Skipped, "deploy", text, 300, record.Deploy{Target: "kubernetes", Guards: []record.Guard{{Guard: "approval", Answer: "waits", Text: text}}})
	s.Detail = []string{"An approving review counts, and so does a comment on the pull request: /approve production"}
	return s
}

func monorepoCase() Report {
	r := planCase()
	r.Record.Service.Name, r.Record.Source.Path, r.Record.Source.Repository = "cart", "services/cart (new)", "acme/shop"
	r.Record.Stages[0] = stopped(record.Failed, "sast", "1 new finding", 812, record.Scan{New: map[string]int{"high": 1}})
	r.Record.Put(r.Record.Stages[0])
	r.Code += "services/cart%20%28new%29/"
	r.Findings = someFindings()[1:]
	return r
}

// hostile are strings that mean something to GitHub, to its parser of Markdown or to a browser.
var hostile = []string{
	"</details></summary></td></table><h1>pwned</h1>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- x", "--> x", "<?x", "<![CDATA[", "<a href=//evil.example>x</a>",
	"![x](https://evil.example/x.png)", "[x](https://evil.example)", "[x]: https://evil.example", "[x][y]", "<https://evil.example>", "https://evil.example", "see http://evil.example, please",
	"www.evil.example", "mail ada@evil.example", "ftp://evil.example/", "xmpp:ada@evil.example/x", "mailto:ada@evil.example",
	"@acme/everyone", "(@ada)", "a@b@c", "@", "fixes #1", "acme/shop#12", "GH-7", "gh-7", "acme/shop@4f1c2ab04f1c2ab0", "4f1c2ab04f1c2ab04f1c2ab04f1c2ab04f1c2ab0", "(4f1c2ab)", ":tada: :+1:", ":octocat:",
	"| a | b |", `a\|b`, `a\\|b|`, `\`, `|`, `||`, "`", "``", "```", "````````````````", "a`b|c`d", "~~~", "~~x~~", "``` mermaid", "x ` @ada ` y", "`@ada", "@ada`", "$x$ and $`y`$", "$$", "$@ada$",
	"**b** __b__ *i* _i_", "***", "---", "===", "- x", "* x", "+ x", "1. x", "1) x", "# h", "> q", "> [!WARNING]", "    code", "[ ] x", "[x] done", "[^1]", "[^1]: note",
	"&lt;b&gt; &#64;ada &commat;ada &copy", "%3Cb%3E", "a\nb", "a\r\nb", "a\n\n# h", "a\n```\nb", "a\n</details>\n\nb", "\x00\x1b[31mred\x07", "\u202egnp.exe", "\u2066x\u2069", "a\u200bb", "\ufeff", "\u2028x", "\xff\xfe",
	strings.Repeat("\u0300", 50), "e\u0301", "👩‍💻 مرحبا שלום", "\u00a0\u3000", "javascript:alert(1)", "::error::x", "{{ x }} ${{ x }}", "<svg/onload=x>", "\"'", "*/", "]]>", "|---|---|", "\t|\t|", "x  ", "<details>", "<details open>",
}

// hostileCase has every string in every place that somebody outside of the platform can write to.
func hostileCase(texts ...string) Report {
	h := strings.Join(texts, " ")
	stages := []record.Stage{
		stopped(record.Failed, "sast", h, 812, record.Scan{New: map[string]int{"high": 1}}),
		passed("build", h, 10, nil),
		stopped(record.Failed, "deploy", h, 41000, record.Deploy{Guards: []record.Guard{{Guard: "undo", Answer: "warned", Text: h, Reason: h, Commits: texts}}}, texts...),
		passed("cost", h, 20, costOf(34.2, 34.2, 3)),
	}
	r := delivery("staging", append(stages, skipped(h, "smoke")...)...)
	r.Record.Source.Path = texts[0]
	before := costOf(22.8, 22.8, 2)
	before.Containers[0].Workload, r.CostBefore = h, &before
	for i, t := range texts {
		r.Findings = append(r.Findings, finding.Finding{Scanner: "gosec", Rule: t, Title: t, Severity: finding.High, File: "dir/" + t, Line: i, Help: t,
			Fingerprint: fmt.Sprintf("%032x", i), Commit: commitNow})
	}
	r.Diff = h + "\n" + strings.Join(texts, "\n")
	r.Notes = texts
	return r
}

// hugeCase is more than fits, of everything.
func hugeCase() Report {
	r := findingsCase()
	many := strings.Fields(strings.Repeat("word ", 5000))
	r.Record.Put(stopped(record.Error, "deploy", strings.Repeat("reason ", 2000), 41000, record.Deploy{Guards: []record.Guard{
		{Guard: "undo", Answer: "warned", Text: "this would remove 5000 commits that are live in staging now", Commits: many}}}, many...))
	for i := range 300 {
		r.Record.Put(passed(fmt.Sprintf("stage %d", i), strings.Repeat("|", 1000), 1, nil))
	}
	for i := range 30000 {
		r.Findings = append(r.Findings, finding.Finding{Scanner: "gosec", Rule: "G404", Title: strings.Repeat("<", 500), Severity: finding.High,
			File: fmt.Sprintf("internal/%s/%d.go", strings.Repeat("deep/", 50), i), Line: i, Fingerprint: fmt.Sprintf("%032x", i), Help: strings.Repeat("$", 3000)})
	}
	r.Diff = "5000 to update\n" + strings.Repeat("+ a line of the difference ❤\n", 5000)
	r.Notes = many
	return r
}

// render writes a form of a report.
func render(t testing.TB, f Formatter, r Report) string {
	t.Helper()
	var b strings.Builder
	if err := f.Format(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
