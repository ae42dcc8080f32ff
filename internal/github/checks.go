package github

import (
	"context"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

const (
	// AnnotationLimit is how many annotations of a check run are sent; they go out in batches of 50.
	AnnotationLimit = 500
	batch           = 50
	// textLimit is the most characters that GitHub takes as the summary or the text of a check run.
	textLimit = 65535
)

// Check is a check run that begins.
type Check struct {
	Name     string // idp/SERVICE/ENVIRONMENT: what a ruleset requires
	Commit   string // 40 hex digits; of a pull request, its head
	Delivery string // id of the delivery record, by which the check run is found again
	URL      string // of the run
	Title    string
	Summary  string // Markdown
}

// CheckEnd is how a check run ends.
type CheckEnd struct {
	Conclusion  string // success, failure, action_required, neutral, cancelled or skipped
	Title       string
	Summary     string       // Markdown
	Text        string       // Markdown, below the summary; may be empty
	Annotations []Annotation // what counts first; those beyond AnnotationLimit are left out
}

// Annotation is a remark on lines of a file of the commit.
type Annotation struct {
	Path              string // from the root of the repository, with slashes
	Line, EndLine     int    // counted from 1; EndLine 0 is Line
	Column, EndColumn int    // counted from 1, on one line only; 0 is unknown
	Level             string // notice, warning or failure
	Title, Message    string
}

// BeginCheck files a check run in progress, once for a delivery: 1 request, or 2 more where it was cut.
func (c *Client) BeginCheck(ctx context.Context, k Check) (int64, error) {
	if k.Name == "" || len(k.Commit) != 40 || k.Delivery == "" {
		return 0, fault.BadInputf("a check run needs name, commit and delivery")
	}
	o := gh.CreateCheckRunOptions{Name: k.Name, HeadSHA: k.Commit, ExternalID: &k.Delivery, Status: gh.String("in_progress"),
		Output: &gh.CheckRunOutput{Title: &k.Title, Summary: cutTo(k.Summary, textLimit)}}
	if k.URL != "" {
		o.DetailsURL = &k.URL
	}
	var id int64
	err := c.write(ctx, Checks, func() error {
		made, _, err := c.api.Checks.CreateCheckRun(ctx, c.owner, c.name, o)
		id = made.GetID()
		return err
	}, func() (found bool, err error) {
		id, err = c.openCheck(ctx, k)
		return id != 0, err
	})
	if err == nil && id == 0 {
		err = fault.Undeterminedf("GitHub's answer names no check run")
	}
	return id, err
}

// OpenCheck finds the check run of a delivery that is still in progress; 0 where there is none.
func (c *Client) OpenCheck(ctx context.Context, k Check) (int64, error) {
	id, err := c.openCheck(ctx, k)
	return id, c.judge(ctx, Checks, err)
}

// openCheck asks for those in progress only: a commit that is scheduled every night has more than a page of those that have ended.
func (c *Client) openCheck(ctx context.Context, k Check) (int64, error) {
	list, _, err := c.api.Checks.ListCheckRunsForRef(ctx, c.owner, c.name, k.Commit,
		&gh.ListCheckRunsOptions{CheckName: &k.Name, Status: gh.String("in_progress"), Filter: gh.String("all"), ListOptions: gh.ListOptions{PerPage: 100}})
	if err != nil {
		return 0, err
	}
	for _, run := range list.CheckRuns {
		if run.GetExternalID() == k.Delivery && run.GetStatus() != "completed" {
			return run.GetID(), nil
		}
	}
	return 0, nil
}

// EndCheck completes a check run with its last batch of annotations, so that one that was cut off is never a success with some
// missing. It may be called again, and goes on where it was cut: 1 request, and 1 for each 50 annotations.
func (c *Client) EndCheck(ctx context.Context, id int64, e CheckEnd) error {
	if !slices.Contains([]string{"success", "failure", "action_required", "neutral", "cancelled", "skipped"}, e.Conclusion) {
		return fault.BadInputf("a check run cannot end as %q", e.Conclusion)
	}
	notes, err := annotations(e.Annotations[:min(len(e.Annotations), AnnotationLimit)])
	if err != nil {
		return err
	}
	run, err := c.check(ctx, id)
	if err != nil {
		return err
	}
	done := func(sent int) bool {
		return run.GetOutput().GetAnnotationsCount() >= sent && (sent < len(notes) || run.GetStatus() == "completed" && run.GetConclusion() == e.Conclusion)
	}
	for !done(len(notes)) {
		from := min(run.GetOutput().GetAnnotationsCount(), len(notes))
		to := min(from+batch, len(notes))
		update := updateOf(run, e, notes[from:to], to == len(notes))
		err := c.write(ctx, Checks, func() error {
			_, _, err := c.api.Checks.UpdateCheckRun(ctx, c.owner, c.name, id, update)
			if err == nil {
				run.Output.AnnotationsCount = &to
				run.Status, run.Conclusion = update.Status, update.Conclusion
			}
			return err
		}, func() (bool, error) {
			run, err = c.check(ctx, id)
			return err == nil && done(to), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func updateOf(run *gh.CheckRun, e CheckEnd, notes []*gh.CheckRunAnnotation, last bool) gh.UpdateCheckRunOptions {
	u := gh.UpdateCheckRunOptions{Name: run.GetName(), Status: gh.String("in_progress"),
		Output: &gh.CheckRunOutput{Title: &e.Title, Summary: cutTo(e.Summary, textLimit), Annotations: notes}}
	if e.Text != "" {
		u.Output.Text = cutTo(e.Text, textLimit)
	}
	if last {
		u.Status, u.Conclusion = gh.String("completed"), &e.Conclusion
	}
	return u
}

func (c *Client) check(ctx context.Context, id int64) (*gh.CheckRun, error) {
	run, _, err := c.api.Checks.GetCheckRun(ctx, c.owner, c.name, id)
	if err != nil {
		return nil, c.judge(ctx, Checks, err)
	}
	if run.Output == nil {
		run.Output = &gh.CheckRunOutput{}
	}
	return run, nil
}

func annotations(list []Annotation) ([]*gh.CheckRunAnnotation, error) {
	var all []*gh.CheckRunAnnotation
	for _, a := range list {
		end := max(a.Line, a.EndLine)
		if a.Path == "" || a.Line < 1 || a.Message == "" || !slices.Contains([]string{"notice", "warning", "failure"}, a.Level) {
			return nil, fault.BadInputf("no annotation can be made of %q, line %d, level %q", a.Path, a.Line, a.Level)
		}
		n := &gh.CheckRunAnnotation{Path: &a.Path, StartLine: &a.Line, EndLine: &end, AnnotationLevel: &a.Level, Message: cutTo(a.Message, 16000)}
		if a.Title != "" {
			n.Title = cutTo(a.Title, 255)
		}
		if a.Column > 0 && end == a.Line { // GitHub refuses columns that span lines
			last := max(a.Column, a.EndColumn)
			n.StartColumn, n.EndColumn = &a.Column, &last
		}
		all = append(all, n)
	}
	return all, nil
}

// Status is a commit status.
type Status struct {
	Commit      string // 40 hex digits
	Context     string // idp/SERVICE/ENVIRONMENT: what a ruleset requires
	State       string // pending, success, failure or error
	Description string // cut to DescriptionLimit
	URL         string
}

// SetStatus sets a commit status, once: 1 request, or 2 more where it was cut.
func (c *Client) SetStatus(ctx context.Context, s Status) error {
	if len(s.Commit) != 40 || s.Context == "" || !slices.Contains([]string{"pending", "success", "failure", "error"}, s.State) {
		return fault.BadInputf("a commit status needs commit, context and one of the states pending, success, failure and error")
	}
	want := &gh.RepoStatus{State: &s.State, Context: &s.Context, Description: cutTo(s.Description, DescriptionLimit)}
	if s.URL != "" {
		want.TargetURL = &s.URL
	}
	return c.write(ctx, Statuses, func() error {
		_, _, err := c.api.Repositories.CreateStatus(ctx, c.owner, c.name, s.Commit, want)
		return err
	}, func() (bool, error) {
		list, _, err := c.api.Repositories.ListStatuses(ctx, c.owner, c.name, s.Commit, &gh.ListOptions{PerPage: 100})
		i := slices.IndexFunc(list, func(has *gh.RepoStatus) bool { return has.GetContext() == s.Context }) // newest first
		return i >= 0 && list[i].GetState() == s.State && list[i].GetDescription() == want.GetDescription() && list[i].GetTargetURL() == s.URL, err
	})
}
