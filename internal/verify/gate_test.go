package verify_test

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
)

// Each case is what a scan was held to, what the policy asks for today, and why the clause is refused; empty where it is met.
func TestGatesOfThenAndToday(t *testing.T) {
	t.Parallel()
	type scanned = *attest.Scan
	held := func(g record.Gate) func(scanned) { return func(s scanned) { s.Gate = &g } }
	waived := func(change func(*record.Waived)) func(scanned) {
		return func(s scanned) {
			w := record.Waived{Count: 1, Earliest: "2026-03-20", Latest: "2026-05-20", NeedReason: true}
			if change != nil {
				change(&w)
			}
			s.Gate, s.Suppressed = &record.Gate{Waivers: &w}, map[string]int{"high": 1}
		}
	}
	allowed := policy.Waivers{MaxDays: 90}
	for name, c := range map[string]struct {
		then    func(scanned)
		today   policy.Gate
		waivers policy.Waivers
		want    string
	}{
		"evidence of before there were gates":   {func(scanned) {}, policy.Gate{FailOn: "high"}, allowed, ""},
		"of before, and none may be suppressed": {func(scanned) {}, policy.Gate{FailOn: "high", Suppressions: "refuse"}, allowed, "does not say what was suppressed"},
		"of before, and suppressions are fine":  {func(scanned) {}, policy.Gate{FailOn: "high", Suppressions: "allow"}, allowed, ""},
		"new only, both":                        {func(s scanned) { s.Gate, s.Known = &record.Gate{NewOnly: true}, map[string]int{"high": 3} }, policy.Gate{FailOn: "high", NewOnly: new(true)}, allowed, ""},
		"new only then, all today":              {func(s scanned) { s.Gate, s.Known = &record.Gate{NewOnly: true}, map[string]int{"high": 3} }, policy.Gate{FailOn: "high"}, allowed, "3 findings passed as known"},
		"new only then, all today, none known":  {held(record.Gate{NewOnly: true}), policy.Gate{FailOn: "high"}, allowed, ""},
		"sure then, all today":                  {held(record.Gate{MinConfidence: "high"}), policy.Gate{FailOn: "high"}, allowed, "min-confidence high, the policy asks for any"},
		"sure then, as sure today":              {func(s scanned) { s.Gate, s.New = &record.Gate{MinConfidence: "medium"}, map[string]int{"critical": 1} }, policy.Gate{FailOn: "high", MinConfidence: "medium"}, allowed, ""},
		"a weakness listed today":               {func(s scanned) { s.FailOn, s.Gate = "high", &record.Gate{} }, policy.Gate{FailOn: "high", CWE: map[string]string{"CWE-798": "low"}}, allowed, "high for CWE-798, the policy asks for low"},
		"a weakness let pass then":              {held(record.Gate{CWE: map[string]string{"CWE-22": "none"}}), policy.Gate{FailOn: "high"}, allowed, "none for CWE-22"},
		"a threshold that is none":              {held(record.Gate{CWE: map[string]string{"CWE-22": "sometimes"}}), policy.Gate{FailOn: "high"}, allowed, "threshold"},
		"suppressed, refused today":             {func(s scanned) { s.Gate, s.Suppressed = &record.Gate{}, map[string]int{"low": 2} }, policy.Gate{FailOn: "high", Suppressions: "refuse"}, allowed, "2 findings passed as suppressed"},
		"suppressed, justified then": {func(s scanned) {
			s.Gate, s.Suppressed = &record.Gate{Suppressions: "need-justification"}, map[string]int{"low": 2}
		}, policy.Gate{FailOn: "high", Suppressions: "need-justification"}, allowed, ""},
		"waived":                               {waived(nil), policy.Gate{FailOn: "high"}, allowed, ""},
		"waived, none allowed today":           {waived(nil), policy.Gate{FailOn: "high"}, policy.Waivers{}, "the policy allows none"},
		"waived until yesterday":               {waived(func(w *record.Waived) { w.Earliest = "2026-03-01" }), policy.Gate{FailOn: "high"}, allowed, "ran out on 2026-03-01"},
		"waived until today":                   {waived(func(w *record.Waived) { w.Earliest = "2026-03-02" }), policy.Gate{FailOn: "high"}, allowed, ""},
		"waived for longer than today's limit": {waived(nil), policy.Gate{FailOn: "high"}, policy.Waivers{MaxDays: 30}, "runs until 2026-05-20; the policy allows 30 days"},
		"waived without a reason":              {waived(func(w *record.Waived) { w.NeedReason = false }), policy.Gate{FailOn: "high"}, allowed, "needed no reason"},
		"waived without a day":                 {waived(func(w *record.Waived) { w.Earliest = "" }), policy.Gate{FailOn: "high"}, allowed, "does not say until when"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(without(3, scan("sast", func(r *attest.TestResult) { c.then(r.Scan) }))...)
			w.inputs.Rules.SAST, w.inputs.Rules.Waivers = c.today, c.waivers
			out, err := w.run()
			for _, clause := range out.Evidence.Clauses {
				if clause.Name == "sast" && (clause.Met != (c.want == "") || !strings.Contains(clause.Reason, c.want)) {
					t.Errorf("met %t: %s", clause.Met, clause.Reason)
				}
			}
			if (err == nil) != (c.want == "") {
				t.Error(err)
			}
		})
	}
}
