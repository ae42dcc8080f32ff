package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
)

func TestApproved(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-06-05T12:00:00Z")
	owners := guard.Approve{By: guard.CodeOwners, Within: 24 * time.Hour}
	jane := guard.Approval{By: "jane", URL: "https://github.example/r", At: now.Add(-2 * time.Hour)}
	with := func(change func(*guard.Approval)) guard.Approval {
		a := jane
		change(&a)
		return a
	}
	said := func(missing string, approvals ...guard.Approval) guard.Consent {
		return guard.Consent{Known: true, Missing: missing, Approvals: approvals}
	}
	kim := with(func(a *guard.Approval) { a.By = "kim" })
	yesterday := with(func(a *guard.Approval) { a.By, a.At = "kim", now.Add(-25*time.Hour) })
	for _, tc := range []struct {
		name    string
		rule    guard.Approve
		consent guard.Consent
		kind    fault.Kind // of the error
		text    string     // of the decision, or in the error
	}{
		{"nobody has to", guard.Approve{}, guard.Consent{}, -1, "production asks for no approval"},
		{"one", owners, said("", jane), -1, "@jane approved this for production"},
		{"two", owners, said("", jane, kim), -1, "@jane, @kim approved this for production"},
		{"a moment ago by a clock that is ahead", owners, said("", with(func(a *guard.Approval) { a.At = now.Add(30 * time.Second) })), -1, "@jane approved this for production"},
		{"nobody said anything", owners, said("nobody has approved #12"), fault.Skipped, "production waits for the approval of a code owner of what changed who did not write it"},
		{"nobody, and nothing is missing", owners, said(""), fault.Skipped, "production waits"},
		{"a team", guard.Approve{By: "acme/sre", Within: time.Hour}, said(""), fault.Skipped, "waits for the approval of a member of acme/sre"},
		{"one of two", owners, said("nobody who owns db/ has approved", jane), fault.Skipped, "nobody who owns db/ has approved"},
		{"yesterday", owners, said("", yesterday), fault.Skipped, "the approval of @kim does not count: it is 1d 1h old, and counts for 1d"},
		{"one of two was yesterday", owners, said("", jane, yesterday), fault.Skipped, "it is 1d 1h old, and counts for 1d"},
		{"no time", owners, said("", with(func(a *guard.Approval) { a.At = time.Time{} })), fault.Skipped, "when it was given is not known"},
		{"in the future", owners, said("", with(func(a *guard.Approval) { a.At = now.Add(time.Hour) })), fault.Skipped, "when it was given is not known"},
		{"no name", owners, said("", with(func(a *guard.Approval) { a.By = "" })), fault.Skipped, "who gave it is not known"},
		{"not known", owners, guard.Consent{Why: "GitHub answers 502"}, fault.Undetermined, "cannot be told: GitHub answers 502"},
		{"not known, though somebody approved", owners, guard.Consent{Approvals: []guard.Approval{jane}}, fault.Undetermined, "nobody was asked"},
	} {
		d, err := guard.Approved(now, "production", tc.rule, tc.consent)
		if tc.kind < 0 {
			if err != nil || d.Answer != guard.Clear || d.Text != tc.text {
				t.Errorf("%s: %+v, %v", tc.name, d, err)
			}
			continue
		}
		if (tc.kind == fault.Skipped) != (d.Answer == guard.Waits) {
			t.Errorf("%s: %+v", tc.name, d)
		}
		if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(strings.Join(fault.Lines(err), "\n"), tc.text) {
			t.Errorf("%s: %v", tc.name, fault.Lines(err))
		}
	}
}
