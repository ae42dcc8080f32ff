package spend_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/spend"
)

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// delivery is one that came live.
func delivery(date, environment, commit string, cost *catalogfile.Cost, edits ...func(*catalogfile.Line)) catalogfile.Line {
	l := catalogfile.Line{Schema: catalogfile.LineSchema, Time: day(date), Service: "checkout", Owner: "team-payments", Environment: environment,
		Commit: commit, Outcome: record.Passed, Cost: cost, Stages: []catalogfile.Stage{{Name: "deploy", Outcome: record.Passed}}}
	for _, edit := range edits {
		edit(&l)
	}
	return l
}

func usd(low, high float64) *catalogfile.Cost {
	return &catalogfile.Cost{Currency: "USD", Min: low, Max: high, Prices: "list 2026-11-01"}
}

func catalogue(t *testing.T, lines ...catalogfile.Line) fstest.MapFS {
	t.Helper()
	f := fstest.MapFS{}
	for n, l := range lines {
		l.Delivery = n + 1
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		path := "deliveries/" + l.Service + "/" + l.Environment + "/" + l.Time.Format("2006-01") + ".jsonl"
		if f[path] == nil {
			f[path] = &fstest.MapFile{}
		}
		f[path].Data = append(append(f[path].Data, data...), '\n')
	}
	return f
}

func compute(t *testing.T, f fstest.MapFS, from, to string, actual ...spend.Charge) *spend.Report {
	t.Helper()
	r, err := spend.Compute(t.Context(), f, spend.Options{From: day(from), To: day(to), Actual: actual})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ptr(n float64) *float64 { return &n }

func failed(l *catalogfile.Line) {
	l.Stages = append(l.Stages, catalogfile.Stage{Name: "smoke", Outcome: record.Failed})
	l.RolledBack, l.Outcome = true, record.Failed
}

func back(l *catalogfile.Line) {
	l.Stages = []catalogfile.Stage{{Name: "rollback", Outcome: record.Passed}}
}

func backFailed(l *catalogfile.Line) {
	l.Stages = append(l.Stages, catalogfile.Stage{Name: "rollback", Outcome: record.Error})
	l.Outcome = record.Error
}

func gated(l *catalogfile.Line) {
	l.Stages, l.Outcome = []catalogfile.Stage{{Name: "sast", Outcome: record.Failed}}, record.Failed
}

func kept(l *catalogfile.Line) { l.Changed = new(bool) }

func ownedBy(team string) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) { l.Owner = team }
}

func of(team string, r spend.Row) spend.Row {
	r.Owner = team
	return r
}

var near = cmp.Comparer(func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 })

// TestByHand was computed by hand: November has 30 days, October 31.
func TestByHand(t *testing.T) {
	t.Parallel()
	row := func(month string, low, high float64, deliveries int) spend.Row {
		return spend.Row{Month: month, Service: "checkout", Owner: "team-payments", Environment: "production", Deliveries: deliveries,
			Money: spend.Money{Currency: "USD", EstimateMin: ptr(low), Estimate: ptr(high)}}
	}
	for name, c := range map[string]struct {
		lines []catalogfile.Line
		want  []spend.Row
		now   []spend.Now
	}{
		"two versions in a month": {
			// 30 USD for the ten days from the 6th to the 15th, 60 USD for the fifteen from the 16th on: 10 + 30 of 60.
			[]catalogfile.Line{delivery("2026-11-06", "production", "a", usd(15, 30)), delivery("2026-11-16", "production", "b", usd(30, 60))},
			[]spend.Row{row("2026-11", 5+15, 10+30, 2)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 60, Change: ptr(30), Delivery: 2}},
		},
		"from before the window, over two months": {
			[]catalogfile.Line{delivery("2026-09-10", "production", "a", usd(31, 62))},
			[]spend.Row{row("2026-10", 31, 62, 0), row("2026-11", 31, 62, 0)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 31, Max: 62, Delivery: 1}},
		},
		"one that failed never came live": {
			[]catalogfile.Line{delivery("2026-11-16", "production", "a", usd(30, 60)), delivery("2026-11-18", "production", "b", usd(300, 600), failed)},
			[]spend.Row{row("2026-11", 15, 30, 2)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 60, Delivery: 1}},
		},
		"back to an older one": {
			// 3 days of 30, 6 of 300, 3 of 30 again: 3 + 60 + 3.
			[]catalogfile.Line{delivery("2026-11-19", "production", "a", usd(30, 30)), delivery("2026-11-22", "production", "b", usd(300, 300)), delivery("2026-11-28", "production", "a", nil, back)},
			[]spend.Row{row("2026-11", 66, 66, 3)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 30, Change: ptr(-270), Delivery: 3}},
		},
		"to another team, in the middle of a month": {
			// October and half of November are of the first team, although the delivery that says so comes after.
			[]catalogfile.Line{delivery("2026-10-01", "production", "a", usd(31, 31)), delivery("2026-11-16", "production", "b", usd(30, 30), ownedBy("team-search"))},
			[]spend.Row{row("2026-10", 31, 31, 1), row("2026-11", 15.5, 15.5, 0), of("team-search", row("2026-11", 15, 15, 1))},
			[]spend.Now{{Service: "checkout", Owner: "team-search", Environment: "production", Currency: "USD", Min: 30, Max: 30, Change: ptr(-1), Delivery: 2}},
		},
		"to another team with a delivery that failed": {
			[]catalogfile.Line{delivery("2026-11-01", "production", "a", usd(30, 30)), delivery("2026-11-11", "production", "b", usd(90, 90), failed, ownedBy("team-search"))},
			[]spend.Row{row("2026-11", 10, 10, 1), of("team-search", row("2026-11", 20, 20, 1))},
			[]spend.Now{{Service: "checkout", Owner: "team-search", Environment: "production", Currency: "USD", Min: 30, Max: 30, Delivery: 1}},
		},
		"a delivery that had no estimate yet": {
			[]catalogfile.Line{delivery("2026-11-02", "production", "a", nil, gated), delivery("2026-11-16", "production", "a", usd(30, 30))},
			[]spend.Row{row("2026-11", 15, 15, 2)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 30, Delivery: 2}},
		},
		"what is live, delivered again": {
			// Nothing was changed by the third, so the change against the deployment before is still that of the second.
			[]catalogfile.Line{delivery("2026-11-01", "production", "a", usd(10, 10)), delivery("2026-11-16", "production", "b", usd(30, 30)), delivery("2026-11-16", "production", "b", usd(30, 30), kept)},
			[]spend.Row{row("2026-11", 20, 20, 3)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 30, Change: ptr(20), Delivery: 3}},
		},
		"a rollback that did not work, in the run of the delivery": {
			[]catalogfile.Line{delivery("2026-11-16", "production", "a", usd(30, 30)), delivery("2026-11-17", "production", "", nil, backFailed)},
			[]spend.Row{row("2026-11", 15, 15, 2)},
			[]spend.Now{{Service: "checkout", Owner: "team-payments", Environment: "production", Currency: "USD", Min: 30, Max: 30, Delivery: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := compute(t, catalogue(t, c.lines...), "2026-10-01", "2026-12-01")
			if diff := cmp.Diff(c.want, r.Rows, near); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.now, r.Now, near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWithoutEstimate does not take what is not known for nothing.
func TestWithoutEstimate(t *testing.T) {
	t.Parallel()
	r := compute(t, catalogue(t, delivery("2026-11-06", "production", "a", nil)), "2026-11-01", "2026-12-01")
	want := []spend.Row{{Month: "2026-11", Service: "checkout", Owner: "team-payments", Environment: "production", Deliveries: 1, WithoutEstimate: 1}}
	if diff := cmp.Diff(want, r.Rows); diff != "" || len(r.Now) != 0 {
		t.Errorf("%+v %s", r.Now, diff)
	}
}

// TestBesideTheEstimate has the minutes of CI and what was really charged, currencies apart, and nothing of it lost.
func TestBesideTheEstimate(t *testing.T) {
	t.Parallel()
	ci := func(l *catalogfile.Line) { l.CI = &catalogfile.CI{Minutes: 3, Currency: "USD", Amount: 0.018} }
	f := catalogue(t, delivery("2026-11-01", "production", "a", usd(30, 30), ci), delivery("2026-11-02", "production", "b", usd(30, 30), ci), delivery("2026-11-01", "staging", "a", usd(10, 10)))
	charge := func(date, service, environment, currency string, n float64) spend.Charge {
		return spend.Charge{Start: day(date), Service: service, Environment: environment, Currency: currency, Amount: n}
	}
	r := compute(t, f, "2026-11-01", "2026-12-01", charge("2026-11-03", "checkout", "production", "USD", 7), charge("2026-11-04", "checkout", "production", "USD", 5),
		charge("2026-11-04", "checkout", "production", "EUR", 2), charge("2026-11-05", "", "", "USD", 90), charge("2026-11-05", "other", "production", "USD", 9), charge("2026-10-31", "checkout", "production", "USD", 1000))
	want := []spend.Sum{
		{Month: "2026-11", Money: spend.Money{Currency: "EUR", Actual: ptr(2)}},
		{Month: "2026-11", Money: spend.Money{Currency: "USD", Estimate: ptr(40), EstimateMin: ptr(40), CI: ptr(0.036), Actual: ptr(12)}},
	}
	if diff := cmp.Diff(want, r.Organization, near); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]spend.Sum{{Month: "2026-11", Money: spend.Money{Currency: "USD", Actual: ptr(99)}}}, r.Unattributed, near); diff != "" {
		t.Error(diff)
	}
	if len(r.Environments) != 3 || len(r.Teams) != 2 || r.Prices != "list 2026-11-01" {
		t.Errorf("%+v", r)
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	words := strings.Join(strings.Fields(text.String()), " ")
	for _, line := range []string{"checkout in production 30.00 USD +0.00", "2026-11, of no service – – 99.00 USD", "estimates at the list prices of list 2026-11-01"} {
		if !strings.Contains(words, line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}
}

// TestWhoseAndAtWhichPrices charges a team for the days that a service was its own, and names the prices of the newest estimate.
func TestWhoseAndAtWhichPrices(t *testing.T) {
	t.Parallel()
	priced := func(c *catalogfile.Cost, prices string) *catalogfile.Cost { c.Prices = prices; return c }
	f := catalogue(t, delivery("2026-11-01", "production", "a", priced(usd(30, 30), "zeta 2025-01-01")),
		delivery("2026-11-16", "production", "b", priced(usd(30, 30), "acme 2026-11-01"), ownedBy("team-search")))
	charge := func(date string, n float64) spend.Charge {
		return spend.Charge{Start: day(date), Service: "checkout", Environment: "production", Currency: "USD", Amount: n}
	}
	r := compute(t, f, "2026-11-01", "2026-12-01", charge("2026-11-15", 3), charge("2026-11-16", 5), charge("2026-11-30", 7))
	want := []spend.Sum{
		{Month: "2026-11", Name: "team-payments", Money: spend.Money{Currency: "USD", Estimate: ptr(15), EstimateMin: ptr(15), Actual: ptr(3)}},
		{Month: "2026-11", Name: "team-search", Money: spend.Money{Currency: "USD", Estimate: ptr(15), EstimateMin: ptr(15), Actual: ptr(12)}},
	}
	if diff := cmp.Diff(want, r.Teams, near); diff != "" || r.Prices != "acme 2026-11-01" {
		t.Errorf("prices %s: %s", r.Prices, diff)
	}
}

func TestDamagedLog(t *testing.T) {
	t.Parallel()
	f := fstest.MapFS{"deliveries/a/b/2026-11.jsonl": {Data: []byte("{")}}
	if _, err := spend.Compute(t.Context(), f, spend.Options{From: day("2026-11-01"), To: day("2026-12-01")}); err == nil {
		t.Error("a damaged log is counted")
	}
	if _, err := spend.Compute(t.Context(), fstest.MapFS{}, spend.Options{From: day("2026-12-01"), To: day("2026-11-01")}); err == nil {
		t.Error("a window that ends before it begins is taken")
	}
}

// TestBySystem holds that a system has what its services cost by hand, and that an owner is the same however it is written.
func TestBySystem(t *testing.T) {
	t.Parallel()
	of := func(service, owner string) func(*catalogfile.Line) {
		return func(l *catalogfile.Line) { l.Service, l.Owner = service, owner }
	}
	f := catalogue(t, delivery("2026-11-16", "production", "a", usd(10, 30)), // half of November: 5 and 15
		delivery("2026-11-01", "production", "a", usd(2, 4), of("carts", "user:default/jane")),
		delivery("2026-11-01", "production", "a", usd(1, 1), of("ledger", "user:jane")),
		delivery("2026-11-01", "staging", "a", usd(100, 100), of("tools", "group:default/team-payments")))
	r, err := spend.Compute(t.Context(), f, spend.Options{From: day("2026-11-01"), To: day("2026-12-01"), Systems: map[string]string{"checkout": "shop", "carts": "shop", "ledger": "books"}})
	if err != nil {
		t.Fatal(err)
	}
	sum := func(name string, low, high float64) spend.Sum {
		return spend.Sum{Month: "2026-11", Name: name, Money: spend.Money{Currency: "USD", Estimate: &high, EstimateMin: &low}}
	}
	if diff := cmp.Diff([]spend.Sum{sum("books", 1, 1), sum("shop", 7, 19)}, r.Systems); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]spend.Sum{sum("team-payments", 105, 115), sum("user:jane", 3, 5)}, r.Teams); diff != "" {
		t.Error(diff)
	}
}

// What is small is not nothing: of a month that has just begun there is an estimate.
func TestSmallAmountsAreNotNothing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	at := delivery("2026-11-10", "production", "a", usd(10, 30))
	r, err := spend.Compute(t.Context(), catalogue(t, at), spend.Options{From: day("2026-11-01"), To: at.Time.Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Text(&b); err != nil || !strings.Contains(b.String(), "<0.01 USD") || strings.Contains(b.String(), " 0.00 USD") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
