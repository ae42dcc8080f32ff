package github

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	githubfake "github.com/org/idp/internal/testkit/github"
)

func (p *place) check() Check {
	return Check{Name: "idp/checkout/staging", Commit: p.repo.Head("main"), Delivery: "d1", URL: "https://github.com/acme/checkout/actions/runs/1",
		Title: "in progress", Summary: "…"}
}

func notes(n int) []Annotation {
	var all []Annotation
	for i := range n {
		all = append(all, Annotation{Path: "main.go", Line: i + 1, Level: "warning", Title: "G101", Message: fmt.Sprint("finding ", i)})
	}
	return all
}

func wantCheck(t *testing.T, p *place, conclusion string, annotations int) githubfake.CheckRun {
	t.Helper()
	runs := p.repo.CheckRuns()
	if len(runs) != 1 {
		t.Fatalf("%d check runs", len(runs))
	}
	run := runs[0]
	if run.Name != "idp/checkout/staging" || run.SHA != p.repo.Head("main") || run.ExternalID != "d1" || run.Status != "completed" || run.Conclusion != conclusion {
		t.Errorf("%+v", run)
	}
	if len(run.Annotations) != annotations {
		t.Errorf("%d annotations, want %d", len(run.Annotations), annotations)
	}
	for i, a := range run.Annotations {
		if want := fmt.Sprint("finding ", i); a.Message != want {
			t.Fatalf("annotation %d is %q, want %q", i, a.Message, want)
		}
	}
	return run
}

func TestCheckRun(t *testing.T) {
	t.Parallel()
	for _, conclusion := range []string{"success", "failure", "action_required"} {
		for _, n := range []int{0, 1, 50, 51, 120} {
			p := at(t, "checks: write")
			id := must[int64](t)(p.client.BeginCheck(t.Context(), p.check()))
			if run := p.repo.CheckRuns()[0]; run.Status != "in_progress" || run.Details != p.check().URL {
				t.Errorf("begun as %+v", run)
			}
			for range 2 { // the second changes nothing
				if err := p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: conclusion, Title: "done", Summary: "all", Text: "more", Annotations: notes(n)}); err != nil {
					t.Fatal(err)
				}
			}
			run := wantCheck(t, p, conclusion, n)
			if want := max(1, (n+49)/50); run.Updates != want || run.Title != "done" || run.Summary != "all" || run.Text != "more" {
				t.Errorf("%d annotations took %d updates, want %d: %+v", n, run.Updates, want, run)
			}
		}
	}
}

func TestAnnotationsBeyondTheLimitAreLeftOut(t *testing.T) {
	t.Parallel()
	p := at(t, "checks: write")
	id := must[int64](t)(p.client.BeginCheck(t.Context(), p.check()))
	if err := p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: "failure", Summary: strings.Repeat("ü", 70000), Annotations: notes(700)}); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, p, "failure", AnnotationLimit)
}

func TestCheckRunCutAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, "checks: write", func(*place) {}, func(ctx context.Context, p *place) error {
		if p.begun == 0 {
			id, err := p.client.BeginCheck(ctx, p.check())
			if err != nil {
				return err
			}
			p.begun = id
		}
		return p.client.EndCheck(ctx, p.begun, CheckEnd{Conclusion: "success", Title: "done", Summary: "all", Annotations: notes(120)})
	}, func(t *testing.T, p *place) { wantCheck(t, p, "success", 120) })
}

func TestColumnsAndLinesOfAnAnnotation(t *testing.T) {
	t.Parallel()
	p := at(t, "checks: write")
	id := must[int64](t)(p.client.BeginCheck(t.Context(), p.check()))
	err := p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: "failure", Annotations: []Annotation{
		{Path: "a.go", Line: 3, Column: 5, EndColumn: 9, Level: "failure", Message: "one line"},
		{Path: "a.go", Line: 3, Column: 5, Level: "notice", Message: "one column"},
		{Path: "a.go", Line: 3, EndLine: 4, Column: 5, EndColumn: 2, Level: "warning", Message: "two lines have no columns"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range p.repo.CheckRuns()[0].Annotations {
		columns := "none"
		if a.StartColumn != nil {
			columns = fmt.Sprint(*a.StartColumn, "-", *a.EndColumn)
		}
		got = append(got, fmt.Sprintf("%d-%d %s", a.StartLine, a.EndLine, columns))
	}
	if want := "3-3 5-9, 3-3 5-5, 3-4 none"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, bad := range []Annotation{{}, {Path: "a.go", Line: 0, Level: "notice", Message: "m"}, {Path: "a.go", Line: 1, Level: "error", Message: "m"}, {Path: "a.go", Line: 1, Level: "notice"}} {
		if err := p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: "failure", Annotations: []Annotation{bad}}); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestChecksWithoutPermission(t *testing.T) {
	t.Parallel()
	refused(t, Checks, "statuses: write, checks: read", func(*place) {}, func(ctx context.Context, p *place) error {
		_, err := p.client.BeginCheck(ctx, p.check())
		return err
	})
	refused(t, Statuses, "checks: write", func(*place) {}, func(ctx context.Context, p *place) error { return p.client.SetStatus(ctx, p.status("success")) })
}

// A person's token can write no check runs at all: the commit status is what is left.
func TestChecksOfAPerson(t *testing.T) {
	t.Parallel()
	p := at(t, "")
	p.token = p.UserToken("ada", "acme/checkout", scopes("checks: write, statuses: write"))
	p.client = p.connect(t, nil)
	_, err := p.client.BeginCheck(t.Context(), p.check())
	if err == nil || err.Error() != "checks: GitHub answers 403, You must authenticate via a GitHub App" {
		t.Errorf("error %v", err)
	}
	if err := p.client.SetStatus(t.Context(), p.status("success")); err != nil {
		t.Error(err)
	}
}

func (p *place) status(state string) Status {
	return Status{Commit: p.repo.Head("main"), Context: "idp/checkout/staging", State: state, Description: strings.Repeat("ü", 150), URL: "https://github.com/acme/checkout/actions/runs/1"}
}

func TestCommitStatusCutAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, "statuses: write", func(p *place) {
		if err := p.client.SetStatus(t.Context(), p.status("pending")); err != nil {
			t.Fatal(err)
		}
	}, func(ctx context.Context, p *place) error { return p.client.SetStatus(ctx, p.status("success")) }, func(t *testing.T, p *place) {
		all := p.repo.Statuses(p.repo.Head("main"))
		// A run that is killed and repeated may set the same status again, as setting it means.
		if n := len(all); n < 2 || n > 3 || all[0].State != "pending" || all[n-1].State != "success" || len([]rune(all[1].Description)) != 140 {
			t.Errorf("%+v", all)
		}
	})
}

func TestOpenCheckAmongManyThatHaveEnded(t *testing.T) {
	t.Parallel()
	p := at(t, "checks: write")
	open := p.check()
	want, err := p.client.BeginCheck(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := p.clock.sleep(t.Context(), time.Hour); err != nil { // so that no rate limit is met
			t.Fatal(err)
		}
		k := open
		k.Delivery = fmt.Sprint("another", i)
		id, err := p.client.BeginCheck(t.Context(), k)
		if err == nil {
			err = p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: "success", Title: "ok", Summary: "ok"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if id, err := p.client.OpenCheck(t.Context(), open); id != want || err != nil {
		t.Errorf("found %d, want %d: %v", id, want, err)
	}
}
