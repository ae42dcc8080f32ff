package catalog

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// newLine is what the log says of the record. The catalog stage itself is not in it, as it is not over yet.
func newLine(in Inputs, now time.Time) catalogfile.Line {
	rec := in.Record
	stages, back := stagesOf(rec)
	l := catalogfile.Line{Schema: catalogfile.LineSchema, ID: rec.ID, Time: now.UTC().Truncate(time.Millisecond), Service: in.Service.Name,
		Owner: in.Service.Owner, Repository: rec.Source.Repository, Path: rec.Source.Path, Commit: rec.Source.Commit,
		Image: rec.Artifact.Image, Digest: rec.Artifact.Digest, Environment: rec.Environment, Previous: rec.Previous,
		Outcome: record.Worst(stages), Stages: []catalogfile.Stage{}}
	for _, s := range stages {
		l.Stages = append(l.Stages, catalogfile.Stage{Name: s.Name, Outcome: s.Outcome, DurationMS: s.DurationMS})
		var deploy record.Deploy
		if s.Name == record.StageDeploy && s.Outcome != record.Skipped {
			if json.Unmarshal(s.Evidence, &deploy) == nil {
				l.RolledBack = deploy.Restored != nil
			}
			l.Changed = &deploy.Changed
		}
	}
	if sign, err := record.EvidenceOf[record.Sign](rec, record.StageSign); err == nil {
		l.Signer, l.Evidence = sign.Signer, sign.Predicates
	}
	l.Suite, l.Brings, l.CI = in.Suite, in.Brings, in.CI
	if l.Previous == nil && !in.Adopted.IsZero() {
		adopted := in.Adopted.UTC()
		l.Adopted = &adopted
	}
	if cost, err := record.EvidenceOf[record.Cost](rec, record.StageCost); err == nil {
		l.Cost = &catalogfile.Cost{Currency: cost.Currency, Min: cost.Min, Max: cost.Max, Prices: cost.Prices}
	}
	if back != nil {
		returned(&l, *back)
	}
	if rec.Run.ID != "" {
		l.Run = &catalogfile.CIRun{ID: rec.Run.ID, Attempt: rec.Run.Attempt, URL: rec.Run.URL}
	}
	return l
}

// stagesOf are the stages that the line is about. A record may have both a delivery and what took it back by hand, and each has
// a line of its own: what began with a rollback is that one's, told by its evidence, and a deploy after it is a delivery again.
func stagesOf(rec *record.Record) ([]record.Stage, *record.Rollback) {
	s, ok := rec.Stage(record.StageRollback)
	deployed, both := rec.Stage(record.StageDeploy)
	var back *record.Rollback
	if ok && (!both || !s.StartedAt.Before(deployed.StartedAt)) {
		back = &record.Rollback{}
		_ = json.Unmarshal(s.Evidence, back) // one that failed may have none
	}
	return slices.DeleteFunc(slices.Clone(rec.Stages), func(o record.Stage) bool {
		return o.Name == record.StageCatalog || back != nil && o.StartedAt.Before(s.StartedAt) || back == nil && o.Name == record.StageRollback
	}), back
}

// returned makes the line of a rollback by hand name what is live after it. It may be of the same run as the delivery that it
// takes back, so it has an identifier of its own.
func returned(l *catalogfile.Line, back record.Rollback) {
	l.Image, l.Digest, l.Previous = "", "", back.From
	l.Brings, l.Signer, l.Evidence, l.Changed, l.Adopted, l.Cost = nil, "", nil, nil, nil, nil // of the delivery that it takes back
	if back.To != nil {
		l.Commit, l.Digest = back.To.Commit, back.To.Digest
	}
	l.ID += "-rollback"
	if back.Release != "" {
		l.ID += "-" + back.Release
	}
}

// appendTo gives the log with the line at its end.
func appendTo(log []byte, l catalogfile.Line) []byte {
	var b bytes.Buffer
	b.Write(log)
	if len(log) > 0 && !bytes.HasSuffix(log, []byte("\n")) {
		b.WriteByte('\n')
	}
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(l) // a line is made of texts and numbers, and a buffer takes all
	return b.Bytes()
}

// history is all deliveries of a service to an environment, oldest first.
type history struct{ lines []catalogfile.Line }

func parseLog(files map[string][]byte, folder string) (history, error) {
	var h history
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if base, ok := strings.CutPrefix(path, folder); !ok || !catalogfile.IsLog(base) {
			continue
		}
		err := catalogfile.Lines(bytes.NewReader(files[path]), func(l *catalogfile.Line) error {
			h.lines = append(h.lines, *l)
			return nil
		})
		if err != nil {
			return h, unreadable(path, err)
		}
	}
	return h, nil
}

// find gives the number of the delivery and whether it is logged already; ours when by this very run. A run's record has
// a key of its own, so it is looked for in the whole log, and is another delivery only where the same run went back since, or forth
// again. Without a run the key only says what was delivered, which may well be delivered again after something else, so only
// the latest delivery counts.
func (h history) find(l catalogfile.Line) (number int, known, ours bool) {
	last := 0
	for _, old := range h.lines {
		last = max(last, old.Delivery)
		switch {
		case old.ID == l.ID && old.Outcome == l.Outcome && (l.Run != nil || old.Time.Equal(l.Time)):
			number, known, ours = old.Delivery, true, old.Time.Equal(l.Time)
		case old.ID != l.ID && recordOf(old) == recordOf(l) && old.Outcome == record.Passed:
			known, ours = false, false
		}
	}
	if known {
		return number, known, ours
	}
	if n := len(h.lines); n > 0 {
		latest := h.lines[n-1]
		again := l.Run != nil && l.Changed != nil && *l.Changed // another run changed something, such as the size that a policy gives
		if !again && latest.Outcome == record.Passed && l.Outcome == record.Passed && latest.Commit == l.Commit && latest.Digest == l.Digest {
			return latest.Delivery, true, false
		}
	}
	return last + 1, false, false
}

// recordOf is the key of the record that a line is from; that of a rollback by hand has something behind it.
func recordOf(l catalogfile.Line) string {
	key, _, _ := strings.Cut(l.ID, "-")
	return key
}
