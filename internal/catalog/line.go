package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/record"
)

const lineSchema = "idp.delivery-line/v1"

// line is one delivery in the log.
type line struct {
	Schema      string             `json:"schema"`
	ID          string             `json:"id"`       // the record's
	Delivery    int                `json:"delivery"` // number in this environment, from 1
	Time        time.Time          `json:"time"`     // when it was logged, UTC
	Service     string             `json:"service"`
	Owner       string             `json:"owner"`
	Repository  string             `json:"repository"`
	Path        string             `json:"path,omitempty"`
	Commit      string             `json:"commit"`
	Image       string             `json:"image,omitempty"`
	Digest      string             `json:"digest"` // empty when it failed before there was an image
	Environment string             `json:"environment"`
	Previous    *record.Deployment `json:"previous,omitempty"`
	Outcome     record.Outcome     `json:"outcome"`
	RolledBack  bool               `json:"rolledBack"`
	Stages      []lineStage        `json:"stages"`
	Cost        *lineCost          `json:"cost,omitempty"`
	Run         *lineRun           `json:"run,omitempty"`
}

type lineStage struct {
	Name       string         `json:"name"`
	Outcome    record.Outcome `json:"outcome"`
	DurationMS int64          `json:"durationMs"`
}

// lineCost is the estimate of a month.
type lineCost struct {
	Currency string  `json:"currency"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
}

type lineRun struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt,omitempty"`
	URL     string `json:"url,omitempty"`
}

// newLine is what the log says of the record. The catalog stage itself is not in it, as it is not over yet.
func newLine(in Inputs, now time.Time) line {
	rec := in.Record
	stages := slices.DeleteFunc(slices.Clone(rec.Stages), func(s record.Stage) bool { return s.Name == record.StageCatalog })
	l := line{Schema: lineSchema, ID: rec.ID, Time: now.UTC().Truncate(time.Millisecond), Service: in.Service.Name,
		Owner: in.Service.Owner, Repository: rec.Source.Repository, Path: rec.Source.Path, Commit: rec.Source.Commit,
		Image: rec.Artifact.Image, Digest: rec.Artifact.Digest, Environment: rec.Environment, Previous: rec.Previous,
		Outcome: record.Worst(stages), Stages: []lineStage{}}
	for _, s := range stages {
		l.Stages = append(l.Stages, lineStage{Name: s.Name, Outcome: s.Outcome, DurationMS: s.DurationMS})
		var deploy record.Deploy
		if s.Name == record.StageDeploy && json.Unmarshal(s.Evidence, &deploy) == nil {
			l.RolledBack = deploy.Restored != nil
		}
	}
	if s, ok := rec.Stage(record.StageRollback); ok {
		var back record.Rollback // of one that failed, too
		deployed, both := rec.Stage(record.StageDeploy)
		if json.Unmarshal(s.Evidence, &back) == nil && (!both || !s.StartedAt.Before(deployed.StartedAt)) {
			l.returned(back)
		}
	}
	if cost, err := record.EvidenceOf[record.Cost](rec, record.StageCost); err == nil {
		l.Cost = &lineCost{Currency: cost.Currency, Min: cost.Min, Max: cost.Max}
	}
	if rec.Run.ID != "" {
		l.Run = &lineRun{ID: rec.Run.ID, Attempt: rec.Run.Attempt, URL: rec.Run.URL}
	}
	return l
}

// returned makes the line of a rollback by hand name what is live after it. It may be of the same run as the delivery that it
// takes back, so it has an identifier of its own.
func (l *line) returned(back record.Rollback) {
	l.Image, l.Digest, l.Previous = "", "", back.From
	if back.To != nil {
		l.Commit, l.Digest = back.To.Commit, back.To.Digest
	}
	l.ID += "-rollback"
	if back.Release != "" {
		l.ID += "-" + back.Release
	}
}

// appendTo gives the log with the line at its end.
func (l line) appendTo(log []byte) []byte {
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
type history struct{ lines []line }

var month = regexp.MustCompile(`^\d{4}-\d\d\.jsonl$`)

func parseLog(files map[string][]byte, folder string) (history, error) {
	var h history
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if base, ok := strings.CutPrefix(path, folder); !ok || !month.MatchString(base) {
			continue
		}
		n := 0
		for text := range bytes.Lines(files[path]) {
			n++
			if len(bytes.TrimSpace(text)) == 0 {
				continue
			}
			var l line
			if err := json.Unmarshal(text, &l); err != nil {
				return h, unreadable(path, fmt.Errorf("line %d: %w", n, err))
			}
			if l.Schema != lineSchema {
				return h, unreadable(path, fmt.Errorf("line %d has schema %q, this program reads %q", n, l.Schema, lineSchema))
			}
			h.lines = append(h.lines, l)
		}
	}
	return h, nil
}

// find gives the number of the delivery and whether it is logged already; ours when by this very run. A run's record has
// a key of its own, so it is looked for in the whole log. Without a run the key only says what was delivered, which may
// well be delivered again after something else, so only the latest delivery counts.
func (h history) find(l line) (number int, known, ours bool) {
	for _, old := range h.lines {
		number = max(number, old.Delivery)
		if old.ID == l.ID && old.Outcome == l.Outcome && (l.Run != nil || old.Time.Equal(l.Time)) {
			return old.Delivery, true, old.Time.Equal(l.Time)
		}
	}
	if n := len(h.lines); n > 0 {
		last := h.lines[n-1]
		if last.Outcome == record.Passed && l.Outcome == record.Passed && last.Commit == l.Commit && last.Digest == l.Digest {
			return last.Delivery, true, false
		}
	}
	return number + 1, false, false
}
