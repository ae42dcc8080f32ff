package guard_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// The expected times are read off a calendar: 5 June 2026 is a Friday, Berlin is two hours ahead of UTC in summer and one
// in winter, and its clocks go from 02:00 to 03:00 on 29 March 2026 and from 03:00 to 02:00 on 25 October 2026.
func TestWindowCovers(t *testing.T) {
	t.Parallel()
	weekend := guard.Window{Cron: "0 16 * * FRI", For: 64 * time.Hour, Zone: "Europe/Berlin"}
	gap := guard.Window{Cron: "30 2 29 3 *", For: time.Hour, Zone: "Europe/Berlin"}
	twice := guard.Window{Cron: "30 2 25 10 *", For: 30 * time.Minute, Zone: "Europe/Berlin"}
	for _, tc := range []struct {
		name   string
		window guard.Window
		now    string
		until  string // empty: not open
	}{
		{"a second before", weekend, "2026-06-05T13:59:59Z", ""},
		{"the first moment", weekend, "2026-06-05T14:00:00Z", "2026-06-08T08:00:00+02:00"},
		{"in the middle", weekend, "2026-06-07T00:00:00Z", "2026-06-08T08:00:00+02:00"},
		{"the last second", weekend, "2026-06-08T05:59:59Z", "2026-06-08T08:00:00+02:00"},
		{"the end", weekend, "2026-06-08T06:00:00Z", ""},
		{"in winter an hour later", weekend, "2026-01-09T14:30:00Z", ""},
		{"in winter", weekend, "2026-01-09T15:00:00Z", "2026-01-12T08:00:00+01:00"},
		{"64 hours over the change of the clocks", weekend, "2026-03-29T10:00:00Z", "2026-03-30T09:00:00+02:00"},
		{"a time that the clocks skip", gap, "2026-03-29T01:45:00Z", "2026-03-29T04:30:00+02:00"},
		{"a time that comes twice, the first", twice, "2026-10-25T00:40:00Z", "2026-10-25T02:00:00+01:00"},
		{"UTC without a zone", guard.Window{Cron: "0 0 24 12 *", For: 24 * time.Hour}, "2026-12-24T12:00:00+09:00", "2026-12-25T00:00:00Z"},
		{"overlapping, the last end counts", guard.Window{Cron: "0 * * * *", For: 3 * time.Hour}, "2026-06-05T10:30:00Z", "2026-06-05T13:00:00Z"},
		{"every hour for a year", guard.Window{Cron: "30 * * * *", For: guard.LongestWindow}, "2026-06-05T10:30:30Z", "2027-06-06T10:30:00Z"},
		{"the 29th of February", guard.Window{Cron: "0 0 29 2 *", For: 24 * time.Hour}, "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"},
		{"no 29th of February", guard.Window{Cron: "0 0 29 2 *", For: 24 * time.Hour}, "2026-02-28T23:00:00Z", ""},
	} {
		until, open, err := tc.window.Covers(at(t, tc.now))
		if err != nil || open != (tc.until != "") || open && until.Format(time.RFC3339) != tc.until {
			t.Errorf("%s: %s, %v, %v; want %q", tc.name, until.Format(time.RFC3339), open, err, tc.until)
		}
	}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	frozen, free := at(t, "2026-06-06T12:00:00Z"), at(t, "2026-06-08T12:00:00Z")
	windows := []guard.Window{{Cron: "0 0 24 12 *", For: time.Hour}, {Cron: "0 16 * * FRI", For: 64 * time.Hour, Zone: "Europe/Berlin"}}
	const text = "deploys to production are frozen until Mon 8 Jun 2026 08:00 CEST (cron 0 16 * * FRI for 64h, Europe/Berlin)"

	_, err := guard.Freeze(frozen, "production", windows, "")
	if fault.KindOf(err) != fault.Failed || err.Error() != text || len(fault.Lines(err)) != 2 {
		t.Errorf("frozen: %v", err)
	}
	d, err := guard.Freeze(frozen, "production", windows, "  the payment\nprovider is down ")
	want := guard.Decision{Guard: "freeze", Answer: "overridden", Text: text, Reason: "the payment provider is down"}
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Errorf("overridden: %v\n%s", err, diff)
	}
	d, err = guard.Freeze(free, "production", windows, "to be sure")
	if err != nil || d.Answer != "clear" || d.Reason != "" {
		t.Errorf("not frozen: %+v, %v", d, err)
	}
	if d, err := guard.Freeze(frozen, "production", nil, ""); err != nil || d.Answer != "clear" {
		t.Errorf("no windows: %+v, %v", d, err)
	}
	for _, reason := range []string{" ", "\n", strings.Repeat("x", 501)} {
		if _, err := guard.Freeze(free, "production", windows, reason); fault.KindOf(err) != fault.BadInput {
			t.Errorf("reason %.10q: %v", reason, err)
		}
	}
}

// What cannot be read as a window lets nothing pass, with or without a reason.
func TestFreezeThatCannotBeTold(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]guard.Window{
		"zero":  {},
		"cron":  {Cron: "0 25 * * *", For: time.Hour},
		"zone":  {Cron: "0 1 * * *", For: time.Hour, Zone: "Europe/Berln"},
		"local": {Cron: "0 1 * * *", For: time.Hour, Zone: "Local"},
		"never": {Cron: "0 0 31 2 *", For: time.Hour},
		"long":  {Cron: "0 1 * * *", For: guard.LongestWindow + 1},
		"crash": {Cron: "TZ=UTC", For: time.Hour},
	} {
		for _, reason := range []string{"", "we must"} {
			if _, err := guard.Freeze(at(t, "2026-06-05T00:00:00Z"), "production", []guard.Window{w}, reason); err == nil || fault.KindOf(err) != fault.Undetermined {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func TestOrder(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-06-05T12:00:00Z")
	after := guard.After{Environment: "staging", HealthyFor: 10 * time.Minute}
	release := func(c, state string, ago time.Duration) guard.Release {
		r := guard.Release{Digest: digest(c), State: state}
		if state == "live" || state == "good" {
			r.Healthy = now.Add(-ago)
		}
		return r
	}
	known := func(list ...guard.Release) guard.History { return guard.History{Known: true, Releases: list} }
	unsure := release("a", "good", 0)
	unsure.Healthy = time.Time{}
	awaits := release("a", "live", time.Hour)
	awaits.Awaits = true
	for _, tc := range []struct {
		name    string
		after   guard.After
		history guard.History
		kind    fault.Kind
		text    string // of the error; empty: it may go on
	}{
		{"no order", guard.After{}, guard.History{}, 0, ""},
		{"long enough", after, known(release("a", "good", time.Hour)), 0, ""},
		{"exactly", after, known(release("a", "live", 10*time.Minute)), 0, ""},
		{"put back after another one failed", after, known(release("a", "good", time.Hour), release("b", "failed", 0), release("a", "superseded", 0)), 0, ""},
		{"any time is enough", guard.After{Environment: "staging"}, known(release("a", "good", 0)), 0, ""},
		{"a clock a little behind", guard.After{Environment: "staging"}, known(release("a", "good", -30*time.Second)), 0, ""},

		{"too short", after, known(release("a", "good", 10*time.Minute-time.Second)), fault.Failed, "aaaa…aa was found healthy in staging 9m ago, and production wants 10m"},
		{"never", after, known(), fault.Failed, "aaaa…aa was never deployed to staging"},
		{"only another one", after, known(release("b", "good", time.Hour)), fault.Failed, "was never deployed to staging"},
		{"failed", after, known(release("a", "failed", 0), release("b", "good", time.Hour)), fault.Failed, "failed in staging"},
		{"failed, and was good once", after, known(release("a", "failed", 0), release("b", "good", time.Hour), release("a", "superseded", 0)), fault.Failed, "failed in staging"},
		{"taken back", after, known(release("b", "good", time.Hour), release("a", "rolled-back", 0)), fault.Failed, "was taken back in staging"},
		{"being deployed", after, known(release("a", "pending", 0)), fault.Failed, "is being deployed to staging"},
		{"replaced", after, known(release("b", "good", time.Hour), release("a", "superseded", 0)), fault.Failed, "is no longer what runs in staging"},

		{"another one begun there", after, known(release("b", "pending", 0), release("a", "good", time.Hour)), fault.Failed, "bbbb…bb is being deployed to staging in place of aaaa…aa"},
		{"put back a moment ago", after, known(release("a", "good", 0), release("b", "failed", 0), release("a", "superseded", 0)), fault.Failed, "production wants 10m"},
		{"its smoke test goes on", guard.After{Environment: "staging"}, known(awaits), fault.Failed, "has not passed its smoke test in staging yet"},

		{"another one failed there and nothing was put back", after, known(release("b", "failed", 0), release("a", "good", time.Hour)), fault.Undetermined, "did not put it back"},
		{"nor was it after two", after, known(release("a", "failed", 0), release("b", "failed", 0), release("a", "good", time.Hour)), fault.Undetermined, "what runs is not known"},
		{"unknown history", after, guard.History{}, fault.Undetermined, "what is deployed in staging is not known"},
		{"unknown history that looks good", after, guard.History{Releases: []guard.Release{release("a", "good", time.Hour)}}, fault.Undetermined, "is not known"},
		{"healthy since when", after, known(unsure), fault.Undetermined, "since when aaaa…aa is healthy in staging is not known"},
		{"healthy in the future", after, known(release("a", "good", -time.Hour)), fault.Undetermined, "since when"},
		{"a state of a later version", after, known(release("a", "soaking", 0)), fault.Undetermined, "does not know"},
	} {
		d, err := guard.Order(now, "production", digest("a"), tc.after, tc.history)
		switch {
		case tc.text == "" && (err != nil || d.Answer != "clear" || d.Guard != "order"):
			t.Errorf("%s: %+v, %v", tc.name, d, err)
		case tc.text != "" && (err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text)):
			t.Errorf("%s: %v; want kind %d with %q", tc.name, err, tc.kind, tc.text)
		}
	}
	if _, err := guard.Order(now, "production", "", after, known(release("", "good", time.Hour))); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("no digest: %v", err)
	}
	_, err := guard.Order(now, "production", digest("a"), guard.After{Environment: "staging", HealthyFor: 48 * time.Hour}, known(release("a", "good", 90*time.Minute)))
	if diff := cmp.Diff([]string{"aaaa…aa was found healthy in staging 1h 30m ago, and production wants 2d", "Deploy it in 1d 22h."}, fault.Lines(err)); diff != "" {
		t.Error(diff)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	twelve := strings.Split(strings.Repeat("4f1c2ab Add a thing,", 12), ",")[:12]
	for _, policy := range []string{"warn", "refuse"} {
		if d, err := guard.Undo(policy, "production", guard.Lost{Known: true}); err != nil || d.Answer != "clear" {
			t.Errorf("%s, nothing lost: %+v, %v", policy, d, err)
		}
	}
	d, err := guard.Undo("warn", "production", guard.Lost{Known: true, Commits: twelve})
	want := guard.Decision{Guard: "undo", Answer: "warned", Text: "this would remove 12 commits that are live in production now", Commits: twelve}
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Errorf("warn: %v\n%s", err, diff)
	}
	_, err = guard.Undo("refuse", "production", guard.Lost{Known: true, Commits: twelve})
	lines := fault.Lines(err)
	if fault.KindOf(err) != fault.Failed || len(lines) != 13 || lines[10] != "4f1c2ab Add a thing" || lines[11] != "and 2 more" {
		t.Errorf("refuse: %q", lines)
	}
	_, err = guard.Undo("refuse", "production", guard.Lost{Known: true, Commits: twelve[:1]})
	if err == nil || err.Error() != "this would remove 1 commit that is live in production now" {
		t.Errorf("refuse one: %v", err)
	}
}

// What is not known is said, and lets nothing pass where the policy refuses.
func TestUndoThatIsNotKnown(t *testing.T) {
	t.Parallel()
	lost := guard.Lost{Why: "the clone is shallow"}
	d, err := guard.Undo("warn", "production", lost)
	if err != nil || d.Answer != "warned" || !strings.Contains(d.Text, "could not be determined: the clone is shallow") {
		t.Errorf("warn: %+v, %v", d, err)
	}
	var typed *fault.Error
	if _, err = guard.Undo("refuse", "production", lost); !errors.As(err, &typed) || typed.Kind != fault.Undetermined {
		t.Errorf("refuse: %v", err)
	}
	for _, policy := range []string{"", "ask"} {
		if _, err := guard.Undo(policy, "production", guard.Lost{Known: true}); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("policy %q: %v", policy, err)
		}
	}
}
