package dora_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/record"
)

// Times of the cases are hours after this one, a Monday.
var begin = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

func at(hours float64) time.Time {
	return begin.Add(time.Duration(hours * float64(time.Hour)))
}

type deliveries []catalogfile.Line

// delivery gives a line in production; stages is NAME=OUTCOME, separated by spaces, each of one minute.
func delivery(hours float64, stages string, edits ...func(*catalogfile.Line)) catalogfile.Line {
	l := catalogfile.Line{Schema: catalogfile.LineSchema, Time: at(hours), Service: "checkout", Owner: "team-payments", Environment: "production",
		Outcome: record.Passed, Previous: &record.Deployment{Commit: "before"}}
	for _, s := range strings.Fields(stages) {
		name, outcome, _ := strings.Cut(s, "=")
		l.Stages = append(l.Stages, catalogfile.Stage{Name: name, Outcome: record.Outcome(outcome), DurationMS: 60_000})
		if outcome != "passed" && outcome != "skipped" {
			l.Outcome = record.Outcome(outcome)
		}
	}
	for _, edit := range edits {
		edit(&l)
	}
	return l
}

func of(service, owner string) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) { l.Service, l.Owner = service, owner }
}

func to(environment string) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) { l.Environment = environment }
}

func first(l *catalogfile.Line) { l.Previous = nil }

func rolledBack(l *catalogfile.Line) { l.RolledBack = true }

func changed(yes bool) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) { l.Changed = &yes }
}

// brings has commits that were made at these hours.
func brings(hours ...float64) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) {
		l.Brings = &catalogfile.Brings{Since: "before"}
		for _, h := range hours {
			l.Brings.Commits = append(l.Brings.Commits, catalogfile.Commit{ID: fmt.Sprint(h), Time: at(h)})
		}
	}
}

func adopted(hours float64) func(*catalogfile.Line) {
	return func(l *catalogfile.Line) { t := at(hours); l.Adopted = &t }
}

func (d deliveries) catalogue(t *testing.T) fstest.MapFS {
	t.Helper()
	fsys := fstest.MapFS{}
	for n, l := range d {
		l.Delivery = n + 1
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("deliveries/%s/%s/%s.jsonl", l.Service, l.Environment, l.Time.Format("2006-01"))
		if fsys[path] == nil {
			fsys[path] = &fstest.MapFile{}
		}
		fsys[path].Data = append(append(fsys[path].Data, data...), '\n')
	}
	return fsys
}

// compute counts two weeks from the begin on.
func (d deliveries) compute(t *testing.T) *dora.Report {
	t.Helper()
	r, err := dora.Compute(t.Context(), d.catalogue(t), dora.Options{Environment: "production", From: begin, To: begin.AddDate(0, 0, 14)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ptr[T any](v T) *T { return &v }

// TestByHand has cases that were computed by hand from the formulas in docs/metrics.md.
func TestByHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   deliveries
		want dora.Metrics
	}{
		"two deployments and their commits": {
			// 10 h: the first, which has no lead time. 34 h: commits of 30 h and 32 h, so 4 h and 2 h.
			deliveries{delivery(10, "deploy=passed smoke=passed", first, brings(1)), delivery(34, "deploy=passed smoke=passed", brings(30, 32))},
			dora.Metrics{Deployments: 2, Days: 14, PerWeek: ptr(1.0), LeadTime: &dora.Spread{Count: 2, Median: 3 * 3600, P90: 3.8 * 3600}, FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"a failed smoke test that was taken back": {
			// Deploy and smoke took a minute each, and with them the failure was over.
			deliveries{delivery(10, "deploy=passed smoke=passed", first), delivery(11, "deploy=passed smoke=failed", rolledBack), delivery(12, "deploy=passed smoke=passed", brings(9))},
			dora.Metrics{Deployments: 2, Days: 14, PerWeek: ptr(1.0), LeadTime: &dora.Spread{Count: 1, Median: 3 * 3600, P90: 3 * 3600}, Failed: 1, FailureRate: ptr(1.0 / 3),
				Recovery: &dora.Spread{Count: 1, Median: 120, P90: 120}, ReworkRate: ptr(0.0)},
		},
		"failures until a version that works": {
			// Broken at 11 h and again at 13 h, well at 15 h: 4 h and 2 h. That one is rework, one of two deployments.
			deliveries{delivery(10, "deploy=passed", first), delivery(11, "deploy=failed", changed(true)), delivery(13, "deploy=error", changed(true)), delivery(15, "deploy=passed", brings())},
			dora.Metrics{Deployments: 2, Days: 14, PerWeek: ptr(1.0), Failed: 2, FailureRate: ptr(0.5), Recovery: &dora.Spread{Count: 2, Median: 3 * 3600, P90: 3.8 * 3600}, Rework: 1, ReworkRate: ptr(0.5)},
		},
		"a failure that goes on": {
			deliveries{delivery(10, "deploy=passed", first), delivery(11, "deploy=failed", changed(true))},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), Failed: 1, FailureRate: ptr(0.5), Unrecovered: 1, ReworkRate: ptr(0.0)},
		},
		"a rollback by hand": {
			// What was deployed at 12 h turned out to be bad, and was taken back at 15 h.
			deliveries{delivery(10, "deploy=passed", first), delivery(12, "deploy=passed", brings(11)), delivery(15, "rollback=passed")},
			dora.Metrics{Deployments: 2, Days: 14, PerWeek: ptr(1.0), LeadTime: &dora.Spread{Count: 1, Median: 3600, P90: 3600}, Failed: 1, FailureRate: ptr(0.5),
				Recovery: &dora.Spread{Count: 1, Median: 3 * 3600, P90: 3 * 3600}, Rework: 1, ReworkRate: ptr(1.0 / 3)},
		},
		"gates are not deployments": {
			deliveries{delivery(10, "sast=failed"), delivery(11, "deploy=skipped"), delivery(12, "deploy=failed", changed(false)), delivery(13, "deploy=failed")},
			dora.Metrics{Days: 14, PerWeek: ptr(0.0)},
		},
		"what was live already is no deployment": {
			deliveries{delivery(10, "deploy=passed smoke=passed", changed(false))},
			dora.Metrics{Days: 14, PerWeek: ptr(0.0)},
		},
		"what fails after the deploy is no failure of it": {
			deliveries{delivery(10, "deploy=passed smoke=passed github=error", first)},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"commits that are not known": {
			deliveries{delivery(10, "deploy=passed")},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), WithoutLead: 1, FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"a failure from before the window": {
			// Its recovery belongs to the time before; that the deployment came because of it is of the window.
			deliveries{delivery(-2, "deploy=failed", changed(true)), delivery(10, "deploy=passed", brings())},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), FailureRate: ptr(0.0), Rework: 1, ReworkRate: ptr(1.0)},
		},
		"a failure that ends after the window": {
			// The window ends with the 14th day; an hour before that it broke, an hour after it the fix came, which is counted there.
			deliveries{delivery(24*14-1, "deploy=failed", changed(true)), delivery(24*14+1, "deploy=passed", brings())},
			dora.Metrics{Days: 1, Failed: 1, FailureRate: ptr(1.0), Recovery: &dora.Spread{Count: 1, Median: 7200, P90: 7200}},
		},
		"a deployment that is taken back after the window": {
			deliveries{delivery(24*14-1, "deploy=passed", brings()), delivery(24*14+2, "rollback=passed")},
			dora.Metrics{Deployments: 1, Days: 1, Failed: 1, FailureRate: ptr(1.0), Recovery: &dora.Spread{Count: 1, Median: 3 * 3600, P90: 3 * 3600}, ReworkRate: ptr(0.0)},
		},
		"another environment": {
			// Commit at 1 h brought idp.yaml, 1.5 h later it ran somewhere.
			deliveries{delivery(2.5, "deploy=passed", to("staging"), first, adopted(1))},
			dora.Metrics{Days: 14, PerWeek: ptr(0.0), FirstDelivery: &dora.Spread{Count: 1, Median: 5400, P90: 5400}},
		},
		"one that failed, and that is found to work when it is run again": {
			// It was live, not taken back, and worked an hour later without a change: the failure is over, and nothing was deployed.
			deliveries{delivery(10, "deploy=passed smoke=failed", first, changed(true)), delivery(11, "deploy=passed smoke=passed", changed(false))},
			dora.Metrics{Days: 14, PerWeek: ptr(0.0), Failed: 1, FailureRate: ptr(1.0), Recovery: &dora.Spread{Count: 1, Median: 3600, P90: 3600}},
		},
		"one that failed, works when it is run again, and is taken back by hand": {
			// That deployment counts as failed once, and not the one before in its place.
			deliveries{delivery(10, "deploy=passed", first), delivery(11, "deploy=passed smoke=failed", changed(true)), delivery(12, "deploy=passed smoke=passed", changed(false)), delivery(14, "rollback=passed")},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), Failed: 1, FailureRate: ptr(0.5), Recovery: &dora.Spread{Count: 1, Median: 3600, P90: 3600}, Rework: 1, ReworkRate: ptr(0.5)},
		},
		"a rollback by hand that did not work": {
			// Alone, and in the record of the delivery that it was to take back: neither deploys anything.
			deliveries{delivery(10, "deploy=passed smoke=passed", first), delivery(11, "rollback=failed"), delivery(12, "deploy=passed smoke=passed rollback=error")},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"commits that come again after a rollback by hand": {
			// The commit of 11 h came at 12 h, was taken back at 13 h, and came again at 21 h together with that of 20 h: each once, an hour.
			deliveries{delivery(10, "deploy=passed", first), delivery(12, "deploy=passed", brings(11)), delivery(13, "rollback=passed"), delivery(21, "deploy=passed", brings(20, 11))},
			dora.Metrics{Deployments: 3, Days: 14, PerWeek: ptr(1.5), LeadTime: &dora.Spread{Count: 2, Median: 3600, P90: 3600}, Failed: 1, FailureRate: ptr(1.0 / 3),
				Recovery: &dora.Spread{Count: 1, Median: 3600, P90: 3600}, Rework: 1, ReworkRate: ptr(0.25)},
		},
		"commits of a deployment that failed": {
			// They came with the next one: 3 h and 1 h.
			deliveries{delivery(10, "deploy=passed", first), delivery(12, "deploy=passed smoke=failed", brings(11), rolledBack), delivery(14, "deploy=passed", brings(13, 11))},
			dora.Metrics{Deployments: 2, Days: 14, PerWeek: ptr(1.0), LeadTime: &dora.Spread{Count: 2, Median: 2 * 3600, P90: 2.8 * 3600}, Failed: 1, FailureRate: ptr(1.0 / 3),
				Recovery: &dora.Spread{Count: 1, Median: 120, P90: 120}, ReworkRate: ptr(0.0)},
		},
		"commits from before the window, again": {
			deliveries{delivery(-4, "deploy=passed", brings(-5)), delivery(-2, "rollback=passed"), delivery(3, "deploy=passed", brings(2, -5))},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), LeadTime: &dora.Spread{Count: 1, Median: 3600, P90: 3600}, FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"an old service in an environment that is new": {
			// It was live in production when the log began, so nobody knows when it first was.
			deliveries{delivery(10, "deploy=passed", brings()), delivery(34, "deploy=passed", to("preview"), first, adopted(-24*700))},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), FailureRate: ptr(0.0), ReworkRate: ptr(0.0)},
		},
		"a new service whose first delivery fails": {
			// At 10 h what failed stayed live, at 12 h it was replaced: the first that works, 2 h after the commit that brought idp.yaml at 10 h.
			deliveries{delivery(10.5, "deploy=passed smoke=failed", first, adopted(10), changed(true)), delivery(12, "deploy=passed", brings())},
			dora.Metrics{Deployments: 1, Days: 14, PerWeek: ptr(0.5), Failed: 1, FailureRate: ptr(0.5), Recovery: &dora.Spread{Count: 1, Median: 5400, P90: 5400}, Rework: 1, ReworkRate: ptr(1.0),
				FirstDelivery: &dora.Spread{Count: 1, Median: 7200, P90: 7200}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.in.compute(t)
			for who, g := range map[string]dora.Group{"service": r.Services["checkout"], "team": r.Teams["team-payments"], "organisation": r.Organization} {
				if diff := cmp.Diff(c.want, g.Metrics); diff != "" {
					t.Errorf("%s (-want +got):\n%s", who, diff)
				}
			}
		})
	}
}

// TestGroups adds up services to teams and the organisation, and cuts months at the window.
func TestGroups(t *testing.T) {
	t.Parallel()
	in := deliveries{
		delivery(10, "sast=passed deploy=passed", of("checkout", "team-old"), first),
		delivery(20, "sast=passed deploy=passed", of("checkout", "team-payments"), brings(10)),  // 10 h
		delivery(20, "sast=skipped deploy=passed", of("ledger", "team-payments"), brings(18)),   // 2 h
		delivery(24*20, "deploy=passed", of("ledger", "team-payments"), brings()),               // after the window
		delivery(30, "deploy=passed", of("search", "team-search"), brings(0, 6), to("staging")), // not production
		delivery(30, "sast=passed build=failed", of("search", "team-search"), to("production")), // not deployed
		delivery(-100, "deploy=passed", of("forgotten", "team-search"), brings(0, 6)),           // before the window
		delivery(31, "deploy=passed", of("search", "team-search"), func(l *catalogfile.Line) { l.Suite = "v1.2.3" }, to("staging")),
	}
	r, err := dora.Compute(t.Context(), in.catalogue(t), dora.Options{Environment: "production", From: at(-24 * 3), To: at(24 * 11)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Organization.Deployments != 3 || r.Teams["team-payments"].Deployments != 3 || len(r.Teams) != 2 || len(r.Services) != 3 {
		t.Errorf("%+v", r)
	}
	// 2 h and 10 h: the median is in the middle, 90 % lie below 9.2 h.
	if diff := cmp.Diff(&dora.Spread{Count: 2, Median: 6 * 3600, P90: 9.2 * 3600}, r.Organization.LeadTime, cmp.Comparer(near)); diff != "" {
		t.Error(diff)
	}
	want := dora.Adoption{Services: 3, Stages: map[string]int{"sast": 1, "deploy": 3}, Suites: map[string]int{"unknown": 2, "v1.2.3": 1}}
	if diff := cmp.Diff(want, r.Adoption); diff != "" {
		t.Error(diff)
	}
	// The log has the first delivery of checkout on 2 November: eleven days until the window ends on the 12th.
	months := r.Services["checkout"].Months
	if got := months["2026-11"]; len(months) != 1 || got.Days != 11 || !near(*got.PerWeek, 2.0/11*7) {
		t.Errorf("%+v in November, months %v", got, months)
	}
}

// TestDays has windows of 28 days from begin on, by hand: what was before the first delivery that the log has is not known.
func TestDays(t *testing.T) {
	t.Parallel()
	in := deliveries{
		delivery(-24*40, "deploy=passed", of("old", "team-a"), first), // 28 days, 4 weeks: 2 deployments are half a one a week
		delivery(10, "deploy=passed", of("old", "team-a"), brings()),
		delivery(24*20, "deploy=passed", of("old", "team-a"), brings()),
		delivery(24*13+5, "deploy=passed", of("young", "team-b"), to("staging"), first), // 15 days from its first delivery to anywhere on
		delivery(24*18, "deploy=passed", of("young", "team-b"), first),
		delivery(24*19, "deploy=passed", of("young", "team-b"), brings()),
		delivery(24*20, "deploy=passed", of("young", "team-b"), brings()),
		delivery(24*22+1, "deploy=passed", of("new", "team-c"), first), // 6 days: no week yet
	}
	r, err := dora.Compute(t.Context(), in.catalogue(t), dora.Options{Environment: "production", From: begin, To: begin.AddDate(0, 0, 28),
		Systems: map[string]string{"young": "shop", "new": "shop", "gone": "attic"}})
	if err != nil {
		t.Fatal(err)
	}
	type rate struct {
		Days int
		Week *float64
	}
	of := func(g dora.Group) rate { return rate{g.Days, g.PerWeek} }
	want := map[string]rate{"old": {28, ptr(0.5)}, "young": {15, ptr(1.4)}, "new": {6, nil}, "team-b": {15, ptr(1.4)}, "shop": {15, ptr(4 * 7.0 / 15)}, "all": {28, ptr(1.5)}, "old in November": {28, ptr(0.5)}}
	got := map[string]rate{"old": of(r.Services["old"]), "young": of(r.Services["young"]), "new": of(r.Services["new"]), "team-b": of(r.Teams["team-b"]), "shop": of(r.Systems["shop"]),
		"all": of(r.Organization), "old in November": {r.Services["old"].Months["2026-11"].Days, r.Services["old"].Months["2026-11"].PerWeek}}
	if diff := cmp.Diff(want, got, cmp.Comparer(near)); diff != "" || len(r.Systems) != 1 {
		t.Errorf("%d systems (-want +got):\n%s", len(r.Systems), diff)
	}
	if shop := r.Systems["shop"]; shop.Deployments != 4 || shop.FailureRate == nil || *shop.FailureRate != 0 {
		t.Errorf("%+v", shop)
	}
}

// TestOwnersAreOne holds that a team which is written in two ways is one, and that a person is not a team of that name.
func TestOwnersAreOne(t *testing.T) {
	t.Parallel()
	r := deliveries{
		delivery(10, "deploy=passed", of("a", "team-a"), first), delivery(10, "deploy=passed", of("b", "group:default/team-a"), first),
		delivery(10, "deploy=passed", of("c", "user:default/team-a"), first), delivery(10, "deploy=passed", of("d", "user:team-a"), first),
	}.compute(t)
	if len(r.Teams) != 2 || r.Teams["team-a"].Deployments != 2 || r.Teams["user:team-a"].Deployments != 2 {
		t.Errorf("%+v", r.Teams)
	}
}

func near(a, b float64) bool { return a-b < 1e-3 && b-a < 1e-3 }

func TestWhatCannotBeCounted(t *testing.T) {
	t.Parallel()
	options := dora.Options{Environment: "production", From: begin, To: begin.AddDate(0, 1, 0)}
	good := deliveries{delivery(10, "deploy=passed")}.catalogue(t)
	const log = "deliveries/checkout/production/2026-11.jsonl"
	for name, c := range map[string]struct {
		damage func(fstest.MapFS)
		want   string
	}{
		"a cut line":      {func(f fstest.MapFS) { f[log].Data = append(f[log].Data, `{"schema":"idp.del`...) }, log + ": line 2: "},
		"another schema":  {func(f fstest.MapFS) { f[log].Data = []byte(`{"schema":"idp.delivery-line/v9"}`) }, log + `: line 1: it has schema "idp.delivery-line/v9"`},
		"another service": {func(f fstest.MapFS) { f["deliveries/ledger/production/2026-11.jsonl"] = f[log] }, `it has a delivery of "checkout" to "production"`},
		"a line twice":    {func(f fstest.MapFS) { f[log].Data = append(f[log].Data, f[log].Data...) }, log + ": line 2: delivery 1 stands after delivery 1"},
		"an endless line": {func(f fstest.MapFS) { f[log].Data = append(f[log].Data, strings.Repeat(" ", 2<<20)...) }, "token too long"},
		"no such file any more": {func(f fstest.MapFS) {
			f["deliveries/checkout/production/2026-10.jsonl"] = &fstest.MapFile{Mode: 1 << 31}
		}, "2026-10.jsonl"},
	} {
		f := fstest.MapFS{log: {Data: append([]byte{}, good[log].Data...)}}
		c.damage(f)
		if _, err := dora.Compute(t.Context(), f, options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []dora.Options{{From: options.From, To: options.To}, {Environment: "production", From: options.To, To: options.From}} {
		if _, err := dora.Compute(t.Context(), good, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	r, err := dora.Compute(t.Context(), fstest.MapFS{}, options)
	if err != nil || r.Organization.FailureRate != nil || r.Organization.LeadTime != nil || r.Adoption.Services != 0 {
		t.Errorf("nothing at all: %+v %v", r, err)
	}
}
