//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
	"github.com/org/idp/internal/testkit/npm"
)

// onGitHub is a GitHub with the repository, and the token that a job with the workflow's permissions has.
func (r *repository) onGitHub(c *call, permissions map[string]string) *githubfake.Repository {
	s := githubfake.New(r.t)
	repo := s.Repository("acme/hello")
	for _, branch := range []string{"main", "feature"} {
		if sha := r.git("for-each-ref", "--format=%(objectname)", "refs/heads/"+branch); sha != "" {
			repo.Commit(branch, githubfake.Commit{SHA: sha, Message: "the change", Author: "ada", Files: map[string]string{"main.go": "package main\n"}})
		}
	}
	c.env = map[string]string{"GITHUB_API_URL": s.API()}
	if c.secrets == nil {
		c.secrets = map[string]string{}
	}
	c.secrets["GITHUB_TOKEN"] = s.Token("acme/hello", permissions)
	return repo
}

func oneStepIsShown(t *testing.T) {
	r := newRepository(t, ".")
	c := call{workflow: "one-step.yml"}
	repo := r.onGitHub(&c, permissionsOf(t, r, "one-step.yml"))
	got := r.run(c)
	got.jobs(true, map[string][]string{"path": success})
	head := r.git("rev-parse", "HEAD")
	for _, d := range repo.Deployments() {
		last := d.Statuses[len(d.Statuses)-1]
		if d.SHA != head || d.Environment != "local" || d.State() != "success" || !strings.HasPrefix(last.EnvironmentURL, "http://127.0.0.1:") || last.LogURL == "" {
			t.Errorf("deployment %+v", d)
		}
	}
	if n := len(repo.Deployments()); n != 1 {
		t.Errorf("%d deployments", n)
	}
	if runs := repo.CheckRuns(); len(runs) != 1 || runs[0].Name != "idp/hello/local" || runs[0].SHA != head || runs[0].Conclusion != "success" {
		t.Errorf("checks %+v", runs)
	}
	if list := repo.Sarifs(); len(list) != 1 || list[0].Ref != "refs/heads/main" || list[0].SHA != head {
		t.Errorf("code scanning %+v", list)
	}
	contains(t, "summary", got.onlySummary(), "✓ passed | github", "deployment, code scanning, check")
}

func oneStepFailureIsShown(t *testing.T) {
	r := newRepository(t, ".")
	r.change("idp.yaml", "contains: ok", "contains: not what it says")
	r.change(".github/workflows/one-step.yml", "target: local", "target: local, timeout: 30s")
	c := call{workflow: "one-step.yml"}
	repo := r.onGitHub(&c, permissionsOf(t, r, "one-step.yml"))
	r.run(c).jobs(false, map[string][]string{"path": failure})
	if list := repo.Deployments(); len(list) != 1 || list[0].State() != "failure" {
		t.Errorf("deployments %+v", list)
	}
	if runs := repo.CheckRuns(); len(runs) != 1 || runs[0].Conclusion != "failure" || !strings.Contains(runs[0].Title, "smoke") {
		t.Errorf("checks %+v", runs)
	}
}

func pullRequestIsShown(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	r.change("idp.yaml", "scale: {min: 2, max: 6}", "scale: {min: 3, max: 9}")
	c := call{workflow: "pull-request.yml", event: "pull_request"}
	repo := r.onGitHub(&c, permissionsOf(t, r, "pull-request.yml"))
	number := repo.PullRequest(githubfake.PullRequest{Title: "Take the money", Author: "ada", Head: "feature"})
	c.payload = r.pullRequest()
	c.payload["number"] = number
	c.payload["pull_request"].(map[string]any)["number"] = number
	for range 2 { // the comment is there once, however often the workflow runs
		r.run(c).jobs(true, map[string][]string{"path": success})
	}
	head := r.git("rev-parse", "HEAD")
	if list := repo.Comments(number); len(list) != 1 || !strings.Contains(list[0].Body, "hello would deploy to staging") {
		t.Errorf("comments %+v", list)
	}
	contains(t, "comment", repo.Comments(number)[0].Body, "Cost a month", "2–6 × (0.1 cores", "3–9 × (0.1 cores")
	if runs := repo.CheckRuns(); len(runs) != 2 || runs[1].Name != "idp/hello/staging" || runs[1].SHA != head || runs[1].Conclusion != "success" {
		t.Errorf("checks %+v", runs)
	}
	if list := repo.Sarifs(); len(list) != 2 {
		t.Errorf("code scanning %+v", list)
	}
	if list := repo.Deployments(); len(list) != 0 {
		t.Errorf("deployments %+v", list)
	}
}

// pullRequestMayNothing is a run with the token of a fork: every job goes on, and says what is not shown.
func pullRequestMayNothing(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	c := call{workflow: "pull-request.yml", event: "pull_request"}
	repo := r.onGitHub(&c, map[string]string{"contents": "read"})
	number := repo.PullRequest(githubfake.PullRequest{Title: "Take the money", Author: "ada", Head: "feature"})
	c.payload = r.pullRequest()
	c.payload["number"] = number
	c.payload["pull_request"].(map[string]any)["number"] = number
	got := r.run(c)
	got.jobs(true, map[string][]string{"path": success})
	contains(t, "log", got.text(nil), "permissions: {checks: write}", "permissions: {statuses: write}", "permissions: {pull-requests: write}", "permissions: {security-events: write}")
}

// forkIsHonest is the pull request of a fork, by GitHub's own payload: whatever the workflow asks for, the token can only read, there is
// no secret besides, and no identity. It is judged all the same, and says in full what cannot be seen elsewhere, and why.
func forkIsHonest(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	r.add("more.go", "package main\n\nvar more = 1\n")
	c := call{workflow: "pull-request.yml", event: "pull_request"}
	repo, number := r.fork(t, &c)
	got := r.run(c)
	got.jobs(true, map[string][]string{"path": success})
	got.outputs("org/idp@v1", map[string]string{"outcome": "passed", "digest": "sha256:", "image": "", "url": ""})
	const why = "the token of this run can only read, because the pull request comes from a fork"
	parts := []string{"– skipped | github", "nothing of it is shown there"}
	for _, feature := range []string{"checks", "statuses", "comment", "code scanning"} {
		parts = append(parts, "⚠ "+feature+": GitHub answers 403, Resource not accessible by integration: "+why)
	}
	contains(t, "summary", got.onlySummary(), append(parts, "✓ passed | secrets", "✓ passed | build")...)
	for _, wrong := range []string{"add to the job permissions", "::warning"} {
		if strings.Contains(got.text(nil), wrong) || strings.Contains(got.onlySummary(), wrong) {
			t.Errorf("there is %q in\n%s", wrong, got.onlySummary())
		}
	}
	if notes := got.annotations(); notes != "" {
		t.Errorf("annotations of a path that passed:\n%s", notes)
	}
	r.nothingWritten(repo, number)
	got.post("org/idp@v1")
}

// forkFails is one with a secret in its change: the job fails, and the line is annotated, which needs no permission.
func forkFails(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	r.add("pay.go", "package main\n\nconst payKey = \""+"ghp_"+"w8Fh3kPq2LrT6vXzB1nMc9YdJ4gSa5Ue7RtK"+"\"\n")
	c := call{workflow: "pull-request.yml", event: "pull_request"}
	repo, number := r.fork(t, &c)
	got := r.run(c)
	got.jobs(false, map[string][]string{"path": failure})
	contains(t, "annotations", got.notes("error"), "title=idp secrets", "title=github-pat file=pay.go line=3")
	contains(t, "summary", got.onlySummary(), "# hello failed: sast, secrets", "✗ failed | secrets")
	if strings.Contains(got.text(nil)+got.onlySummary(), "w8Fh3kPq2LrT6vXz") {
		t.Error("the secret is shown")
	}
	r.nothingWritten(repo, number)
}

// fork makes a call the one of a pull request from a fork, whose title, branch and author are as hostile as GitHub lets them be.
func (r *repository) fork(t *testing.T, c *call) (*githubfake.Repository, int) {
	t.Helper()
	lock, err := os.ReadFile(inRepo("internal", "app", "testdata", "webhooks", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	pin, err := npm.Locked(lock, "@octokit/webhooks-examples")
	if err != nil {
		t.Fatal(err)
	}
	data, err := pin.File("package/api.github.com/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name     string
		Examples []map[string]any
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, event := range all {
		if event.Name == "pull_request" && c.payload == nil {
			c.payload = event.Examples[0]
		}
	}
	permissions := permissionsOf(t, r, c.workflow)
	for name := range permissions {
		permissions[name] = "read" // GitHub lowers what the workflow asks for
	}
	repo := r.onGitHub(c, permissions)
	title := "::error::`$(id)` --> @acme/everyone\n## passed"
	number := repo.PullRequest(githubfake.PullRequest{Title: title, Author: "mallory", Head: "feature"})
	pull := c.payload["pull_request"].(map[string]any)
	head, base := pull["head"].(map[string]any), pull["base"].(map[string]any)
	head["ref"], head["sha"], head["label"] = "a;id>$IFS`id`", r.git("rev-parse", "feature"), "mallory:a"
	head["repo"].(map[string]any)["full_name"] = "mallory/hello"
	head["repo"].(map[string]any)["fork"] = true
	base["ref"], base["sha"] = "main", r.git("rev-parse", "main")
	for _, place := range []map[string]any{base["repo"].(map[string]any), c.payload["repository"].(map[string]any)} {
		place["full_name"], place["default_branch"] = "acme/hello", "main"
	}
	pull["title"], pull["number"], c.payload["number"] = title, number, number
	return repo, number
}

// nothingWritten holds a run to have left nothing on GitHub.
func (r *repository) nothingWritten(repo *githubfake.Repository, number int) {
	r.t.Helper()
	if n := len(repo.CheckRuns()) + len(repo.Comments(number)) + len(repo.Sarifs()) + len(repo.Deployments()); n != 0 {
		r.t.Errorf("%d things were written by a token that can only read", n)
	}
}

// permissionsOf are what the workflow gives the token, in the words of its file.
func permissionsOf(t *testing.T, r *repository, workflow string) map[string]string {
	t.Helper()
	permissions := map[string]string{}
	_, rest, found := strings.Cut(r.read(".github/workflows/"+workflow), "\npermissions:")
	block, _, ended := strings.Cut(rest, "\njobs:")
	if !found || !ended {
		t.Fatalf("%s has no permissions before its jobs", workflow)
	}
	for part := range strings.FieldsFuncSeq(block, func(c rune) bool { return strings.ContainsRune("{},\n", c) }) {
		part, _, _ = strings.Cut(part, "#")
		if name, level, ok := strings.Cut(strings.TrimSpace(part), ": "); ok {
			permissions[name] = strings.TrimSpace(level)
		}
	}
	return permissions
}

// approvalResumes is a delivery that waits, a comment of somebody who may not approve, and one of somebody who may.
func approvalResumes(t *testing.T) {
	r := newRepository(t, ".")
	rules, err := os.ReadFile(inRepo("internal", "policy", "default.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.add("policy.yaml", strings.Replace(string(rules), "local: {}", "local: {approve: {by: codeowners}}", 1))
	r.add("CODEOWNERS", "* @jane\n")
	p := newPlatform(t, r)
	for _, workflow := range []string{"composed.yml", "approve.yml"} {
		r.change(".github/workflows/"+workflow, "target: local\n", "target: local\n          policy: policy.yaml\n")
	}
	base := r.git("rev-parse", "HEAD")
	r.add("more.go", "package main\n\nvar more = 1\n")
	head := r.git("rev-parse", "HEAD")

	s := githubfake.New(t)
	repo := s.Repository("acme/hello")
	repo.Commit("main", githubfake.Commit{SHA: base, Message: "before", Author: "jane", Files: map[string]string{"CODEOWNERS": "* @jane\n"}})
	repo.Branch("feature", base)
	repo.Commit("feature", githubfake.Commit{SHA: head, Message: "more", Author: "ada", Files: map[string]string{"more.go": "package main\n"}})
	repo.Collaborator("jane", "write")
	repo.Collaborator("joe", "write")
	number := repo.PullRequest(githubfake.PullRequest{Title: "More", Author: "ada", Head: "feature"})
	repo.Merge(number)
	p.call.env = map[string]string{"GITHUB_API_URL": s.API()}
	p.call.secrets["GITHUB_TOKEN"] = s.Token("acme/hello", map[string]string{"actions": "read", "checks": "write", "contents": "read", "deployments": "write",
		"packages": "write", "pull-requests": "write", "security-events": "write"})

	r.run(p.call).jobs(false, map[string][]string{"image": success, "release": failure, "verdict": failure})
	waiting := repo.Deployments()
	if len(waiting) != 1 || waiting[0].State() != "queued" || waiting[0].SHA != head {
		t.Fatalf("deployments %+v", waiting)
	}
	if k := repo.CheckRuns(); len(k) != 1 || k[0].Conclusion != "action_required" {
		t.Errorf("checks %+v", k)
	}
	if c := repo.Comments(number); len(c) != 1 || !strings.Contains(c[0].Body, "/approve local") {
		t.Errorf("comments %+v", c)
	}

	c := p.call
	c.workflow, c.event = "approve.yml", "issue_comment"
	c.actions = map[string]string{"actions/checkout@v5": checkout(t, r)}
	for _, who := range []struct {
		login string
		ok    bool
		job   []string
	}{{"ada", false, failure}, {"joe", false, failure}, {"jane", true, success}} {
		repo.Comment(number, who.login, "/approve local")
		c.payload = map[string]any{"action": "created", "comment": map[string]any{"body": "/approve local", "user": map[string]any{"login": who.login}},
			"issue": map[string]any{"number": number, "pull_request": map[string]any{"url": "https://api.github.com/repos/acme/hello/pulls/1"}}}
		r.run(c).jobs(who.ok, map[string][]string{"deploy": who.job})
		says := map[bool]string{true: "hello deployed to local", false: "hello waits for approval to deploy to local"}[who.ok]
		if list := repo.Comments(number); !strings.Contains(list[0].Body, says) {
			t.Errorf("after the comment of %s the pull request says %s", who.login, list[0].Body)
		}
		states := map[string]string{}
		for _, d := range repo.Deployments() {
			states[d.Task] = d.State()
		}
		if want := map[bool]string{true: "success"}[who.ok]; states["deploy"] != want || (states["deploy:wait"] == "queued") == who.ok {
			t.Errorf("after the comment of %s: %v", who.login, states)
		}
	}
	runs := repo.CheckRuns()
	if last := runs[len(runs)-1]; last.Conclusion != "success" || last.SHA != head {
		t.Errorf("the last check %+v", last)
	}
}

// checkout is what actions/checkout does with a ref, which act does not stand in for: an emptied folder, and that commit in it.
func checkout(t *testing.T, r *repository) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "action.yml"), `name: checkout
description: checks out a ref
inputs: {ref: {required: true}, fetch-depth: {}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {REF: '${{ inputs.ref }}'}
      run: |
        find . -mindepth 1 -delete
        git clone --quiet "`+r.dir+`" .
        git checkout --quiet --detach "$REF"
        git remote set-url origin https://github.com/acme/hello
`)
	return dir
}

// monorepoIsShown has two services in a matrix, each with a deployment and a check of its own, also when the workflow runs again:
// the second run replaces only what the first one deployed of the same service.
func monorepoIsShown(t *testing.T) {
	r := newRepository(t, "services/a", "services/b")
	r.change("services/b/idp.yaml", "name: hello", "name: other")
	c := call{workflow: "monorepo.yml"}
	repo := r.onGitHub(&c, map[string]string{"actions": "read", "checks": "write", "contents": "read", "deployments": "write", "security-events": "write"})
	for range 2 {
		r.run(c).jobs(true, map[string][]string{"services": success, "path": {"success", "success"}, "verdict": success})
	}
	live := map[string]int{}
	for _, d := range repo.Deployments() {
		if d.State() == "success" {
			live[d.Environment]++
		}
	}
	if len(live) != 2 || live["local/hello"] != 1 || live["local/other"] != 1 {
		t.Errorf("live: %v of %+v", live, repo.Deployments())
	}
	checks := map[string]int{}
	for _, k := range repo.CheckRuns() {
		checks[k.Name+" "+k.Conclusion]++
	}
	if len(checks) != 2 || checks["idp/hello/local success"] != 2 || checks["idp/other/local success"] != 2 {
		t.Errorf("checks: %v", checks)
	}
}
