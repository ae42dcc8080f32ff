package githubfake_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	githubfake "github.com/org/idp/internal/testkit/github"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 260 {
		w.repo.Commit("main", githubfake.Commit{Message: fmt.Sprint(i), Author: "alice", Date: begin.Add(time.Duration(i) * time.Minute),
			Files: map[string]string{"a.txt": fmt.Sprint(i)}})
	}
	w.repo.Commit("side", githubfake.Commit{Parents: []string{w.head}, Message: "Other"})
	messages := func(r reply) []string {
		var all []string
		for _, c := range r.object["commits"].([]any) {
			all = append(all, c.(m)["commit"].(m)["message"].(string))
		}
		return all
	}
	got := w.want(200, "GET", ":/compare/"+w.head+"...main", nil)
	if all := messages(got); len(all) != 250 || all[0] != "10" || all[249] != "259" || got.object["total_commits"] != 260.0 || got.object["status"] != "ahead" || len(got.object["files"].([]any)) != 1 {
		t.Errorf("%s", got.text)
	}
	first := w.want(200, "GET", ":/compare/"+w.head+"...main?per_page=100", nil)
	last := w.want(200, "GET", ":/compare/"+w.head+"...main?per_page=100&page=3", nil)
	if all := messages(first); len(all) != 100 || all[0] != "0" || !strings.Contains(first.header.Get("Link"), `page=2&per_page=100>; rel="next"`) {
		t.Errorf("%d %s", len(all), first.header.Get("Link"))
	}
	if all := messages(last); len(all) != 60 || all[59] != "259" || last.object["files"] != nil || strings.Contains(last.header.Get("Link"), "next") {
		t.Errorf("%s", last.text)
	}
	for between, want := range map[string]string{"main...main": "identical 0 0", "main..." + w.head: "behind 0 260", "main...side": "diverged 1 260", "acme:main...acme:side": "diverged 1 260"} {
		o := w.want(200, "GET", ":/compare/"+between, nil).object
		if got := fmt.Sprint(o["status"], " ", o["ahead_by"], " ", o["behind_by"]); got != want {
			t.Errorf("%s: %s", between, got)
		}
	}
	w.want(404, "GET", ":/compare/main...gone", nil)
	w.quiet()
}

func TestCommitsAndContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Commit("main", githubfake.Commit{Message: "One", Author: "alice", Files: map[string]string{".github/CODEOWNERS": "* @acme/platform\n", "svc/a/main.go": "package main\n"}})
	sha := w.repo.Commit("main", githubfake.Commit{Message: "Two", AuthorName: "Bob", AuthorEmail: "bob@example.com", Files: map[string]string{"svc/b/main.go": "package main\n"}})
	w.repo.Branch("release/1.0", sha)
	list := w.want(200, "GET", ":/commits?path=svc/a", nil).list
	if len(list) != 1 || list[0]["author"].(m)["login"] != "alice" {
		t.Errorf("%v", list)
	}
	got := w.want(200, "GET", ":/commits/release/1.0", nil).object
	if got["sha"] != sha || got["author"] != nil || got["commit"].(m)["author"].(m)["email"] != "bob@example.com" || len(got["files"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	w.want(422, "GET", ":/commits/gone", nil)
	if ref := w.want(200, "GET", ":/git/ref/heads/release/1.0", nil).object; ref["object"].(m)["sha"] != sha {
		t.Errorf("%v", ref)
	}
	w.want(404, "GET", ":/git/ref/heads/release", nil)

	file := w.want(200, "GET", ":/contents/.github/CODEOWNERS?ref=release/1.0", nil).object
	text, err := base64.StdEncoding.DecodeString(file["content"].(string))
	if err != nil || string(text) != "* @acme/platform\n" || file["encoding"] != "base64" {
		t.Errorf("%v %v", file, err)
	}
	folder := w.want(200, "GET", ":/contents/svc", nil).list
	if len(folder) != 2 || folder[0]["name"] != "a" || folder[0]["type"] != "dir" {
		t.Errorf("%v", folder)
	}
	w.want(404, "GET", ":/contents/CODEOWNERS", nil)
	w.want(404, "GET", ":/contents/svc/b/main.go?ref="+w.head, nil)
	w.quiet()
}

func TestPush(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Alice", "-c", "user.email=7+alice@users.noreply.github.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
	}
	git("init", "-q", "-b", "main")
	write("one\n")
	git("commit", "-qm", "One")
	git("tag", "-am", "First", "v1")
	write("two\n")
	git("commit", "-qm", "Two\n\nBecause.")
	w.repo.Push(dir)
	got := w.want(200, "GET", ":/compare/v1...main", nil).object
	head := got["commits"].([]any)[0].(m)
	if head["sha"] != git("rev-parse", "HEAD") || head["commit"].(m)["message"] != "Two\n\nBecause." || head["author"].(m)["login"] != "alice" {
		t.Errorf("%v", head)
	}
	// git's own patch, without its heading.
	_, patch, _ := strings.Cut(git("diff", "v1", "main"), "+++ b/a.txt\n")

	if files := got["files"].([]any); len(files) != 1 || files[0].(m)["patch"] != patch || files[0].(m)["sha"] != git("rev-parse", "main:a.txt") {
		t.Errorf("%v, not %q", files, patch)
	}
	w.quiet()
}

func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.Team("acme", "platform", "bob")
	w.repo.Collaborator("carol", "maintain")
	member := "/orgs/acme/teams/platform/memberships/"
	w.want(403, "GET", member+"bob", nil)
	w.token = w.hub.Token("acme/shop", map[string]string{"members": "read"})
	if got := w.want(200, "GET", member+"BOB", nil).object; got["state"] != "active" {
		t.Errorf("%v", got)
	}
	w.want(404, "GET", member+"carol", nil)
	w.want(404, "GET", "/orgs/acme/teams/other/memberships/bob", nil)
	for login, want := range map[string]string{"carol": "write maintain", "bob": "read read", "acme": "admin admin"} {
		o := w.want(200, "GET", ":/collaborators/"+login+"/permission", nil).object
		if got := fmt.Sprint(o["permission"], " ", o["role_name"]); got != want {
			t.Errorf("%s: %s", login, got)
		}
	}
	w.want(404, "GET", ":/collaborators/nobody/permission", nil)
	w.repo.Private = true
	if got := w.want(200, "GET", ":/collaborators/bob/permission", nil).object["permission"]; got != "none" {
		t.Error(got)
	}
	if got := w.want(200, "GET", "/orgs/acme", nil).object["login"]; got != "acme" {
		t.Error(got)
	}
	w.want(404, "GET", "/orgs/bob", nil)
	if got := w.want(200, "GET", "/users/bob", nil).object["type"]; got != "User" {
		t.Error(got)
	}
	w.repo.Commit("topic", githubfake.Commit{Message: "Change"})
	number := w.repo.PullRequest(githubfake.PullRequest{Head: "topic", Author: "dave"})
	w.token = w.hub.Token("acme/shop", everything)
	for author, want := range map[string]string{"bob": "MEMBER", "carol": "COLLABORATOR", "mallory": "NONE"} {
		at := fmt.Sprintf(":/issues/comments/%d", w.repo.Comment(number, author, "/approve"))
		if got := w.want(200, "GET", at, nil).object["author_association"]; got != want {
			t.Errorf("%s: %v", author, got)
		}
	}
	w.quiet()
}
