package gitstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
)

// How often a round is made again.
const (
	maxRivals   = 200 // pushes lost to another publisher: each means that one delivery got through
	maxStumbles = 8   // accidents of the server or the network, in a row
	maxTrouble  = 3   // anything else: asking again does not change a refusal
)

// Derive says what is to be written over a tip. In a round after one whose push may have been taken, what it wrote is there.
type Derive func(ctx context.Context, tip *Tip) (Change, error)

// Publish makes the change on the newest tip and pushes it, again and again while others push in between. It gives the tip of
// the branch after that, and whether that is its own commit; it is not when there was nothing to write.
func (s *Store) Publish(ctx context.Context, derive Derive) (commit string, pushed bool, err error) {
	sent := false
	err = s.retry(ctx, func() error {
		tip, change, err := s.derive(ctx, sent, derive)
		if err != nil {
			return err
		}
		if commit, pushed = tip.Commit, false; len(change.Files) == 0 {
			return nil
		}
		if commit, err = s.commit(tip, change); err != nil {
			return err
		}
		s.o.Progress("pushing to the catalogue " + s.o.Remote.Shown)
		sent, pushed = true, true
		return s.push(ctx, commit)
	})
	return commit, pushed && err == nil, err
}

// Plan gives the difference that Publish would make, as git shows it, and the tip that it would be made on.
func (s *Store) Plan(ctx context.Context, derive Derive) (commit, diff string, err error) {
	err = s.retry(ctx, func() error {
		tip, change, err := s.derive(ctx, false, derive)
		if commit, diff = tip.Commit, ""; err != nil || len(change.Files) == 0 {
			return err
		}
		made, err := s.commit(tip, change)
		if err != nil {
			return err
		}
		diff, err = s.git(ctx, nil, "diff-tree", "-p", "--root", "--no-commit-id", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv", made)
		return err
	})
	return commit, diff, err
}

func (s *Store) derive(ctx context.Context, sent bool, derive Derive) (*Tip, Change, error) {
	s.o.Progress("reading the catalogue " + s.o.Remote.Shown)
	tip, err := s.fetch(ctx)
	if err != nil {
		return &Tip{}, Change{}, err
	}
	tip.Sent = sent
	change, err := derive(ctx, tip)
	return tip, change, err
}

// retry makes rounds until one passes, or it makes no sense any more. What derive has classified is final.
func (s *Store) retry(ctx context.Context, round func() error) error {
	var t tries
	for {
		begun := s.o.Now()
		err := round()
		if err == nil {
			return nil
		}
		var classified *fault.Error
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &classified):
			return err
		}
		if t.over(err) {
			return s.giveUp(err, t.rivals)
		}
		s.o.Progress(fmt.Sprintf("the catalogue changed or did not answer, attempt %d", t.all+1))
		if err := s.o.Sleep(ctx, t.pause(s.o.Now().Sub(begun), rand.Float64())); err != nil { // #nosec G404 -- jitter, not a secret
			return err
		}
	}
}

// tries counts rounds that did not pass.
type tries struct{ all, rivals, stumbles, trouble int }

// over counts one more and tells whether it was the last.
func (t *tries) over(err error) bool {
	t.all++
	switch {
	case said(err, conflicts):
		t.rivals++
		t.stumbles = 0
	case said(err, stumbles):
		t.stumbles++
	default:
		t.trouble++
	}
	return t.rivals > maxRivals || t.stumbles >= maxStumbles || t.trouble >= maxTrouble
}

// pause is how long to wait before the next round: two thirds of it left to chance, so that rivals part. It is counted in rounds, each
// of which took so long on this server, and doubles up to sixteen of them, so that those of fifty rivals have room beside each
// other. With more, fifty took longer for waiting when nobody was left; with less, for pushes that were lost.
func (t *tries) pause(took time.Duration, chance float64) time.Duration {
	step := min(max(took, 50*time.Millisecond), 2*time.Second) << min(t.all-1, 4)
	return time.Duration(float64(step) * (0.5 + chance) / 2)
}

func (s *Store) giveUp(err error, rivals int) error {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	if rivals > maxRivals {
		return fault.Undeterminedf("the catalogue %s was changed by others %d times while this delivery was pushed", s.o.Remote.Shown, rivals).
			WithDetail(first).WithNext("Run the catalog stage again: it converges.")
	}
	what := "cannot be reached"
	var e *pushError
	if errors.As(err, &e) {
		what = "does not take the delivery"
	}
	f := fault.Undeterminedf("the catalogue %s %s", s.o.Remote.Shown, what)
	f.Err = err
	f.Detail = append(f.Detail, first)
	for line := range strings.SplitSeq(rest, "\n") {
		if strings.TrimSpace(line) != "" {
			f.Detail = append(f.Detail, line)
		}
	}
	return f.WithNext("Check the URL in the input catalog and that its credentials may push to "+s.o.Branch+".",
		"Then run the catalog stage again: it converges.")
}
