package catalog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

func costed(t *testing.T, url string, run int, rows string, outcome record.Outcome) Inputs {
	t.Helper()
	in := delivery(t, url, &service.Service{Name: "checkout", Owner: "user:ann"}, run)
	in.Record = delivered(t, in.Service, string(rune('0'+run)), commitA, digestA, outcome)
	in.Record.Source.Commit = strings.Repeat(string(rune('0'+run)), 40)
	if rows != "" {
		in.Costs = func(month time.Time) ([]byte, error) { return []byte(rows + month.Format(" 2006-01") + "\n"), nil }
	}
	return in
}

func TestCostFileIsOfTheNewestDelivery(t *testing.T) {
	t.Parallel()
	url, deps := bare(t), testDeps()
	at := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	deps.Now = func() time.Time { return at }
	deliver := func(run int, rows string, outcome record.Outcome) string {
		t.Helper()
		out, err := Run(t.Context(), costed(t, url, run, rows, outcome), deps)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Minute)
		return strings.Join(strings.Fields(git(t, url, "show", "--name-only", "--format=", out.Evidence.Commit)), " ")
	}
	const file, log = "cost/checkout/staging/2026-11.csv", "deliveries/checkout/staging/2026-11.jsonl"
	if got := deliver(1, "", record.Passed); strings.Contains(got, "cost/") {
		t.Errorf("nothing is known, and it wrote %s", got)
	}
	if got := deliver(2, "two", record.Passed); !strings.Contains(got, file) || show(t, url, file) != "two 2026-11\n" {
		t.Errorf("%s", got)
	}
	if got := deliver(3, "two", record.Passed); strings.Contains(got, "cost/") || !strings.Contains(got, log) {
		t.Errorf("the same again: %s", got)
	}
	if got := deliver(4, "four", record.Failed); strings.Contains(got, "cost/") || !strings.Contains(got, log) {
		t.Errorf("it failed, so it is not live: %s", got)
	}
	if got := deliver(5, "five", record.Passed); !strings.Contains(got, file) || show(t, url, file) != "five 2026-11\n" {
		t.Errorf("%s", got)
	}
	before := commits(t, url)
	if deliver(2, "two", record.Passed); commits(t, url) != before || show(t, url, file) != "five 2026-11\n" {
		t.Errorf("an older delivery, told again, put its estimate back")
	}
	at = at.AddDate(0, 1, 0)
	if got := deliver(6, "five", record.Passed); !strings.Contains(got, "cost/checkout/staging/2026-12.csv") || show(t, url, file) != "five 2026-11\n" {
		t.Errorf("another month: %s", got)
	}
	lines := logLines(t, url, "deliveries/checkout/staging")
	for i, want := range []bool{false, true, true, false, true, true} {
		if (lines[i].Cost.Detail != "") != want {
			t.Errorf("line %d: %+v", i+1, lines[i].Cost)
		}
	}
	if lines[1].Cost.Detail != digest([]byte("two 2026-11\n")) {
		t.Errorf("%+v", lines[1].Cost)
	}
}

func TestCostThatCannotBeMadeStopsTheDelivery(t *testing.T) {
	t.Parallel()
	url := bare(t)
	in := costed(t, url, 1, "", record.Passed)
	broken := errors.New("no rows")
	in.Costs = func(time.Time) ([]byte, error) { return nil, broken }
	if _, err := Run(t.Context(), in, testDeps()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// What goes back to another version says nothing of what that one costs.
func TestCostOfARollback(t *testing.T) {
	t.Parallel()
	in := costed(t, bare(t), 1, "x", record.Passed)
	in.Record.Put(record.Stage{Name: record.StageRollback, Outcome: record.Passed, StartedAt: time.Now(), Evidence: []byte(`{}`)})
	out, err := Run(t.Context(), in, testDeps())
	if err != nil || strings.Contains(git(t, in.URL, "ls-tree", "-r", "--name-only", "main"), "cost/") {
		t.Errorf("%+v, %v", out, err)
	}
}
