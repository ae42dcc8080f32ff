package githubfake

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Run is one attempt of a workflow's run.
type Run struct {
	ID                 int64
	Attempt            int    // 1 where 0
	Name, Event, Actor string // of the workflow; push where empty; who started it
	SHA, Branch        string // the default branch's where empty
	Status             string // in_progress where empty
	Conclusion         string // only of a completed one
	Started, Updated   time.Time
}

// Run adds an attempt of a run, or changes one that is there; without an ID it gets one.
func (r *Repository) Run(run Run) int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if run.ID == 0 {
		run.ID = r.s.nextID()
	}
	run.Attempt = max(run.Attempt, 1)
	for field, otherwise := range map[*string]string{&run.Name: "deliver", &run.Event: "push", &run.Actor: r.owner(),
		&run.Branch: r.DefaultBranch, &run.Status: "in_progress"} {
		if *field == "" {
			*field = otherwise
		}
	}
	if run.SHA == "" {
		run.SHA = r.branches[run.Branch]
	}
	if run.Started.IsZero() {
		run.Started = r.s.time()
	}
	run.Updated = r.s.time()
	r.runs = slices.DeleteFunc(r.runs, func(o Run) bool { return o.ID == run.ID && o.Attempt == run.Attempt })
	r.runs = append(r.runs, run)
	return run.ID
}

// EndRun completes the newest attempt of a run with a conclusion, such as success, failure or cancelled.
func (r *Repository) EndRun(id int64, conclusion string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	newest := -1
	for i, run := range r.runs {
		if run.ID == id && (newest < 0 || run.Attempt > r.runs[newest].Attempt) {
			newest = i
		}
	}
	if newest < 0 {
		r.s.t.Fatalf("there is no run %d", id)
	}
	r.runs[newest].Status, r.runs[newest].Conclusion, r.runs[newest].Updated = "completed", conclusion, r.s.time()
}

// Dispatch is a workflow or an event that was asked for.
type Dispatch struct {
	Event         string // of a repository_dispatch
	Workflow, Ref string // of a workflow_dispatch
	Payload       json.RawMessage
	By            string
}

// Dispatches are all that were taken.
func (r *Repository) Dispatches() []Dispatch {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.dispatches)
}

var actionRoutes = []route{
	{name: "GET /:repo/actions/runs", needs: "actions: read", do: listRuns},
	{name: "GET /:repo/actions/runs/{run_id}", needs: "actions: read", do: getRun},
	{name: "GET /:repo/actions/runs/{run_id}/attempts/{attempt_number}", needs: "actions: read", do: getRun},
	{name: "POST /:repo/actions/workflows/{workflow_id}/dispatches", needs: "actions: write", do: dispatchWorkflow},
	{name: "POST /:repo/dispatches", needs: "contents: write", do: dispatch},
}

// newestRuns are the last attempt of each, newest run first.
func (r *Repository) newestRuns() []Run {
	var out []Run
	for _, run := range slices.Backward(r.runs) {
		at := slices.IndexFunc(out, func(o Run) bool { return o.ID == run.ID })
		switch {
		case at < 0:
			out = append(out, run)
		case out[at].Attempt < run.Attempt:
			out[at] = run
		}
	}
	return out
}

func listRuns(c *call) answer {
	q, out := c.query, []object{}
	for _, run := range c.repo.newestRuns() {
		status := q.Get("status")
		if (status == "" || status == run.Status || status == run.Conclusion) && matches(map[string]string{q.Get("head_sha"): run.SHA,
			q.Get("branch"): run.Branch, q.Get("event"): run.Event, q.Get("actor"): run.Actor}) {
			out = append(out, c.runJSON(run))
		}
	}
	return pageIn("workflow_runs", out)
}

// matches tells whether each value is as wanted; what is wanted may be empty.
func matches(have map[string]string) bool {
	for want, value := range have {
		if want != "" && want != value {
			return false
		}
	}
	return true
}

func getRun(c *call) answer {
	newest := Run{}
	for _, run := range c.repo.runs {
		attempt := c.params["attempt_number"]
		if run.ID == c.id("run_id") && (attempt == "" || attempt == fmt.Sprint(run.Attempt)) && run.Attempt > newest.Attempt {
			newest = run
		}
	}
	if newest.ID == 0 {
		return notFound()
	}
	return ok(c.runJSON(newest))
}

func (c *call) runJSON(run Run) object {
	at := c.repo.api("/actions/runs/%d", run.ID)
	var previous any
	if run.Attempt > 1 {
		previous = fmt.Sprintf("%s/attempts/%d", at, run.Attempt-1)
	}
	return object{"id": run.ID, "node_id": fmt.Sprint("WFR_", run.ID), "name": run.Name, "display_title": run.Name, "path": ".github/workflows/" + run.Name + ".yml",
		"head_sha": run.SHA, "head_branch": run.Branch, "run_number": 1, "run_attempt": run.Attempt, "event": run.Event, "status": run.Status,
		"conclusion": orNull(run.Conclusion), "workflow_id": c.repo.id, "url": at, "html_url": fmt.Sprintf("%s/actions/runs/%d", c.repo.html(), run.ID),
		"jobs_url": at + "/jobs", "previous_attempt_url": previous, "created_at": stamp(run.Started), "run_started_at": stamp(run.Started),
		"updated_at": stamp(run.Updated), "actor": c.userJSON(run.Actor), "triggering_actor": c.userJSON(run.Actor), "pull_requests": []any{},
		"repository": c.repo.json(), "head_repository": c.repo.json()}
}

func dispatchWorkflow(c *call) answer {
	in := struct {
		Ref    string
		Inputs json.RawMessage
	}{}
	c.read(&in)
	switch {
	case !slices.Contains(c.repo.Workflows, c.params["workflow_id"]):
		return notFound()
	case c.repo.resolve(in.Ref) == "" || wholeSHA.MatchString(in.Ref): // a branch or a tag only
		return invalid("No ref found for: " + in.Ref)
	}
	c.repo.dispatches = append(c.repo.dispatches, Dispatch{Workflow: c.params["workflow_id"], Ref: in.Ref, Payload: in.Inputs, By: c.token.user.login})
	return nothing()
}

func dispatch(c *call) answer {
	in := struct {
		EventType     string          `json:"event_type"`
		ClientPayload json.RawMessage `json:"client_payload"`
	}{}
	c.read(&in)
	if len(in.ClientPayload) >= 64<<10 {
		return invalid("client_payload is too large.")
	}
	c.repo.dispatches = append(c.repo.dispatches, Dispatch{Event: in.EventType, Payload: in.ClientPayload, By: c.token.user.login})
	return nothing()
}
