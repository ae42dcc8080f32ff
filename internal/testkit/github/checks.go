package githubfake

import (
	"fmt"
	"slices"
	"time"
)

// CheckRun is one of a commit.
type CheckRun struct {
	ID                             int64
	Name, SHA, ExternalID, Details string
	Status, Conclusion             string
	Title, Summary, Text           string
	Annotations                    []Annotation
	Started, Completed             time.Time
	Updates                        int // how often it was changed after it was created
}

// Annotation is a remark on lines of a file, as it was sent.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn *int   `json:"start_column"`
	EndColumn   *int   `json:"end_column"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title"`
	RawDetails  string `json:"raw_details"`
}

// CheckRuns are all, oldest first.
func (r *Repository) CheckRuns() []CheckRun {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []CheckRun
	for _, run := range r.checks {
		one := *run
		one.Annotations = slices.Clone(run.Annotations)
		all = append(all, one)
	}
	return all
}

var checkRoutes = []route{
	{name: "POST /:repo/check-runs", needs: "checks: write", do: createCheckRun},
	{name: "GET /:repo/check-runs/{check_run_id}", needs: "checks: read", do: onCheckRun(getCheckRun)},
	{name: "PATCH /:repo/check-runs/{check_run_id}", needs: "checks: write", do: onCheckRun(updateCheckRun)},
	{name: "GET /:repo/check-runs/{check_run_id}/annotations", needs: "checks: read", do: onCheckRun(listAnnotations)},
	{name: "GET /:repo/commits/{ref}/check-runs", needs: "checks: read", do: listCheckRuns},
}

// checkRunInput is what both writing operations take; what is absent is not changed.
type checkRunInput struct {
	Name        *string
	HeadSHA     string  `json:"head_sha"`
	DetailsURL  *string `json:"details_url"`
	ExternalID  *string `json:"external_id"`
	Status      *string
	Conclusion  *string
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Output      *struct {
		Title, Summary, Text *string
		Annotations          []Annotation
	}
}

func onCheckRun(do func(*call, *CheckRun) answer) func(*call) answer {
	return func(c *call) answer {
		for _, run := range c.repo.checks {
			if run.ID == c.id("check_run_id") {
				return do(c, run)
			}
		}
		return notFound()
	}
}

func createCheckRun(c *call) answer {
	var in checkRunInput
	c.read(&in)
	if !c.token.app {
		return fail(403, "You must authenticate via a GitHub App.")
	}
	if !wholeSHA.MatchString(in.HeadSHA) || c.repo.commits[in.HeadSHA] == nil {
		return invalid("No commit found for SHA: " + in.HeadSHA)
	}
	run := &CheckRun{ID: c.nextID(), SHA: in.HeadSHA, Status: "queued"}
	if refused := c.setCheckRun(run, in); refused != nil {
		return *refused
	}
	c.repo.checks = append(c.repo.checks, run)
	return created(c.checkRunJSON(run))
}

func updateCheckRun(c *call, run *CheckRun) answer {
	var in checkRunInput
	c.read(&in)
	if !c.token.app {
		return fail(403, "You must authenticate via a GitHub App.")
	}
	changed := *run
	if refused := c.setCheckRun(&changed, in); refused != nil {
		return *refused
	}
	changed.Updates++
	*run = changed
	return ok(c.checkRunJSON(run))
}

// setCheckRun takes the input or nothing of it. Annotations are added to those that are there.
func (c *call) setCheckRun(run *CheckRun, in checkRunInput) *answer {
	for field, value := range map[*string]*string{&run.Name: in.Name, &run.Details: in.DetailsURL, &run.ExternalID: in.ExternalID,
		&run.Status: in.Status, &run.Conclusion: in.Conclusion} {
		if value != nil {
			*field = *value
		}
	}
	if !webAddress(run.Details) {
		a := unfit("CheckRun", "details_url", "custom", "details_url must use http or https scheme")
		return &a
	}
	c.setTimes(run, in)
	if run.Status == "completed" && run.Conclusion == "" {
		a := invalid("Invalid request.\n\nMissing required parameter: conclusion")
		return &a
	}
	if in.Output == nil {
		return nil
	}
	for field, value := range map[*string]*string{&run.Title: in.Output.Title, &run.Summary: in.Output.Summary, &run.Text: in.Output.Text} {
		if value != nil {
			*field = *value
		}
	}
	for _, n := range in.Output.Annotations {
		if refused := checkAnnotation(n); refused != nil {
			return refused
		}
	}
	run.Annotations = append(slices.Clone(run.Annotations), in.Output.Annotations...)
	return nil
}

// setTimes makes a run with a conclusion a completed one, and one without not.
func (c *call) setTimes(run *CheckRun, in checkRunInput) {
	if in.StartedAt != nil {
		run.Started = *in.StartedAt
	} else if run.Started.IsZero() {
		run.Started = c.time()
	}
	switch {
	case in.Conclusion != nil:
		run.Status, run.Completed = "completed", c.time()
	case in.Status != nil && run.Status != "completed":
		run.Conclusion, run.Completed = "", time.Time{}
	}
	if in.CompletedAt != nil {
		run.Completed = *in.CompletedAt
	}
}

// Limits of https://docs.github.com/en/rest/checks/runs#create-a-check-run.
const (
	maxAnnotationTitle = 255
	maxAnnotationBytes = 64 << 10
)

func checkAnnotation(n Annotation) *answer {
	var a answer
	switch {
	case n.Path == "" || n.Message == "":
		a = unfit("CheckRun", "annotations", "missing_field", "")
	case n.StartLine < 1 || n.EndLine < n.StartLine:
		a = unfit("CheckRun", "annotations", "custom", "end_line must not be before start_line")
	case (n.StartColumn != nil || n.EndColumn != nil) && n.StartLine != n.EndLine:
		a = unfit("CheckRun", "annotations", "custom", "start_column and end_column need start_line and end_line to be the same")
	case len(n.Message) > maxAnnotationBytes || len(n.RawDetails) > maxAnnotationBytes:
		a = unfit("CheckRun", "annotations", "custom", "message and raw_details are at most 64 KB")
	default:
		return tooLong("CheckRun", "title", n.Title, maxAnnotationTitle)
	}
	return &a
}

func getCheckRun(c *call, run *CheckRun) answer { return ok(c.checkRunJSON(run)) }

func listAnnotations(c *call, run *CheckRun) answer {
	out := []object{}
	for _, n := range run.Annotations {
		out = append(out, object{"path": n.Path, "blob_href": c.repo.html() + "/blob/" + run.SHA + "/" + n.Path, "start_line": n.StartLine, "end_line": n.EndLine,
			"start_column": n.StartColumn, "end_column": n.EndColumn, "annotation_level": n.Level, "title": orNull(n.Title),
			"message": n.Message, "raw_details": orNull(n.RawDetails)})
	}
	return page(out)
}

// listCheckRuns gives the newest of each name unless all are asked for.
func listCheckRuns(c *call) answer {
	sha := c.repo.resolve(c.params["ref"])
	if sha == "" {
		return invalid("No commit found for SHA: " + c.params["ref"])
	}
	q, seen, out := c.query, map[string]bool{}, []object{}
	for _, run := range slices.Backward(c.repo.checks) {
		if run.SHA != sha || (seen[run.Name] && q.Get("filter") != "all") {
			continue
		}
		seen[run.Name] = true
		if (q.Get("check_name") == "" || q.Get("check_name") == run.Name) && (q.Get("status") == "" || q.Get("status") == run.Status) &&
			(q.Get("app_id") == "" || q.Get("app_id") == fmt.Sprint(actionsAppID)) {
			out = append(out, c.checkRunJSON(run))
		}
	}
	return pageIn("check_runs", out)
}

func (c *call) checkRunJSON(run *CheckRun) object {
	at := c.repo.api("/check-runs/%d", run.ID)
	html := fmt.Sprintf("%s/runs/%d", c.repo.html(), run.ID)
	details := run.Details
	if details == "" {
		details = html
	}
	return object{"id": run.ID, "node_id": fmt.Sprint("CR_", run.ID), "url": at, "html_url": html, "details_url": details, "name": run.Name,
		"head_sha": run.SHA, "external_id": run.ExternalID, "status": run.Status, "conclusion": orNull(run.Conclusion),
		"started_at": stamp(run.Started), "completed_at": stamp(run.Completed), "app": actionsApp(), "pull_requests": []any{},
		"check_suite": object{"id": c.repo.id}, "output": object{"title": orNull(run.Title), "summary": orNull(run.Summary),
			"text": orNull(run.Text), "annotations_count": len(run.Annotations), "annotations_url": at + "/annotations"}}
}
