package catalogfile

import "github.com/org/idp/internal/record"

// Effect is what a delivery did to its environment.
type Effect int

// The effects.
const (
	Nothing  Effect = iota // nothing was changed: a gate stopped it, or what was to put an older version back did not work
	Kept                   // the version was live already
	CameLive               // the new version is live
	Broke                  // the change failed and, or, was taken back
	WentBack               // somebody went back by hand
)

// Effect looks at the deployment alone: what failed after it, such as writing to a portal, does not make it a failure of the
// service.
func (l *Line) Effect() Effect {
	if s, ok := l.Find(record.StageRollback); ok && s.Outcome != record.Skipped {
		// Other stages in its line, which older versions logged, are of the delivery that it takes back.
		if s.Outcome == record.Passed {
			return WentBack
		}
		return Nothing
	}
	s, ok := l.Find(record.StageDeploy)
	if !ok || s.Outcome == record.Skipped {
		return Nothing
	}
	smoke, smoked := l.Find(record.StageSmoke)
	bad := smoked && (smoke.Outcome == record.Failed || smoke.Outcome == record.Error)
	switch {
	case l.RolledBack:
		return Broke
	case s.Outcome != record.Passed && l.Changed != nil && *l.Changed:
		return Broke
	case s.Outcome != record.Passed:
		return Nothing // older lines do not say; without a rollback nothing tells that anything was changed
	case l.Changed != nil && !*l.Changed && !bad:
		return Kept
	case bad:
		return Broke
	}
	return CameLive
}
