// Package target has what every place that a service is deployed to takes and gives.
package target

import (
	"context"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/record"
)

// Guard is asked once nobody else can deploy, with what is live then; nil where nothing is. Nothing is changed unless it
// returns nil.
type Guard func(ctx context.Context, live *record.Deployment) error

// Outputs is what a deploy came to.
type Outputs = action.Result[record.Deploy]

// Restored is what a rollback came to.
type Restored struct {
	Summary string // such as "back on 77aa…03 (healthy)" or "nothing is live"
	Release string // that is live now; empty: none
	URL     string
	Image   string // IMAGE@DIGEST; empty where it is not known
	Digest  string
	Commit  string
	Detail  []string // what the release that failed wrote last
}

// Release is one line of a target's history.
type Release struct {
	Name   string
	State  string // pending, live, good, failed, superseded or rolled-back
	Digest string
	Commit string
	When   time.Time
	Who    string // the run's URL, or a person; empty where it is not known
	Why    string // why it failed; empty for others
}
