package announce

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/record"
)

// named is how many pull requests, people or commits a sentence names.
const named = 10

// history is what lies between what is live and what is delivered, and that in sentences. No verdict depends on it, so what
// could not be found out is a sentence, too.
func (a *Announcer) history(ctx context.Context, c *github.Client, rec *record.Record) (*record.Changes, []string) {
	live, err := a.live(ctx, c, rec)
	head := rec.Source.Commit
	if a.PullRequest != 0 && rec.Plan {
		head = a.Commit // not the test merge, which is gone when another commit is pushed
	}
	if err == nil && (len(live) != 40 || live == head) {
		return nil, nil
	}
	var between github.Changes
	if err == nil {
		between, err = c.Changes(ctx, live, head)
	}
	if err == nil {
		_ = a.without(between.NoPulls) // then commits have no pull requests
		changes := changesOf(live, between)
		return changes, sentences(rec, changes, between)
	}
	if denied(err) {
		_ = a.without(err)
		return nil, nil
	}
	return nil, []string{"What lies between what is live and this could not be determined: " + fault.Lines(err)[0]}
}

// live is the commit that runs before this delivery, or while a plan is made; empty where nothing does.
func (a *Announcer) live(ctx context.Context, c *github.Client, rec *record.Record) (string, error) {
	if rec.Previous != nil {
		return rec.Previous.Commit, nil
	}
	if plan, err := record.EvidenceOf[record.Plan](rec, record.StagePlan); err == nil && plan.Live != nil {
		return plan.Live.Commit, nil
	}
	if !rec.Plan {
		return "", nil
	}
	live, err := c.LiveDeployment(ctx, Environment(rec), rec.Service.Name)
	if err != nil || live == nil {
		return "", err
	}
	return live.Commit, nil
}

func changesOf(live string, between github.Changes) *record.Changes {
	r := &record.Changes{Since: live, Commits: between.Ahead, Undone: between.Behind}
	for _, commit := range between.Commits {
		if commit.Pull != 0 && !slices.Contains(r.PullRequests, commit.Pull) {
			r.PullRequests = append(r.PullRequests, commit.Pull)
		}
		if !slices.Contains(r.Authors, commit.Author) {
			r.Authors = append(r.Authors, commit.Author)
		}
		r.Reverts = append(r.Reverts, commit.Reverts...)
	}
	return r
}

func sentences(rec *record.Record, r *record.Changes, between github.Changes) (list []string) {
	if r.Commits > 0 {
		line := fmt.Sprintf("%s since what is live, by %s", plural(r.Commits, "commit"), some(r.Authors))
		if len(r.PullRequests) > 0 {
			var numbers []string
			for _, n := range r.PullRequests {
				numbers = append(numbers, fmt.Sprintf("#%d", n))
			}
			line += ": " + some(numbers)
		}
		list = append(list, line+".")
	}
	if len(r.Reverts) > 0 {
		list = append(list, "It takes back "+some(r.Reverts)+".")
	}
	if r.Undone > 0 && !warned(rec) {
		var gone []string
		for _, commit := range between.Undone {
			gone = append(gone, commit.SHA[:min(7, len(commit.SHA))]+" "+commit.Title)
		}
		what := "1 commit that is live is"
		if r.Undone > 1 {
			what = fmt.Sprintf("%d commits that are live are", r.Undone)
		}
		list = append(list, what+" not in this: "+some(gone)+".")
	}
	return list
}

// warned tells whether the guard said already what would be undone.
func warned(rec *record.Record) bool {
	if plan, err := record.EvidenceOf[record.Plan](rec, record.StagePlan); err == nil && undoes(plan.Guards) {
		return true
	}
	e, _ := deployed(rec)
	return undoes(e.Guards)
}

func undoes(guards []record.Guard) bool {
	return slices.ContainsFunc(guards, func(g record.Guard) bool { return g.Guard == guard.GuardUndo && g.Answer != guard.Clear })
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// some lists what there is, or the first of it and how many more.
func some(list []string) string {
	if more := len(list) - named; more > 0 {
		return strings.Join(list[:named], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(list, ", ")
}
