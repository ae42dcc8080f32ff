package events

import (
	"encoding/json"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// The events of CDEvents' continuous deployment vocabulary that a delivery can be.
const (
	deployed   = "service.deployed"
	upgraded   = "service.upgraded"
	rolledBack = "service.rolledback"
)

// happening is what the delivery did to the service.
type happening struct {
	kind   string
	digest string // of what is live now
	time   time.Time
	rec    *record.Record
}

// decide reads from the record what happened. Its zero value is the answer when the version was live already, since an event
// tells of a change; a skip, when the delivery did not come to the point of deploying.
func decide(rec *record.Record) (happening, error) {
	if rec.Plan {
		return happening{}, fault.Skipf("a plan deploys nothing, so there is nothing to tell")
	}
	stage, ok := rec.Stage(record.StageDeploy)
	if !ok {
		return happening{}, fault.Skipf("nothing was deployed: the delivery has no deploy stage")
	}
	if len(stage.Evidence) == 0 && stage.Outcome != record.Passed {
		return happening{}, notDeployed(stage)
	}
	var ev record.Deploy
	if err := json.Unmarshal(stage.Evidence, &ev); err != nil {
		return happening{}, fault.Undeterminedf("the record does not say what was deployed: %w", err)
	}
	h := happening{rec: rec, time: stage.StartedAt.Add(time.Duration(stage.DurationMS) * time.Millisecond).UTC()}
	switch {
	case ev.Restored != nil:
		h.kind, h.digest = rolledBack, ev.Restored.Digest
	case stage.Outcome != record.Passed:
		return happening{}, notDeployed(stage)
	case !ev.Changed:
		return happening{}, nil
	case ev.Release == "":
		return happening{}, fault.Skipf("nothing is live after this delivery, so there is nothing to tell")
	default:
		h.kind, h.digest = deployed, ev.Digest
		if rec.Previous != nil || ev.Replaced != nil {
			h.kind = upgraded
		}
	}
	if h.digest == "" {
		return happening{}, fault.Undeterminedf("the record does not say which digest is live")
	}
	return h, nil
}

func notDeployed(stage record.Stage) error {
	return fault.Skipf("nothing was deployed: deploy is %s", stage.Outcome)
}
