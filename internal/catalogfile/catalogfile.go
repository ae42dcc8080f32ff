// Package catalogfile has the forms of the files that deliveries write into a catalogue and that people and portals read:
// index.json, and the lines of deliveries/SERVICE/ENVIRONMENT/YEAR-MONTH.jsonl. The stage catalog writes them.
package catalogfile

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/org/idp/internal/record"
)

// What a file of this form says of itself, and where it is.
const (
	IndexSchema = "idp.catalog/v1"
	LineSchema  = "idp.delivery-line/v1"
	StateSchema = "idp.service/v1"

	IndexFile    = "index.json"
	DeliveriesIn = "deliveries"
	EntitiesIn   = "catalog"
	StateName    = "state.json" // no environment is called so: that has no dot
)

// Index is index.json: every service, by name. What changes with every delivery is not in there, so that a delivery neither
// reads nor writes a file that grows with the catalogue; ReadIndex joins them.
type Index struct {
	Schema   string             `json:"schema" jsonschema:"enum=idp.catalog/v1"`
	Services map[string]Service `json:"services"`

	// Differing are services of which index.json says something else than their state, which ReadIndex believes.
	Differing []string `json:"-"`
}

// Service is one service in the index.
type Service struct {
	Name         string                 `json:"name" jsonschema:"minLength=1"`
	Owner        string                 `json:"owner" jsonschema:"minLength=1"`
	Tier         int                    `json:"tier,omitempty"`
	System       string                 `json:"system,omitempty"`
	Repository   string                 `json:"repository"`
	Path         string                 `json:"path,omitempty" jsonschema_description:"Folder of the service in the repository; absent at its root."`
	Entity       string                 `json:"entity" jsonschema_description:"File of the Backstage entity in the catalogue."`
	Environments map[string]Environment `json:"environments,omitempty" jsonschema_description:"By name; in deliveries/SERVICE/state.json, not in index.json."`
}

// PartOf is the name of the system that the service is part of, without Backstage's own namespace; empty where it is part of none.
func (s Service) PartOf() string {
	return strings.TrimPrefix(strings.TrimPrefix(s.System, "system:"), "default/")
}

// Systems are those that services are part of, by service.
func (x *Index) Systems() map[string]string {
	systems := map[string]string{}
	for name, s := range x.Services {
		if system := s.PartOf(); system != "" {
			systems[name] = system
		}
	}
	return systems
}

// State is deliveries/SERVICE/state.json: what the index says of a service, and its deliveries.
type State struct {
	Schema string `json:"schema" jsonschema:"enum=idp.service/v1"`
	Service
	Derived *Derived `json:"derived,omitempty" jsonschema_description:"Absent for a service of which only the Component is known."`
}

// StateFile is where the state of a service is: beside its logs, so that a delivery changes one folder that has all services and not two.
func StateFile(service string) string { return DeliveriesIn + "/" + service + "/" + StateName }

// ParseState reads the state of a service.
func ParseState(text []byte, service string) (State, error) {
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return s, err
	}
	if s.Schema != StateSchema || s.Name != service {
		return s, fmt.Errorf("it has schema %q of %q, this program reads %q of %q", s.Schema, s.Name, StateSchema, service)
	}
	return s, nil
}

// Environment is what was delivered to one environment last, and what last passed.
type Environment struct {
	Latest Run  `json:"latest"`
	Passed *Run `json:"passed,omitempty" jsonschema_description:"Absent when no delivery has passed yet."`
}

// Run is a delivery as the index names it.
type Run struct {
	Delivery int            `json:"delivery" jsonschema:"minimum=1" jsonschema_description:"Number in its environment, from 1."`
	ID       string         `json:"id"`
	Time     time.Time      `json:"time"`
	Commit   string         `json:"commit" jsonschema:"pattern=^([0-9a-f]{40}|[0-9a-f]{64})?$"`
	Digest   string         `json:"digest" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$"`
	Outcome  record.Outcome `json:"outcome"`
}

// Line is one delivery in the log.
type Line struct {
	Schema      string             `json:"schema" jsonschema:"enum=idp.delivery-line/v1"`
	ID          string             `json:"id" jsonschema_description:"Of the delivery record; a rollback by hand has one of its own."`
	Delivery    int                `json:"delivery" jsonschema:"minimum=1" jsonschema_description:"Number in this environment, from 1."`
	Time        time.Time          `json:"time" jsonschema_description:"When it was logged, in UTC."`
	Service     string             `json:"service"`
	Owner       string             `json:"owner"`
	Repository  string             `json:"repository"`
	Path        string             `json:"path,omitempty" jsonschema_description:"Folder of the service in the repository; absent at its root."`
	Commit      string             `json:"commit" jsonschema:"pattern=^([0-9a-f]{40}|[0-9a-f]{64})?$"`
	Image       string             `json:"image,omitempty"`
	Digest      string             `json:"digest" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$" jsonschema_description:"Empty when it failed before there was an image."`
	Environment string             `json:"environment"`
	Previous    *record.Deployment `json:"previous,omitempty" jsonschema_description:"What was live before; absent for a first delivery."`
	Outcome     record.Outcome     `json:"outcome"`
	RolledBack  bool               `json:"rolledBack" jsonschema_description:"True when the delivery put an older version back."`
	Stages      []Stage            `json:"stages"`
	Cost        *Cost              `json:"cost,omitempty"`
	Run         *CIRun             `json:"run,omitempty" jsonschema_description:"Absent outside CI."`

	// Since there was a portal: absent in older lines.
	Suite    string     `json:"suite,omitempty" jsonschema_description:"Version of idp that delivered."`
	Signer   string     `json:"signer,omitempty" jsonschema_description:"Who signed the digest: an identity, or the fingerprint of a key."`
	Evidence []string   `json:"evidence,omitempty" jsonschema_description:"Predicate types that are attached to the digest."`
	Changed  *bool      `json:"changed,omitempty" jsonschema_description:"True when the delivery began to change what is live; false when that version was live already, or a gate came first."`
	Adopted  *time.Time `json:"adopted,omitempty" jsonschema_description:"When the commit that brought idp.yaml was made; of a first delivery, where it is known."`
	CI       *CI        `json:"ci,omitempty" jsonschema_description:"Absent outside CI, and for runners without a list price."`
	Brings   *Brings    `json:"brings,omitempty" jsonschema_description:"Commits between what was live and this; absent for a first delivery, and where it could not be found out."`
}

// Stage is one stage of a delivery.
type Stage struct {
	Name       string         `json:"name"`
	Outcome    record.Outcome `json:"outcome"`
	DurationMS int64          `json:"durationMs"`
}

// Cost is the estimate of a month.
type Cost struct {
	Currency string  `json:"currency" jsonschema:"pattern=^[A-Z]{3}$"`
	Min      float64 `json:"min" jsonschema:"minimum=0"`
	Max      float64 `json:"max" jsonschema:"minimum=0"`
	Prices   string  `json:"prices,omitempty" jsonschema_description:"Name and date of the price file."`
	Detail   string  `json:"detail,omitempty" jsonschema_description:"Digest of what it is made of, cost/SERVICE/ENVIRONMENT/YEAR-MONTH.csv as this delivery left it."`
}

// CI is what idp itself took of a runner until the delivery was logged; what else the job did is not in it.
type CI struct {
	Minutes  int     `json:"minutes" jsonschema_description:"Begun minutes."`
	Runner   string  `json:"runner" jsonschema_description:"Kind of runner whose list price it is."`
	Currency string  `json:"currency"`
	Amount   float64 `json:"amount"`
	Prices   string  `json:"prices" jsonschema_description:"Name and date of the price list."`
}

// CIRun is the run of the workflow.
type CIRun struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Brings is what a delivery changes: the commits that are in it and were not in what was live before.
type Brings struct {
	Since   string   `json:"since" jsonschema_description:"Commit that was live."`
	Commits []Commit `json:"commits" jsonschema_description:"The newest first, at most 200."`
	More    int      `json:"more,omitempty" jsonschema_description:"How many there are besides."`
}

// Commit is one commit of the service's repository.
type Commit struct {
	ID   string    `json:"commit"`
	Time time.Time `json:"time" jsonschema_description:"Committer's date, in UTC."`
}

// Find gives the stage of that name.
func (l *Line) Find(stage string) (Stage, bool) {
	for _, s := range l.Stages {
		if s.Name == stage {
			return s, true
		}
	}
	return Stage{}, false
}
