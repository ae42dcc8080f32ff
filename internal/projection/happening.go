package projection

import (
	"encoding/json"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// What a delivery can do to a service, in the words of CDEvents.
const (
	First      = "deployed"
	Upgraded   = "upgraded"
	RolledBack = "rolledback"
)

// Happening is what a delivery did to the service.
type Happening struct {
	Kind           string
	Digest, Commit string // of what is live now; a commit may not be known
	Began, Time    time.Time
	Record         *record.Record
}

// ID is the same whenever the same delivery is told of, so that a receiver recognises it.
func (h Happening) ID() string { return h.Record.ID + "-" + h.Kind }

// Happened reads from the record what happened. Its zero value is the answer when the version was live already, since one
// tells of a change; a skip, when the delivery did not come to the point of deploying.
func Happened(rec *record.Record) (Happening, error) {
	if rec.Plan {
		return Happening{}, fault.Skipf("a plan deploys nothing, so there is nothing to tell")
	}
	stage, ok := rec.Stage(record.StageDeploy)
	if back, gone := rec.Stage(record.StageRollback); gone && back.Outcome == record.Passed && (!ok || !back.StartedAt.Before(stage.StartedAt)) {
		return wentBack(rec, back)
	}
	if !ok {
		return Happening{}, fault.Skipf("nothing was deployed: the delivery has no deploy stage")
	}
	if len(stage.Evidence) == 0 && stage.Outcome != record.Passed {
		return Happening{}, notDeployed(stage)
	}
	var ev record.Deploy
	if err := json.Unmarshal(stage.Evidence, &ev); err != nil {
		return Happening{}, fault.Undeterminedf("the record does not say what was deployed: %w", err)
	}
	h := during(rec, stage)
	switch {
	case ev.Restored != nil:
		h.Kind, h.Digest, h.Commit = RolledBack, ev.Restored.Digest, ev.Restored.Commit
	case stage.Outcome != record.Passed:
		return Happening{}, notDeployed(stage)
	case !ev.Changed:
		return Happening{}, nil
	case ev.Release == "":
		return Happening{}, fault.Skipf("nothing is live after this delivery, so there is nothing to tell")
	default:
		h.Kind, h.Digest, h.Commit = First, ev.Digest, rec.Source.Commit
		if rec.Previous != nil || ev.Replaced != nil {
			h.Kind = Upgraded
		}
	}
	if h.Digest == "" {
		return Happening{}, fault.Undeterminedf("the record does not say which digest is live")
	}
	return h, nil
}

// wentBack is a rollback by hand, which in the record of a delivery came after it.
func wentBack(rec *record.Record, stage record.Stage) (Happening, error) {
	h := during(rec, stage)
	var ev record.Rollback
	if err := json.Unmarshal(stage.Evidence, &ev); err != nil || ev.To == nil || ev.To.Digest == "" {
		return Happening{}, fault.Undeterminedf("the record does not say which digest is live")
	}
	h.Kind, h.Digest, h.Commit = RolledBack, ev.To.Digest, ev.To.Commit
	return h, nil
}

func during(rec *record.Record, stage record.Stage) Happening {
	began := stage.StartedAt.UTC()
	return Happening{Record: rec, Began: began, Time: began.Add(time.Duration(stage.DurationMS) * time.Millisecond)}
}

func notDeployed(stage record.Stage) error {
	return fault.Skipf("nothing was deployed: deploy is %s", stage.Outcome)
}

// title is the happening in a line for people, such as checkout 4f1c2ab upgraded in staging.
func (h Happening) title(e Entry) string {
	version := record.ShortDigest(h.Digest)
	if len(h.Commit) >= 7 {
		version = h.Commit[:7]
	}
	return e.Name + " " + version + " " + h.Kind + " in " + h.Record.Environment
}
