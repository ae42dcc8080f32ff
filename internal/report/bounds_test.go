package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/org/idp/internal/record"
)

// within holds what is rendered against GitHub's limits.
func within(t *testing.T, name string, g onGitHub) {
	t.Helper()
	payload, err := json.Marshal(g.Payload)
	if err != nil {
		t.Fatal(err)
	}
	for what, sizes := range map[string][2]int{
		"title": {utf8.RuneCountInString(g.Check.Title), 255}, "summary": {len(g.Check.Summary), 65535}, "text": {len(g.Check.Text), 65535},
		"status": {utf8.RuneCountInString(g.Status.Description), 140}, "description": {utf8.RuneCountInString(g.Description), 140},
		"payload": {len(payload), 64 << 10}, "annotations": {len(g.Check.Annotations), 500}, "name": {utf8.RuneCountInString(g.Check.Name), 132},
	} {
		if sizes[0] > sizes[1] {
			t.Errorf("%s: the %s is %d, of %d", name, what, sizes[0], sizes[1])
		}
	}
	for _, a := range g.Check.Annotations {
		if a.StartLine < 1 || a.EndLine < a.StartLine || utf8.RuneCountInString(a.Title) > 255 || len(a.Message) > 64<<10 || a.Path == "" {
			t.Errorf("%s: annotation %+v", name, a)
		}
	}
	if strings.ContainsAny(g.Status.Description+g.Description+g.Check.Title, "\n\r\x00\u202e") {
		t.Errorf("%s: %q, %q, %q", name, g.Status.Description, g.Description, g.Check.Title)
	}
}

func TestHugeCommentFits(t *testing.T) {
	t.Parallel()
	r := hugeCase()
	got := render(t, Comment{}, r)
	if len(got) > 65536-1024 || len(got) < 30000 {
		t.Errorf("%d bytes", len(got))
	}
	for _, want := range []string{"could not be determined: deploy", "[see the full report](" + runURL + ")", "[Full report](" + runURL + ")", " more stages: ", " more new findings: ",
		"more lines of what a deploy would change", "more lines about deploy", "4992 more notes"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the comment of %d bytes", want, len(got))
		}
	}
	p := opened(t, got)
	if open := strings.Count(p.skeleton, "details\n"); open != 1 || !strings.HasSuffix(strings.TrimSpace(p.text), "image 9d0c…e1") {
		t.Errorf("%d details; it ends with %q", open, p.text[max(0, len(p.text)-100):])
	}
}

// A part that is cut is cut between its items, and what is left out is said, whatever the limit.
func TestFit(t *testing.T) {
	t.Parallel()
	parts := []part{{open: "<", items: []string{"aa", "bb", "cc"}, end: ">", more: "letters"}, {items: []string{"dd"}, more: "last"}}
	for limit, want := range map[int]string{ // in: "\n3 more letters: in full.\n" is 26, "\n1 more last: in full.\n" 23
		1000: "<aabbcc>dd", 65: "<aabbcc>dd", // 65-49 is 16, of which the first may have 8
		64: "<aabb>\n1 more letters: in full.\ndd",
		49: "\n3 more letters: in full.\n\n1 more last: in full.\n",
	} {
		if got := fit(limit, "in full", parts...); got != want || len(got) > limit {
			t.Errorf("in %d: %q (%d), want %q", limit, got, len(got), want)
		}
	}
	for limit := 49; limit < 80; limit++ {
		if got := fit(limit, "in full", parts...); len(got) > limit {
			t.Errorf("in %d: %d", limit, len(got))
		}
	}
	if got := fit(100, "in full", part{more: "things", over: 3}); got != "\n3 more things: in full.\n" {
		t.Errorf("nothing is shown: %q", got)
	}
}

// What did not pass never concludes as success, whatever it waits for.
func TestConclusions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		outcome           record.Outcome
		awaits            string
		conclusion, state string
	}{
		{record.Passed, "", "success", "success"}, {record.Passed, "ada", "action_required", "pending"},
		{record.Failed, "", "failure", "failure"}, {record.Failed, "ada", "failure", "failure"},
		{record.Error, "", "failure", "error"}, {record.Error, "ada", "failure", "error"},
		{record.Skipped, "", "failure", "error"}, {"", "", "failure", "error"}, {"new", "ada", "failure", "error"},
	} {
		r := delivery("staging", passed("sast", "", 1, nil))
		if test.awaits != "" {
			r.Record.Put(waiting(test.awaits))
		}
		r.Record.Outcome = test.outcome
		if c, s := NewCheck(r, nil), NewStatus(r); c.Conclusion != test.conclusion || s.State != test.state {
			t.Errorf("%q, waiting for %q: %s and %s", test.outcome, test.awaits, c.Conclusion, s.State)
		}
	}
	alone := delivery("production")
	alone.Record.Stages = nil
	alone.Record.Put(waiting("ada")) // as when a comment that does not count starts the deploy again
	if c, s := NewCheck(alone, nil), NewStatus(alone); c.Conclusion != "action_required" || s.State != "pending" || c.Title != "waits for approval to deploy to production" {
		t.Errorf("%s, %s, %q", c.Conclusion, s.State, c.Title)
	}
	alone.Record.Put(record.Stage{Name: "verify", Outcome: record.Error})
	if c, s := NewCheck(alone, nil), NewStatus(alone); c.Conclusion != "failure" || s.State != "error" {
		t.Errorf("beside what could not be determined: %s, %s", c.Conclusion, s.State)
	}
	if c := NewCheck(Report{Record: record.New(record.Service{}, record.Source{}, record.Run{}, "")}, nil); c.Conclusion != "failure" || c.Title != "could not be determined" {
		t.Errorf("an empty record: %+v", c)
	}
}
