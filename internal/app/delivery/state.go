package delivery

import (
	"github.com/org/idp/internal/fault"
)

// What an action leaves in the state of its step for the part that runs after the job.
const (
	StateBegun    = "begun"    // "true" as soon as there was a step at all
	StateRecord   = "record"   // file of the delivery record, once it is of this delivery
	StateLocal    = "local"    // state folder of the local target; not set for another target
	StateBefore   = "before"   // release that ran there before
	StateStop     = "stop"     // "true" when what runs there is to end with the job
	stateGitHub   = "github"   // what was begun on GitHub, as JSON
	StateCluster  = "cluster"  // where in a cluster it deploys, and as who; not set for another target
	StateFinished = "finished" // "true" when the action came to its own end, whatever that was
)

// Remember keeps a value for post. Only actions with a post have a use for it.
func (d *Delivery) Remember(a Action, name, value string) error {
	if !a.Post {
		return nil
	}
	if err := d.Runner.SaveState(name, value); err != nil {
		return fault.Undeterminedf("the runner's files cannot be written: %w", err)
	}
	return nil
}
