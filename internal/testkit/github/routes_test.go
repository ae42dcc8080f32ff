package githubfake_test

import (
	"fmt"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

func TestDeployments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deploy := func(environment string, production bool) string {
		got := w.want(201, "POST", ":/deployments", m{"ref": w.head, "environment": environment, "production_environment": production,
			"auto_merge": false, "required_contexts": []string{}, "payload": m{"idp": "x"}})
		return fmt.Sprintf("%.0f", got.object["id"])
	}
	status := func(id, state string, more m) {
		body := m{"state": state}
		for k, v := range more {
			body[k] = v
		}
		w.want(201, "POST", ":/deployments/"+id+"/statuses", body)
	}
	one, prod, two := deploy("staging", false), deploy("production", true), deploy("staging", false)
	status(one, "success", nil)
	status(prod, "success", nil)
	status(two, "in_progress", m{"log_url": "https://github.com/acme/shop/actions/runs/7"})
	status(two, "success", m{"environment_url": "https://staging.example"})
	after := deploy("production", true)
	status(after, "success", nil)
	status(after, "failure", m{"auto_inactive": false})

	var got []string
	for _, d := range w.repo.Deployments() {
		got = append(got, d.Environment+" "+d.State()+" "+string(d.Payload))
	}
	if want := `staging inactive {"idp":"x"}, production success {"idp":"x"}, staging success {"idp":"x"}, production failure {"idp":"x"}`; strings.Join(got, ", ") != want {
		t.Errorf("%s", got)
	}
	list := w.want(200, "GET", ":/deployments?environment=staging&sha="+w.head, nil).list
	if len(list) != 2 || fmt.Sprintf("%.0f", list[0]["id"]) != two {
		t.Errorf("%v", list)
	}
	newest := w.want(200, "GET", ":/deployments/"+two+"/statuses", nil).list
	if len(newest) != 2 || newest[0]["environment_url"] != "https://staging.example" || newest[1]["log_url"] != "https://github.com/acme/shop/actions/runs/7" {
		t.Errorf("%v", newest)
	}
	last := w.want(200, "GET", fmt.Sprintf(":/deployments/%s/statuses/%.0f", two, newest[0]["id"]), nil).object
	if last["state"] != "success" || w.want(200, "GET", ":/deployments/"+two, nil).object["sha"] != w.head {
		t.Errorf("%v", last)
	}
	w.want(422, "DELETE", ":/deployments/"+two, nil)
	w.want(204, "DELETE", ":/deployments/"+one, nil)
	w.want(404, "GET", ":/deployments/"+one, nil)
	w.quiet()
}

// TestDeploymentConflicts are what auto_merge and required_contexts do where they are not said.
func TestDeploymentConflicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Commit("topic", githubfake.Commit{Message: "Change"})
	w.repo.Commit("main", githubfake.Commit{Message: "Go on"})
	w.want(202, "POST", ":/deployments", m{"ref": "topic"})
	w.want(201, "POST", ":/deployments", m{"ref": "topic", "auto_merge": false})
	w.want(201, "POST", ":/check-runs", m{"name": "slow", "head_sha": w.repo.Head("topic"), "status": "in_progress"})
	w.want(409, "POST", ":/deployments", m{"ref": "topic", "auto_merge": false})
	w.want(201, "POST", ":/deployments", m{"ref": "topic", "auto_merge": false, "required_contexts": []string{}})
	if n := len(w.repo.Deployments()); n != 2 {
		t.Errorf("%d deployments", n)
	}
	w.quiet()
}

func TestJobDeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.repo.JobDeployment("main", "staging", 42)
	list := w.want(200, "GET", fmt.Sprintf(":/deployments/%d/statuses", id), nil).list
	if len(list) != 2 || list[0]["state"] != "in_progress" || !strings.HasPrefix(list[0]["log_url"].(string), "https://github.com/acme/shop/actions/runs/42/job/") {
		t.Errorf("%v", list)
	}
	w.repo.EndJobDeployment(id, "success")
	if got := w.repo.Deployments()[0].State(); got != "success" {
		t.Error(got)
	}
	w.quiet()
}

func TestCheckRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.want(201, "POST", ":/check-runs", m{"name": "idp/shop", "head_sha": w.head, "external_id": "d1", "status": "in_progress"})
	at := fmt.Sprintf(":/check-runs/%.0f", run.object["id"])
	w.want(200, "PATCH", at, m{"output": output(50)})
	w.want(200, "PATCH", at, m{"output": output(3)})
	done := w.want(200, "PATCH", at, m{"conclusion": "failure", "output": m{"title": "Failed", "summary": "s"}})
	if done.object["status"] != "completed" || done.object["completed_at"] == nil || done.object["output"].(m)["annotations_count"] != 53.0 {
		t.Errorf("%s", done.text)
	}
	if got := w.want(200, "GET", at, nil).object; got["conclusion"] != "failure" || got["external_id"] != "d1" {
		t.Errorf("%v", got)
	}
	first := w.want(200, "GET", at+"/annotations?per_page=40", nil)
	if len(first.list) != 40 || !strings.Contains(first.header.Get("Link"), `annotations?page=2&per_page=40>; rel="next"`) {
		t.Errorf("%d %s", len(first.list), first.header.Get("Link"))
	}
	second := w.want(200, "GET", at+"/annotations?per_page=40&page=2", nil)
	if len(second.list) != 13 || strings.Contains(second.header.Get("Link"), "next") {
		t.Errorf("%d %s", len(second.list), second.header.Get("Link"))
	}
	w.want(201, "POST", ":/check-runs", m{"name": "idp/shop", "head_sha": w.head, "conclusion": "success"})
	for query, want := range map[string]float64{"": 1, "?filter=all": 2, "?check_name=other": 0, "?check_name=idp%2Fshop": 1, "?status=in_progress": 0} {
		if got := w.want(200, "GET", ":/commits/main/check-runs"+query, nil).object["total_count"]; got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got := w.repo.CheckRuns()[0]; len(got.Annotations) != 53 || got.Updates != 3 || got.Conclusion != "failure" || got.ExternalID != "d1" || got.Title != "Failed" {
		t.Errorf("%+v", got)
	}
	w.quiet()
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, state := range []string{"pending", "failure", "success"} {
		w.want(201, "POST", ":/statuses/"+w.head, m{"state": state, "context": "idp"})
	}
	w.want(201, "POST", ":/statuses/"+w.head, m{"state": "pending"})
	got := w.want(200, "GET", ":/commits/main/status", nil).object
	if got["state"] != "pending" || got["total_count"] != 2.0 || got["sha"] != w.head {
		t.Errorf("%v", got)
	}
	if list := w.want(200, "GET", ":/commits/heads/main/statuses", nil).list; len(list) != 4 || list[1]["state"] != "success" {
		t.Errorf("%v", list)
	}
	w.quiet()
}

func TestComments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Commit("topic", githubfake.Commit{Message: "Change"})
	number := w.repo.PullRequest(githubfake.PullRequest{Head: "topic", Author: "alice"})
	w.repo.Comment(number, "mallory", "<!-- idp:comment -->")
	one := w.want(201, "POST", ":/issues/1/comments", m{"body": "a & b <c>"})
	if one.object["user"].(m)["login"] != "github-actions[bot]" || one.object["user"].(m)["type"] != "Bot" || !strings.Contains(one.text, "a & b <c>") {
		t.Errorf("%s", one.text)
	}
	at := fmt.Sprintf(":/issues/comments/%.0f", one.object["id"])
	w.want(200, "PATCH", at, m{"body": "changed"})
	w.want(201, "POST", at+"/reactions", m{"content": "eyes"})
	w.want(200, "POST", at+"/reactions", m{"content": "eyes"})
	if got := w.want(200, "GET", at, nil).object["reactions"].(m); got["eyes"] != 1.0 || got["total_count"] != 1.0 {
		t.Errorf("%v", got)
	}
	eyes := w.want(200, "GET", at+"/reactions?content=eyes", nil).list
	if len(eyes) != 1 || eyes[0]["user"].(m)["login"] != "github-actions[bot]" {
		t.Fatalf("%v", eyes)
	}
	w.want(204, "DELETE", fmt.Sprintf("%s/reactions/%.0f", at, eyes[0]["id"]), nil)
	w.want(404, "DELETE", fmt.Sprintf("%s/reactions/%.0f", at, eyes[0]["id"]), nil)
	list := w.want(200, "GET", ":/issues/1/comments", nil).list
	if len(list) != 2 || list[0]["user"].(m)["login"] != "mallory" || list[1]["body"] != "changed" {
		t.Errorf("%v", list)
	}
	w.want(204, "DELETE", at, nil)
	w.want(404, "PATCH", at, m{"body": "gone"})
	w.want(404, "GET", ":/issues/2/comments", nil)
	if got := w.repo.Comments(1); len(got) != 1 || got[0].Author != "mallory" {
		t.Errorf("%v", got)
	}
	w.quiet()
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Commit("main", githubfake.Commit{Message: "Files", Files: map[string]string{"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n", "b.txt": "b\n", "c.txt": "c\n"}})
	w.repo.Commit("topic", githubfake.Commit{Message: "Change", Author: "alice", Parents: []string{w.repo.Head("main")},
		Files: map[string]string{"a.txt": "1\n2\n3\n4\nfive\n6\n7\n8\n", "d.txt": "d\n"}, Removed: []string{"b.txt"}})
	w.repo.Commit("main", githubfake.Commit{Message: "Meanwhile", Files: map[string]string{"c.txt": "other\n"}})
	number := w.repo.PullRequest(githubfake.PullRequest{Title: "Change", Head: "topic", Author: "alice"})
	w.repo.Review(number, "bob", "APPROVED", "fine")
	check := func() {
		t.Helper()
		var files []string
		for _, f := range w.want(200, "GET", ":/pulls/1/files", nil).list {
			files = append(files, fmt.Sprint(f["filename"], " ", f["status"], " +", f["additions"], " -", f["deletions"]))
		}
		if got := strings.Join(files, ", "); got != "a.txt modified +1 -1, b.txt removed +0 -1, d.txt added +1 -0" {
			t.Error(got)
		}
	}
	check()
	// As `git diff` gives it.
	if got := w.want(200, "GET", ":/pulls/1/files", nil).list[0]["patch"]; got != "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8" {
		t.Errorf("%q", got)
	}
	if got := w.want(200, "GET", ":/pulls/1", nil).object; got["commits"] != 1.0 || got["changed_files"] != 3.0 || got["merged"] != false || got["head"].(m)["sha"] != w.repo.Head("topic") {
		t.Errorf("%v", got)
	}
	if got := w.want(200, "GET", ":/pulls/1/commits", nil).list; len(got) != 1 || got[0]["sha"] != w.repo.Head("topic") {
		t.Errorf("%v", got)
	}
	if got := w.want(200, "GET", ":/pulls/1/reviews", nil).list; len(got) != 1 || got[0]["state"] != "APPROVED" || got[0]["commit_id"] != w.repo.Head("topic") {
		t.Errorf("%v", got)
	}
	if got := w.want(200, "GET", ":/pulls?head=acme:topic", nil).list; len(got) != 1 {
		t.Errorf("%v", got)
	}
	merged := w.repo.Merge(number)
	check()
	for _, sha := range []string{merged, w.repo.Head("topic")} {
		if got := w.want(200, "GET", ":/commits/"+sha+"/pulls", nil).list; len(got) != 1 || got[0]["merged_at"] == nil || got[0]["merge_commit_sha"] != merged {
			t.Errorf("%v", got)
		}
	}
	if got := w.want(200, "GET", ":/commits/"+w.head+"/pulls", nil).list; len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := w.want(200, "GET", ":/pulls", nil).list; len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.quiet()
}
