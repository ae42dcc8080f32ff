// Package dora computes DORA's delivery metrics and the adoption of the path from a catalogue's delivery log, and from nothing
// else: no server is asked. docs/metrics.md has the formulas and where they come from.
//
// A value that cannot be known is absent, never zero.
package dora

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/org/idp/internal/catalogfile"
)

// Options say what is counted.
type Options struct {
	// Environment is where a deployment counts, such as production.
	Environment string
	// From and To bound the deliveries by the time they were logged: From is within, To is not. Both in UTC. To is not
	// after the end of today: of a day that has not come it is not known what is deployed.
	From, To time.Time
	// Systems has the system of each service that is part of one.
	Systems map[string]string
}

// Report is the answer for one environment and window.
type Report struct {
	Schema      string    `json:"schema"`
	Environment string    `json:"environment"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`

	Organization Group            `json:"organization"`
	Teams        map[string]Group `json:"teams" jsonschema_description:"By owner, as the newest delivery of each service says."`
	Systems      map[string]Group `json:"systems" jsonschema_description:"By system, as the catalogue says it now of each service. A service of none is in none."`
	Services     map[string]Group `json:"services" jsonschema_description:"Services with a delivery in the window, to any environment."`
	Adoption     Adoption         `json:"adoption"`
}

// Schema names the form of a Report.
const Schema = "idp.metrics/v1"

// Group is a service, a team or the organisation: the window as a whole, and its calendar months in UTC.
type Group struct {
	Metrics
	Owner  string             `json:"owner,omitempty" jsonschema_description:"Of a service."`
	Months map[string]Metrics `json:"months" jsonschema_description:"By YYYY-MM; the first and the last as far as they are in the window."`
}

// Metrics are DORA's five, https://dora.dev/guides/dora-metrics/.
type Metrics struct {
	Deployments   int      `json:"deployments" jsonschema_description:"Successful deployments."`
	Days          int      `json:"days" jsonschema_description:"Days of the window, or of the month, since the first delivery that the log has."`
	PerWeek       *float64 `json:"perWeek,omitempty" jsonschema_description:"Successful deployments in seven of these days. Absent where there are fewer than seven."`
	LeadTime      *Spread  `json:"leadTime,omitempty" jsonschema_description:"From a commit to its first successful deployment, over commits. Absent where no commit is known."`
	WithoutLead   int      `json:"withoutLead,omitempty" jsonschema_description:"Successful deployments that replaced another one and whose commits are not known."`
	Failed        int      `json:"failed" jsonschema_description:"Deployments that failed, or were taken back."`
	FailureRate   *float64 `json:"failureRate,omitempty" jsonschema_description:"Share of failed ones of all deployments; absent without any."`
	Recovery      *Spread  `json:"recovery,omitempty" jsonschema_description:"From a failed deployment to the end of the failure, over failures that have ended."`
	Unrecovered   int      `json:"unrecovered,omitempty" jsonschema_description:"Failures that had not ended by the end of the log."`
	Rework        int      `json:"rework" jsonschema_description:"Successful deployments and rollbacks by hand that came because of a failure."`
	ReworkRate    *float64 `json:"reworkRate,omitempty" jsonschema_description:"Share of rework of all successful deployments and rollbacks by hand; absent without any."`
	FirstDelivery *Spread  `json:"firstDelivery,omitempty" jsonschema_description:"From the commit that brought idp.yaml to the first successful deployment to any environment, over services that are new in the window."`
}

// Spread is the distribution of times, in seconds.
type Spread struct {
	Count  int     `json:"count"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
}

// Adoption is how much of the path services use, by the newest delivery of each in the window.
type Adoption struct {
	Services int            `json:"services"`
	Stages   map[string]int `json:"stages" jsonschema_description:"Services in whose newest delivery the stage did not pass by: it came to an answer."`
	Suites   map[string]int `json:"suites" jsonschema_description:"Services by version of idp; those that do not say are under unknown."`
}

// Compute reads the whole log once. A log that cannot be read whole is an error.
func Compute(ctx context.Context, catalogue fs.FS, o Options) (*Report, error) {
	if o.Environment == "" || !o.From.Before(o.To) {
		return nil, fmt.Errorf("metrics of environment %q from %s to %s: there is no such window", o.Environment,
			o.From.Format(time.DateOnly), o.To.Format(time.DateOnly))
	}
	c := newCount(o)
	err := catalogfile.Deliveries(ctx, catalogue, func(l *catalogfile.Line) error {
		c.add(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.report(), nil
}
