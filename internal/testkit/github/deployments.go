package githubfake

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Deployment is one of a repository's. Statuses are oldest first.
type Deployment struct {
	ID                               int64
	Ref, SHA, Task, Environment      string
	Original                         string // environment, before a status named another
	Description, Creator             string
	Payload                          json.RawMessage
	Transient, Production, ByActions bool
	Created, Updated                 time.Time
	Statuses                         []DeploymentStatus
}

// DeploymentStatus is one that a deployment was given.
type DeploymentStatus struct {
	ID                                                               int64
	State, Description, LogURL, EnvironmentURL, Environment, Creator string
	ByActions                                                        bool
	Created                                                          time.Time
}

// State is the newest status; empty where there is none.
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return ""
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// Deployments are all, oldest first.
func (r *Repository) Deployments() []Deployment {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Deployment
	for _, d := range r.deploys {
		one := *d
		one.Statuses = slices.Clone(d.Statuses)
		all = append(all, one)
	}
	return all
}

// JobDeployment is what a job with `environment:` does by itself: a deployment that is in progress, by the run. EndJobDeployment
// is what happens when the job ends.
func (r *Repository) JobDeployment(ref, environment string, run int64) int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	d := &Deployment{ID: r.s.nextID(), Ref: ref, SHA: r.resolve(ref), Task: "deploy", Environment: environment, Original: environment, Creator: actionsBot,
		Payload: json.RawMessage(`{}`), Production: environment == "production", ByActions: true, Created: r.s.time(), Updated: r.s.time()}
	r.deploys = append(r.deploys, d)
	log := fmt.Sprintf("%s/actions/runs/%d/job/%d", r.html(), run, r.s.nextID())
	for _, state := range []string{"queued", "in_progress"} {
		r.addStatus(d, DeploymentStatus{State: state, LogURL: log, Creator: actionsBot, ByActions: true}, true)
	}
	return d.ID
}

// EndJobDeployment ends such a deployment with a state: success, failure, error or inactive.
func (r *Repository) EndJobDeployment(id int64, state string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	d := r.deployment(id)
	r.addStatus(d, DeploymentStatus{State: state, LogURL: d.Statuses[0].LogURL, Creator: actionsBot, ByActions: true}, true)
}

func (r *Repository) deployment(id int64) *Deployment {
	for _, d := range r.deploys {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// addStatus makes what was live in the same environment inactive, where it is asked to: only what succeeded, is meant to stay
// and is not production.
func (r *Repository) addStatus(d *Deployment, st DeploymentStatus, autoInactive bool) *DeploymentStatus {
	st.ID, st.Created = r.s.nextID(), r.s.time()
	if st.Environment == "" {
		st.Environment = d.Environment
	}
	d.Environment, d.Updated = st.Environment, st.Created
	d.Statuses = append(d.Statuses, st)
	if st.State == "success" && autoInactive {
		for _, old := range r.deploys {
			if old != d && old.Environment == d.Environment && !old.Transient && !old.Production && old.State() == "success" {
				r.addStatus(old, DeploymentStatus{State: "inactive", Creator: st.Creator, LogURL: st.LogURL, ByActions: st.ByActions}, false)
			}
		}
	}
	return &d.Statuses[len(d.Statuses)-1]
}

var deploymentRoutes = []route{
	{name: "GET /:repo/deployments", needs: "deployments: read", do: listDeployments},
	{name: "POST /:repo/deployments", needs: "deployments: write", do: createDeployment},
	{name: "GET /:repo/deployments/{deployment_id}", needs: "deployments: read", do: getDeployment},
	{name: "DELETE /:repo/deployments/{deployment_id}", needs: "deployments: write", do: deleteDeployment},
	{name: "GET /:repo/deployments/{deployment_id}/statuses", needs: "deployments: read", do: listDeploymentStatuses},
	{name: "POST /:repo/deployments/{deployment_id}/statuses", needs: "deployments: write", do: createDeploymentStatus},
	{name: "GET /:repo/deployments/{deployment_id}/statuses/{status_id}", needs: "deployments: read", do: getDeploymentStatus},
}

func listDeployments(c *call) answer {
	var out []object
	for _, d := range slices.Backward(c.repo.deploys) {
		match := true
		for name, have := range map[string]string{"sha": d.SHA, "ref": d.Ref, "task": d.Task, "environment": d.Environment} {
			if want := c.query.Get(name); want != "" && want != "none" && want != have {
				match = false
			}
		}
		if match {
			out = append(out, c.deploymentJSON(d))
		}
	}
	return page(out)
}

func createDeployment(c *call) answer {
	in := struct {
		Ref, Task, Environment, Description string
		AutoMerge                           *bool           `json:"auto_merge"`
		RequiredContexts                    *[]string       `json:"required_contexts"`
		Payload                             json.RawMessage `json:"payload"`
		Transient                           bool            `json:"transient_environment"`
		Production                          *bool           `json:"production_environment"`
	}{Task: "deploy", Environment: "production"}
	c.read(&in)
	sha := c.repo.resolve(in.Ref)
	if sha == "" {
		return invalid("No ref found for: " + in.Ref)
	}
	def := c.repo.branches[c.repo.DefaultBranch]
	if branch := c.repo.branches[in.Ref]; branch != "" && in.Ref != c.repo.DefaultBranch && (in.AutoMerge == nil || *in.AutoMerge) && len(c.repo.between(branch, def)) > 0 {
		return answer{status: 202, body: object{"message": fmt.Sprintf("Auto-merged %s into %s on deployment.", c.repo.DefaultBranch, in.Ref)}}
	}
	if bad := c.repo.unmet(sha, in.RequiredContexts); len(bad) > 0 {
		a := fail(409, fmt.Sprintf("Conflict: Commit status checks failed for %s.", in.Ref))
		a.body.(object)["errors"] = []any{object{"contexts": bad, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}}
		return a
	}
	if len(in.Payload) == 0 {
		in.Payload = json.RawMessage(`{}`)
	}
	d := &Deployment{ID: c.nextID(), Ref: in.Ref, SHA: sha, Task: in.Task, Environment: in.Environment, Original: in.Environment, Description: in.Description,
		Creator: c.token.user.login, ByActions: c.token.app, Payload: in.Payload, Transient: in.Transient,
		Production: in.Environment == "production", Created: c.time(), Updated: c.time()}
	if in.Production != nil {
		d.Production = *in.Production
	}
	c.repo.deploys = append(c.repo.deploys, d)
	return created(c.deploymentJSON(d))
}

// unmet are the contexts that a deployment waits for: those named, or all that the commit has where none are named.
func (r *Repository) unmet(sha string, wanted *[]string) []object {
	have := r.contexts(sha)
	if wanted == nil {
		wanted = &[]string{}
		for name := range have {
			*wanted = append(*wanted, name)
		}
	}
	var bad []object
	for _, name := range *wanted {
		if have[name] != "success" {
			bad = append(bad, object{"context": name, "state": have[name]})
		}
	}
	return bad
}

func getDeployment(c *call) answer {
	if d := c.repo.deployment(c.id("deployment_id")); d != nil {
		return ok(c.deploymentJSON(d))
	}
	return notFound()
}

func deleteDeployment(c *call) answer {
	d := c.repo.deployment(c.id("deployment_id"))
	if d == nil {
		return notFound()
	}
	others := slices.ContainsFunc(c.repo.deploys, func(o *Deployment) bool { return o != d && o.Environment == d.Environment })
	if d.State() != "inactive" && others {
		return invalid("We cannot delete an active deployment unless it is the only deployment in a given environment.")
	}
	c.repo.deploys = slices.DeleteFunc(c.repo.deploys, func(o *Deployment) bool { return o == d })
	return nothing()
}

func listDeploymentStatuses(c *call) answer {
	d := c.repo.deployment(c.id("deployment_id"))
	if d == nil {
		return notFound()
	}
	var out []object
	for i := range slices.Backward(d.Statuses) {
		out = append(out, c.deploymentStatusJSON(d, &d.Statuses[i]))
	}
	return page(out)
}

func getDeploymentStatus(c *call) answer {
	if d := c.repo.deployment(c.id("deployment_id")); d != nil {
		for i := range d.Statuses {
			if d.Statuses[i].ID == c.id("status_id") {
				return ok(c.deploymentStatusJSON(d, &d.Statuses[i]))
			}
		}
	}
	return notFound()
}

func createDeploymentStatus(c *call) answer {
	d := c.repo.deployment(c.id("deployment_id"))
	if d == nil {
		return notFound()
	}
	in := struct {
		State, Description, Environment string
		TargetURL                       string `json:"target_url"`
		LogURL                          string `json:"log_url"`
		EnvironmentURL                  string `json:"environment_url"`
		AutoInactive                    *bool  `json:"auto_inactive"`
	}{}
	c.read(&in)
	if refused := tooLong("DeploymentStatus", "description", in.Description, maxStatusDescription); refused != nil {
		return *refused
	}
	for _, f := range [][2]string{{"log_url", in.LogURL}, {"environment_url", in.EnvironmentURL}, {"target_url", in.TargetURL}} {
		if !webAddress(f[1]) {
			return unfit("DeploymentStatus", f[0], "custom", f[0]+" must use http(s) scheme")
		}
	}
	if in.LogURL == "" {
		in.LogURL = in.TargetURL
	}
	st := c.repo.addStatus(d, DeploymentStatus{State: in.State, Description: in.Description, LogURL: in.LogURL, EnvironmentURL: in.EnvironmentURL,
		Environment: in.Environment, Creator: c.token.user.login, ByActions: c.token.app}, in.AutoInactive == nil || *in.AutoInactive)
	return created(c.deploymentStatusJSON(d, st))
}

func (c *call) deploymentJSON(d *Deployment) object {
	at := c.repo.api("/deployments/%d", d.ID)
	return object{"id": d.ID, "node_id": fmt.Sprint("DE_", d.ID), "url": at, "statuses_url": at + "/statuses", "repository_url": c.repo.api(""),
		"sha": d.SHA, "ref": d.Ref, "task": d.Task, "payload": d.Payload, "original_environment": d.Original, "environment": d.Environment,
		"description": orNull(d.Description), "creator": c.userJSON(d.Creator), "transient_environment": d.Transient,
		"production_environment": d.Production, "created_at": stamp(d.Created), "updated_at": stamp(d.Updated), "performed_via_github_app": app(d.ByActions)}
}

func (c *call) deploymentStatusJSON(d *Deployment, st *DeploymentStatus) object {
	at := c.repo.api("/deployments/%d", d.ID)
	return object{"id": st.ID, "node_id": fmt.Sprint("DES_", st.ID), "url": fmt.Sprintf("%s/statuses/%d", at, st.ID), "deployment_url": at,
		"repository_url": c.repo.api(""), "state": st.State, "description": st.Description, "environment": st.Environment,
		"environment_url": st.EnvironmentURL, "log_url": st.LogURL, "target_url": st.LogURL, "creator": c.userJSON(st.Creator),
		"created_at": stamp(st.Created), "updated_at": stamp(st.Created), "performed_via_github_app": app(st.ByActions)}
}

func app(actions bool) any {
	if actions {
		return actionsApp()
	}
	return nil
}
