package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// detail makes the rows of the line's estimate, and notes in the line which they are. A delivery that is not live costs nothing.
func detail(in Inputs, l *catalogfile.Line) ([]byte, error) {
	_, back := in.Record.Stage(record.StageRollback) // to a version that this record has no estimate of
	if back || in.Costs == nil || l.Cost == nil || l.Outcome != record.Passed || !loggable(*l) {
		return nil, nil
	}
	rows, err := in.Costs(l.Time)
	if err == nil {
		l.Cost.Detail = digest(rows)
	}
	return rows, err
}

func digest(text []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(text)) }

// costs writes the rows of a new delivery, unless those of the one before in the same month were the same: then nothing of the
// folder, which has the names of all services, is fetched or sent.
func (c *change) costs(ctx context.Context, v view, past []catalogfile.Line) error {
	if v.rows == nil {
		return nil
	}
	month := v.entry.Time.Format("2006-01")
	for _, l := range slices.Backward(past) {
		if l.Cost != nil && l.Cost.Detail != "" && l.Time.UTC().Format("2006-01") == month {
			if l.Cost.Detail == v.entry.Cost.Detail {
				return nil
			}
			break
		}
	}
	file := catalogfile.CostsIn + "/" + v.in.Service.Name + "/" + v.entry.Environment + "/" + month + ".csv"
	old, err := v.tip.Read(ctx, file)
	if err == nil && !bytes.Equal(old[file], v.rows) {
		c.put(file, v.rows, file)
	}
	return err
}
