package gitrepo

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
)

// Dated is a commit and its committer's date.
type Dated struct {
	ID   string
	Time time.Time
}

// Between lists the commits that HEAD has and an earlier one has not, the newest first and at most the given number, and how many
// there are besides. Below the root only those count that changed something in the service's folder. It is not known where the
// clone does not have that commit, or not all that lies between.
func (r *Repo) Between(ctx context.Context, earlier string, limit int) (list []Dated, more int, known bool, err error) {
	if !hashForm.MatchString(earlier) || r.Shallow {
		return nil, 0, false, nil
	}
	if has, err := r.Has(ctx, earlier); err != nil || !has {
		return nil, 0, false, err
	}
	args := []string{"log", "--no-show-signature", "--format=%H %ct", earlier + ".." + r.Commit}
	if r.Path != "" {
		args = append(args, "--", r.Path)
	}
	list, err = r.dated(ctx, args...)
	if err != nil {
		return nil, 0, false, fault.Undeterminedf("git cannot list the commits since %.7s: %w", earlier, err)
	}
	more = max(len(list)-limit, 0)
	return list[:len(list)-more], more, true, nil
}

// Added gives when the commit was made that first brought a file; zero where the clone does not have it.
func (r *Repo) Added(ctx context.Context, path string) (time.Time, error) {
	if r.Shallow {
		return time.Time{}, nil
	}
	list, err := r.dated(ctx, "log", "--no-show-signature", "--diff-filter=A", "--format=%H %ct", r.Commit, "--", path)
	if err != nil {
		return time.Time{}, fault.Undeterminedf("git cannot tell when %s came: %w", path, err)
	}
	if len(list) == 0 {
		return time.Time{}, nil
	}
	return list[len(list)-1].Time, nil
}

func (r *Repo) dated(ctx context.Context, args ...string) ([]Dated, error) {
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, err
	}
	var list []Dated
	for line := range strings.Lines(string(out)) {
		id, date, _ := strings.Cut(strings.TrimSpace(line), " ")
		seconds, err := strconv.ParseInt(date, 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, Dated{id, time.Unix(seconds, 0).UTC()})
	}
	return list, nil
}
