package delivery

import (
	"encoding/json"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/target"
)

// Previous notes what was live before this delivery.
func (d *Delivery) Previous(p *record.Deployment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p != nil {
		d.Record.Previous = p
	}
}

// Restored notes in the evidence of deploy that its version is not live any more.
func (d *Delivery) Restored(back target.Restored) {
	d.mu.Lock()
	defer d.mu.Unlock()
	MarkRestored(d.Record, back)
}

// MarkRestored notes in a record that the version that was deployed is not live any more.
func MarkRestored(rec *record.Record, back target.Restored) {
	s, ok := rec.Stage(record.StageDeploy)
	var e record.Deploy
	if !ok || json.Unmarshal(s.Evidence, &e) != nil {
		return // without evidence of a deploy there is nothing to correct
	}
	if back.Digest != "" { // after a first delivery there is nothing to put back
		e.Restored = &record.Deployment{Digest: back.Digest, Commit: back.Commit}
	}
	e.Release, e.URL = back.Release, back.URL
	s.Evidence, _ = json.Marshal(e)
	rec.Put(s)
}
