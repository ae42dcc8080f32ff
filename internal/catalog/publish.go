package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/org/idp/internal/gitstore"
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

// publish brings the catalogue up to date, on whatever its newest state is then. A push whose answer was lost is found by the
// next round, because the line that it wrote is in the log.
func publish(ctx context.Context, s *gitstore.Store, in Inputs, deps Deps) (result, error) {
	line := newLine(in, deps.Now())
	rows, err := detail(in, &line)
	if err != nil {
		return result{}, err
	}
	var last change
	ours := false // the log has the line because an earlier round put it there
	derived := func(ctx context.Context, tip *gitstore.Tip) (gitstore.Change, error) {
		var err error
		last, err = derive(ctx, tip, in, line, rows)
		ours = tip.Sent && last.ours
		var path *gitstore.PathError
		if errors.As(err, &path) {
			err = unreadable(path.Path, path.Err)
		}
		return gitstore.Change{Files: last.files, Message: last.message}, err
	}
	var done result
	if in.Plan {
		done.commit, done.diff, err = s.Plan(ctx, derived)
	} else {
		done.commit, done.changed, err = s.Publish(ctx, derived)
		done.changed = done.changed || ours
	}
	done.delivery, done.changes = last.delivery, last.what
	return done, err
}
