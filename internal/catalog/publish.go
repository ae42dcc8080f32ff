package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

const (
	maxRivals  = 40 // pushes that lost to another publisher: each means that one delivery got through
	maxTrouble = 3  // attempts that failed for any other reason
)

// result is what was done to the catalogue.
type result struct {
	delivery int // 0 when there was none to log
	commit   string
	changed  bool
	changes  []string // what is, or in a plan would be, different
	diff     string   // of a plan
}

func (r result) summary(in Inputs) string {
	switch {
	case in.Plan && len(r.changes) > 0:
		return ", would write: " + strings.Join(r.changes, ", ")
	case !r.changed:
		return " · nothing changed"
	case r.delivery == 0:
		return ", no delivery to log"
	default:
		return fmt.Sprintf(", delivery %d", r.delivery)
	}
}

// publish makes the change on the newest tip and pushes it, again and again while others push in between. A push whose
// answer was lost is found by the next attempt, because the line it wrote is in the log.
func publish(ctx context.Context, r *repo, in Inputs, deps Deps) (result, error) {
	entry := newLine(in, deps.Now())
	rivals, trouble, tried := 0, 0, false
	for {
		deps.Progress("reading the catalogue " + r.remote.shown)
		done, err := attempt(ctx, r, in, entry, tried, deps)
		if err == nil {
			return done, nil
		}
		var classified *fault.Error
		var e *pushError
		switch {
		case ctx.Err() != nil:
			return result{}, context.Cause(ctx)
		case errors.As(err, &classified):
			return result{}, err
		case errors.As(err, &e) && e.lost():
			rivals++
		default:
			trouble++
		}
		tried = tried || e != nil
		if rivals > maxRivals || trouble >= maxTrouble {
			return result{}, giveUp(r, err, rivals)
		}
		deps.Progress(fmt.Sprintf("the catalogue changed or did not answer, attempt %d", rivals+trouble+1))
		if err := deps.Sleep(ctx, pause(rivals+trouble, rand.Float64())); err != nil { // #nosec G404 -- jitter, not a secret
			return result{}, err
		}
	}
}

// attempt is one round: fetch, change, push.
func attempt(ctx context.Context, r *repo, in Inputs, entry catalogfile.Line, tried bool, deps Deps) (result, error) {
	tip, err := r.fetch(ctx)
	if err != nil {
		return result{}, err
	}
	change, err := derive(ctx, r, tip, in, entry)
	if err != nil {
		return result{}, err
	}
	done := result{delivery: change.delivery, commit: tip, changes: change.what, changed: tried && change.ours}
	if len(change.files) == 0 {
		return done, nil
	}
	commit, err := r.commit(ctx, tip, change.files, change.message)
	if err != nil {
		return result{}, err
	}
	if in.Plan {
		done.diff, err = r.git(ctx, nil, "diff-tree", "-p", "--root", "--no-commit-id", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv", commit)
		return done, err
	}
	deps.Progress("pushing to the catalogue " + r.remote.shown)
	if out, err := r.push(ctx, commit); err != nil {
		return result{}, &pushError{said: out, err: err}
	}
	done.commit, done.changed = commit, true
	return done, nil
}

// pushError is a push that git reports as failed.
type pushError struct {
	said string // on standard output, one line a branch
	err  error
}

func (e *pushError) Error() string {
	for line := range strings.SplitSeq(e.said, "\n") {
		if rest, ok := strings.CutPrefix(line, "!\t"); ok {
			return e.err.Error() + "\n" + rest
		}
	}
	return e.err.Error()
}

func (e *pushError) Unwrap() error { return e.err }

// conflicts are git's words for a branch that moved between our fetch and our push: as the client sees it, and as the
// server does when two pushes meet.
var conflicts = []string{"[rejected]", "cannot lock ref", "failed to lock", "incorrect old value", "failed to update ref",
	"reference already exists", "remote ref updated since checkout", "Unable to create '"}

func (e *pushError) lost() bool {
	text := e.said
	var p *proc.Error
	if errors.As(e.err, &p) {
		text += p.Stderr
	}
	return slices.ContainsFunc(conflicts, func(c string) bool { return strings.Contains(text, c) })
}

func giveUp(r *repo, err error, rivals int) error {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	if rivals > maxRivals {
		return fault.Undeterminedf("the catalogue %s was changed by others %d times while this delivery was pushed", r.remote.shown, rivals).
			WithDetail(first).WithNext("Run the catalog stage again: it converges.")
	}
	what := "cannot be reached"
	var e *pushError
	if errors.As(err, &e) {
		what = "does not take the delivery"
	}
	f := fault.Undeterminedf("the catalogue %s %s", r.remote.shown, what)
	f.Err = err
	f.Detail = append(f.Detail, first)
	for line := range strings.SplitSeq(rest, "\n") {
		if strings.TrimSpace(line) != "" {
			f.Detail = append(f.Detail, line)
		}
	}
	return f.WithNext("Check the URL in the input catalog and that its credentials may push to "+strings.TrimPrefix(r.ref, "refs/heads/")+".",
		"Then run the catalog stage again: it converges.")
}
