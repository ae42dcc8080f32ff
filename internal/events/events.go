// Package events tells others what a delivery did to a service, as one CDEvents event (https://cdevents.dev, version
// 0.5.0) in a CloudEvents envelope: always as a file, and by POST where a URL is given.
//
// The two formats are declared here with the fields that are used. The CDEvents SDK compiles every schema of every version
// of its specification while the program starts, a good third of what idp may take to start, so only the tests import
// it: there it holds what is written here against its own schemas.
package events

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
)

// Ways to post a CloudEvent, sections 3.1 and 3.2 of its HTTP binding.
const (
	structured = "structured"
	binary     = "binary"
)

// Inputs is what the stage works from.
type Inputs struct {
	URL  string
	Mode string // structured or binary; structured when empty

	// Filled by the app.

	Record *record.Record // a snapshot that holds the deploy stage
	File   string         // where the event is written, such as .idp/events.json
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.URL, action.Input{Name: "events", Example: "https://events.example.com/cdevents",
		Usage: "URL that the deploy event is posted to, as a CDEvents event in a CloudEvent. It is written to events.json in the output folder in every case."})
	s.String(&in.Mode, action.Input{Name: "events-mode", Default: structured, Example: binary, OneOf: []string{structured, binary},
		Usage: "How the CloudEvent is posted: structured, all of it in the body, or binary, its attributes in headers."})
}

// Deps is what the stage needs from outside.
type Deps struct {
	Client send.Client
}

// Check refuses a URL that cannot be posted to, before anything is done.
func (in Inputs) Check() error {
	_, err := parseURL(in.URL)
	return err
}

// Outputs is what the stage found out.
type Outputs = action.Result[record.Events]

// Run writes the event and posts it. The error is a skip where nothing was deployed.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	var out Outputs
	target, err := parseURL(in.URL)
	if err != nil {
		return out, err
	}
	what, err := projection.Happened(in.Record)
	if err != nil {
		return out, err
	}
	out.Tool = record.Tool{Name: "CDEvents", Version: specVersion}
	if what == (projection.Happening{}) {
		out.Summary = "this version was live already · nothing to tell"
		return out, nil
	}
	event := happening{what}.event()
	out.Evidence.Type = event.Type
	out.Summary = what.Kind + " event"
	body, err := encode(event)
	if err != nil {
		return out, err
	}
	if err := ctx.Err(); err != nil {
		return out, context.Cause(ctx)
	}
	if err := record.WriteFile(in.File, body, 0o644); err != nil {
		return out, fault.Undeterminedf("the event cannot be written: %w", err).
			WithNext("Check that the output folder is writable and that its disk has room.")
	}
	out.Evidence.File = in.File
	out.Summary += " → " + filepath.Base(in.File)
	if target == nil {
		return out, nil
	}
	if err := post(ctx, target, in.Mode, event, deps.Client); err != nil {
		return out, err
	}
	out.Evidence.Sent = true
	out.Summary += ", sent to " + target.Host
	return out, nil
}

// parseURL never shows the URL in its errors: webhooks carry their secret in any part of it.
func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fault.BadInputf("input events is not a URL that can be posted to").
			WithNext("Give one that begins with https:// or http://, such as https://events.example.com/cdevents.")
	}
	return u, nil
}
