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
	jane := guard.Approval{By: "jane", How: "a review of #12", URL: "https://github.example/r", At: now.Add(-2 * time.Hour), May: true}
	with := func(change func(*guard.Approval)) guard.Approval {
		a := jane
		change(&a)
		return a
	}
	said := func(approvals ...guard.Approval) guard.Consent {
		return guard.Consent{Known: true, Authors: []string{"joe"}, Approvals: approvals}
	}
	for _, tc := range []struct {
		name    string
		rule    guard.Approve
		consent guard.Consent
		kind    fault.Kind // of the error
		text    string     // of the decision, or in the error
	}{
		{"nobody has to", guard.Approve{}, guard.Consent{}, -1, "production asks for no approval"},
		{"a review", owners, said(jane), -1, "@jane approved production by a review of #12, 2h ago"},
		{"the second counts", owners, said(with(func(a *guard.Approval) { a.By = "joe" }), jane), -1, "@jane approved production by a review of #12, 2h ago"},
		{"a moment ago by a clock that is ahead", owners, said(with(func(a *guard.Approval) { a.At = now.Add(30 * time.Second) })), -1, "@jane approved production by a review of #12, 0s ago"},
		{"nobody said anything", owners, said(), fault.Skipped, "production waits for the approval of a code owner of what changed who did not write it"},
		{"a team", guard.Approve{By: "acme/sre", Within: time.Hour}, said(), fault.Skipped, "waits for the approval of a member of acme/sre"},
		{"the author, in other letters", owners, said(with(func(a *guard.Approval) { a.By = "JOE" })), fault.Skipped, "does not count: it is of an author of the change"},
		{"somebody", owners, said(with(func(a *guard.Approval) { a.May = false })), fault.Skipped, "does not count: it is not of a code owner of what changed"},
		{"somebody, and why", owners, said(with(func(a *guard.Approval) { a.May, a.Why = false, "no owner of db/" })), fault.Skipped, "does not count: no owner of db/"},
		{"yesterday", owners, said(with(func(a *guard.Approval) { a.At = now.Add(-25 * time.Hour) })), fault.Skipped, "it is 1d 1h old, and counts for 1d"},
		{"no time", owners, said(with(func(a *guard.Approval) { a.At = time.Time{} })), fault.Skipped, "when it was given is not known"},
		{"in the future", owners, said(with(func(a *guard.Approval) { a.At = now.Add(time.Hour) })), fault.Skipped, "when it was given is not known"},
		{"no name", owners, said(with(func(a *guard.Approval) { a.By = "" })), fault.Skipped, "who gave it is not known"},
		{"not known", owners, guard.Consent{Why: "GitHub answers 502"}, fault.Undetermined, "cannot be told: GitHub answers 502"},
		{"authors not known", owners, guard.Consent{Known: true, Approvals: []guard.Approval{jane}}, fault.Undetermined, "who wrote the change is not known"},
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
