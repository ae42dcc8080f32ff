package github

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
	githubfake "github.com/org/idp/internal/testkit/github"
)

const readsApprovals = "pull-requests: read, contents: read, members: read"

const owners = "* @acme/payments\n*.md @lin\n/infra/ @root @lin\n/free/\n"

// change merges a pull request of ada, who wrote it with eve, to files that have owners; it gives its
// number.
func (p *place) change(files ...string) int {
	p.Team("acme", "payments", "ada", "bob", "eve")
	p.Team("acme", "release", "rita", "ada")
	p.repo.Collaborator("lin", "write")
	p.repo.Collaborator("root", "read") // is named in CODEOWNERS, and may not push
	p.repo.Commit("main", githubfake.Commit{Message: "Owners", Author: "root", Files: map[string]string{".github/CODEOWNERS": owners}})
	p.repo.Branch("feature", p.repo.Head("main"))
	all := map[string]string{}
	for _, f := range files {
		all[f] = "x"
	}
	p.repo.Commit("feature", githubfake.Commit{Message: "Change", Author: "ada", Files: all})
	p.repo.Commit("feature", githubfake.Commit{Message: "More", Author: "Eve", Files: map[string]string{files[0]: "y"}})
	n := p.repo.PullRequest(githubfake.PullRequest{Title: "Change", Author: "ada", Head: "feature"})
	return n
}

func (p *place) rule(commit string, owners bool, teams ...string) Rule {
	return Rule{Commit: commit, Owners: owners, Teams: teams, Commands: []string{"/approve", "/approve production"}, Since: p.clock.now()}
}

// approval asks after steps, one a line: WHO review STATE before the merge, WHO says TEXT after it.
func approval(t *testing.T, files, steps []string, owners bool, teams ...string) (Approval, error) {
	t.Helper()
	p := at(t, readsApprovals)
	n := p.change(files...)
	var after []string
	for _, s := range steps {
		who, what, _ := strings.Cut(s, " ")
		if state, is := strings.CutPrefix(what, "review "); is {
			p.repo.Review(n, who, state, "")
			p.tick()
		} else {
			after = append(after, s)
		}
	}
	r := p.rule(p.repo.Merge(n), owners, teams...)
	for _, s := range after {
		who, text, _ := strings.Cut(s, " says ")
		p.tick()
		p.repo.Comment(n, who, text)
	}
	return p.client.Approval(t.Context(), r)
}

func TestWhoMayApprove(t *testing.T) {
	t.Parallel()
	code := []string{"main.go"}
	for name, test := range map[string]struct {
		files, steps []string
		owners       bool
		teams        []string
		by, missing  string
	}{
		"nobody":                    {code, nil, true, nil, "", "nobody has approved who did not write it"},
		"member of the owning team": {code, []string{"bob review APPROVED"}, true, nil, "bob", ""},
		"a comment":                 {code, []string{"bob says /approve"}, true, nil, "bob", ""},
		"a comment with more":       {code, []string{"bob says /approve production \r\nlooks good"}, true, nil, "bob", ""},
		"other capitals":            {code, []string{"BOB says /approve"}, true, nil, "bob", ""},
		"the author":                {code, []string{"ada review APPROVED", "ada says /approve"}, true, nil, "", "nobody has approved who did not write it"},
		"who wrote a commit of it":  {code, []string{"eve says /approve"}, true, nil, "", "nobody has approved who did not write it"},
		"another environment":       {code, []string{"bob says /approve staging"}, true, nil, "", "nobody has approved who did not write it"},
		"a quoted command":          {code, []string{"bob says > /approve", "bob says Do not /approve"}, true, nil, "", "nobody has approved who did not write it"},
		"a bot":                     {code, []string{"renovate[bot] says /approve", "renovate[bot] review APPROVED"}, true, nil, "", "nobody has approved who did not write it"},
		"a stranger":                {code, []string{"mallory says /approve"}, true, nil, "", "no owner of main.go has approved who did not write it: @acme/payments"},
		"changed his mind":          {code, []string{"bob review APPROVED", "bob review CHANGES_REQUESTED"}, true, nil, "", "nobody has approved who did not write it"},
		"dismissed":                 {code, []string{"bob review APPROVED", "bob review DISMISSED"}, true, nil, "", "nobody has approved who did not write it"},
		"only a remark since":       {code, []string{"bob review APPROVED", "bob review COMMENTED"}, true, nil, "bob", ""},
		"one of two owners missing": {[]string{"main.go", "README.md"}, []string{"bob says /approve"}, true, nil, "", "no owner of README.md has approved who did not write it: @lin"},
		"both owners":               {[]string{"main.go", "README.md"}, []string{"bob review APPROVED", "lin says /approve"}, true, nil, "lin bob", ""},
		"owner who may not push":    {[]string{"infra/x.tf"}, []string{"root says /approve"}, true, nil, "", "no owner of infra/x.tf has approved who did not write it: @root @lin"},
		"a file without owner":      {[]string{"free/x"}, []string{"bob says /approve", "lin says /approve"}, true, nil, "", "free/x has no owner in CODEOWNERS, so nobody may approve its change"},
		"member of a team":          {code, []string{"rita says /approve"}, false, []string{"acme/nobody", "acme/release"}, "rita", ""},
		"not of this team":          {code, []string{"bob says /approve"}, false, []string{"acme/release"}, "", "nobody has approved who is a member of acme/release and did not write it"},
		"author, of the team":       {code, []string{"ada says /approve"}, false, []string{"acme/release"}, "", "nobody has approved who did not write it"},
		"team or owners, a team":    {code, []string{"rita says /approve"}, true, []string{"acme/release"}, "rita", ""},
		"team or owners, an owner":  {code, []string{"bob says /approve"}, true, []string{"acme/release"}, "bob", ""},
	} {
		a, err := approval(t, test.files, test.steps, test.owners, test.teams...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var by []string
		for _, one := range a.Approvers {
			by = append(by, strings.ToLower(one.Login))
			if one.URL == "" || one.At.IsZero() {
				t.Errorf("%s: %+v", name, one)
			}
		}
		if strings.Join(by, " ") != test.by || a.Missing != test.missing || a.Given() != (test.by != "") || a.Pull != 1 {
			t.Errorf("%s: by %q, missing %q, given %v; want by %q, missing %q", name, by, a.Missing, a.Given(), test.by, test.missing)
		}
	}
}

func TestApprovalsThatDoNotCount(t *testing.T) {
	t.Parallel()
	given := func(name string, p *place, r Rule, want bool) {
		t.Helper()
		a, err := p.client.Approval(t.Context(), r)
		if err != nil || a.Given() != want {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	p := at(t, readsApprovals)
	n := p.change("main.go")
	p.repo.Review(n, "bob", "APPROVED", "")
	p.repo.Commit("feature", githubfake.Commit{Message: "After the review", Author: "ada"})
	sha := p.repo.Merge(n)
	given("a review of less than was merged", p, p.rule(sha, true), false)

	p.tick()
	early := p.rule(sha, true)
	p.repo.Comment(n, "bob", "/approve")
	p.tick()
	given("a comment", p, early, true)
	given("a comment of before it was asked for", p, p.rule(sha, true), false)

	p = at(t, readsApprovals)
	n = p.change("main.go")
	sha = p.repo.Merge(n)
	r := p.rule(sha, true)
	p.tick()
	fine := p.repo.Comment(n, "bob", "looks fine")
	p.tick()
	p.repo.EditComment(fine, "/approve")
	given("an edited comment", p, r, false)

	p = at(t, readsApprovals)
	given("a commit without a pull request", p, p.rule(p.repo.Head("main"), true), false)

	p = at(t, readsApprovals)
	n = p.change("main.go")
	p.repo.Commit("feature", githubfake.Commit{Message: "By whom?", AuthorName: "bob's other address", AuthorEmail: "bob@home.example"})
	sha = p.repo.Merge(n)
	r = p.rule(sha, true)
	p.repo.Comment(n, "bob", "/approve")
	a, err := p.client.Approval(t.Context(), r)
	if err != nil || a.Given() || !strings.Contains(a.Missing, "GitHub does not know who wrote commit") {
		t.Errorf("an author whom GitHub does not know: %+v, %v", a, err)
	}
}

// Whoever wrote a commit together with its author wrote it, too. GitHub writes the trailers itself, such as when a suggestion is taken.
func TestACoAuthorDoesNotApprove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message string
		given   bool
	}{
		"nobody else":                  {"Change it", true},
		"by GitHub's own address":      {"Change it\n\nCo-authored-by: Bob <7+bob@users.noreply.github.com>", false},
		"by GitHub's older address":    {"Change it\n\nCo-Authored-By: Bob <Bob@users.noreply.github.com>\n", false},
		"of an Enterprise Server":      {"Change it\n\nco-authored-by: Bob <7+bob@users.noreply.git.acme.example>", false},
		"by the address of his others": {"Change it\n\nCo-authored-by: A program <program@example.com>\nCo-authored-by: Bob B. <bob@acme.example>\r\n", false},
		"somebody else":                {"Change it\n\nCo-authored-by: Carol <8+carol@users.noreply.github.com>", true},
		"a program without an account": {"Change it\n\nCo-authored-by: A program <program@example.com>", true},
		"more than anyone asks for":    {"Change it\n\n" + many(11, "Co-authored-by: P%d <p%[1]d@example.com>\n"), false},
		"only quoted":                  {"Change it\n\n> Co-authored-by: Bob <7+bob@users.noreply.github.com>", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := at(t, readsApprovals)
			p.repo.Commit("main", githubfake.Commit{Message: "Earlier", Author: "bob", AuthorEmail: "bob@acme.example"})
			n := p.change("main.go")
			p.repo.Commit("feature", githubfake.Commit{Message: c.message, Author: "ada"})
			r := p.rule(p.repo.Merge(n), true)
			p.repo.Comment(n, "bob", "/approve")
			a, err := p.client.Approval(t.Context(), r)
			if err != nil || a.Given() != c.given {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

func many(n int, format string) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

// What nobody has read is no "no": an approval may be behind more comments than are asked for.
func TestAnApprovalBehindTooManyCommentsIsNotKnown(t *testing.T) {
	t.Parallel()
	p := at(t, readsApprovals)
	n := p.change("main.go")
	r := p.rule(p.repo.Merge(n), true)
	for range 300 {
		p.repo.Comment(n, "mallory", "first!")
	}
	p.repo.Comment(n, "bob", "/approve")
	if a, err := p.client.Approval(t.Context(), r); fault.KindOf(err) != fault.Undetermined || a.Given() || !strings.Contains(fmt.Sprint(err), "more than 300 comments") {
		t.Errorf("%+v, %v", a, err)
	}
	p.repo.Review(n, "bob", "APPROVED", "") // which is enough, whatever the comments say
	if a, err := p.client.Approval(t.Context(), r); err != nil || !a.Given() {
		t.Errorf("%+v, %v", a, err)
	}
}

// GitHub answers 404 for a file that is not there, and to some tokens for every file.
func TestOwnersThatCannotBeSeenAreNotNone(t *testing.T) {
	t.Parallel()
	none := say(404, `{"message": "Not Found"}`)
	base := strings.Repeat("b", 40)
	pull := &gh.PullRequest{Number: gh.Int(7), Base: &gh.PullRequestBranch{SHA: &base}}
	client, _ := scripted(t, none, none, none, none)
	var denied *Denied
	if _, missing, err := client.byOwners(t.Context(), &members{c: client}, pull, nil); !errors.As(err, &denied) || denied.Feature != Owners {
		t.Errorf("missing %q, %v", missing, err)
	}
	client, _ = scripted(t, none, none, none, say(200, `{"sha": "`+base+`"}`))
	if _, missing, err := client.byOwners(t.Context(), &members{c: client}, pull, nil); err != nil || !strings.Contains(missing, "there is no CODEOWNERS") {
		t.Errorf("missing %q, %v", missing, err)
	}
}

// A pull request cannot make its own approvers.
func TestCodeownersAreThoseOfBefore(t *testing.T) {
	t.Parallel()
	p := at(t, readsApprovals)
	p.repo.Collaborator("mallory", "write")
	n := p.change(".github/CODEOWNERS")
	p.repo.Commit("feature", githubfake.Commit{Message: "Owners", Author: "ada", Files: map[string]string{".github/CODEOWNERS": "* @mallory\n"}})
	r := p.rule(p.repo.Merge(n), true)
	p.repo.Comment(n, "mallory", "/approve")
	a, err := p.client.Approval(t.Context(), r)
	if err != nil || a.Given() {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestApprovalsWithoutPermission(t *testing.T) {
	t.Parallel()
	for feature, has := range map[Feature]string{Approvals: "contents: read, members: read", Owners: "pull-requests: read, members: read", Teams: "pull-requests: read, contents: read"} {
		p := at(t, has)
		n := p.change("main.go")
		r := p.rule(p.repo.Merge(n), true)
		p.repo.Comment(n, "bob", "/approve")
		a, err := p.client.Approval(t.Context(), r)
		var denied *Denied
		if !errors.As(err, &denied) || denied.Feature != feature || a.Given() {
			t.Errorf("without %s: %+v, %v", feature.Scope, a, err)
		}
	}
}

func TestApprovalCutAnywhere(t *testing.T) {
	t.Parallel()
	var r Rule
	var got Approval
	everywhere(t, readsApprovals, func(p *place) {
		n := p.change("main.go", "README.md")
		p.repo.Review(n, "bob", "APPROVED", "")
		r = p.rule(p.repo.Merge(n), true)
		p.repo.Comment(n, "lin", "/approve")
	}, func(ctx context.Context, p *place) (err error) {
		got, err = p.client.Approval(ctx, r)
		if err != nil && got.Given() {
			t.Error("given in spite of an error")
		}
		return err
	}, func(t *testing.T, p *place) {
		if !got.Given() || len(got.Approvers) != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestRulesThatCannotBe(t *testing.T) {
	t.Parallel()
	p := at(t, readsApprovals)
	for _, r := range []Rule{{}, {Commit: p.repo.Head("main"), Since: noon}, {Commit: "main", Owners: true, Since: noon}, {Commit: p.repo.Head("main"), Owners: true}} {
		if a, err := p.client.Approval(t.Context(), r); fault.KindOf(err) != fault.BadInput || a.Given() {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
