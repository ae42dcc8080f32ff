// Package notify tells developer portals of a service and of what a delivery did to it: as files, and by their APIs where
// credentials are given. Done twice, the second changes nothing.
//
// Backstage has no API for that: it reads the catalogue.
package notify

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
)

// patience is for one portal: the service and its deploy, with all repetitions.
const patience = 3 * time.Minute

// Inputs is what the stage works from.
type Inputs struct {
	PortID, PortSecret, PortURL        string
	CortexToken, CortexURL             string
	OpsLevelToken, OpsLevelURL         string
	OpsLevelDeploys                    string
	DatadogKey, DatadogApp, DatadogURL string
	Names                              []string

	// Filled by the app.

	Record *record.Record   // a snapshot that holds the deploy stage, if any
	Entry  projection.Entry // what is told of the service
	Folder string           // where the files are written, such as .idp/portals
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.PortID, action.Input{Name: "port-client-id", Example: "${{ vars.PORT_CLIENT_ID }}",
		Usage: "Client ID for Port, to tell it of the service and the deploy."})
	s.String(&in.PortSecret, action.Input{Name: "port-client-secret", Secret: true, Example: "${{ secrets.PORT_CLIENT_SECRET }}",
		Usage: "Client secret for Port."})
	s.String(&in.PortURL, action.Input{Name: "port-url", Default: "https://api.getport.io", Example: "https://api.us.getport.io",
		Usage: "Address of Port's API; that of its region in the United States is https://api.us.getport.io."})
	s.String(&in.CortexToken, action.Input{Name: "cortex-token", Secret: true, Example: "${{ secrets.CORTEX_TOKEN }}",
		Usage: "API key for Cortex that may edit entities, to tell it of the service and the deploy."})
	s.String(&in.CortexURL, action.Input{Name: "cortex-url", Default: "https://api.getcortexapp.com", Example: "https://cortex.example.com",
		Usage: "Address of Cortex's API."})
	s.String(&in.OpsLevelToken, action.Input{Name: "opslevel-token", Secret: true, Example: "${{ secrets.OPSLEVEL_TOKEN }}",
		Usage: "API token for OpsLevel, to tell it of the service."})
	s.String(&in.OpsLevelURL, action.Input{Name: "opslevel-url", Default: "https://app.opslevel.com", Example: "https://opslevel.example.com",
		Usage: "Address of OpsLevel."})
	s.String(&in.OpsLevelDeploys, action.Input{Name: "opslevel-deploys", Secret: true, Example: "${{ secrets.OPSLEVEL_DEPLOYS }}",
		Usage: "URL of a deploy integration of OpsLevel, to tell it of the deploy. It holds a secret."})
	s.String(&in.DatadogKey, action.Input{Name: "datadog-api-key", Secret: true, Example: "${{ secrets.DD_API_KEY }}",
		Usage: "API key for Datadog, to tell it of the service and the deploy."})
	s.String(&in.DatadogApp, action.Input{Name: "datadog-app-key", Secret: true, Example: "${{ secrets.DD_APP_KEY }}",
		Usage: "Application key for Datadog, with apm_service_catalog_write."})
	s.String(&in.DatadogURL, action.Input{Name: "datadog-url", Default: "https://api.datadoghq.com", Example: "https://api.datadoghq.eu",
		Usage: "Address of the API of the Datadog site."})
	s.Lines(&in.Names, action.Input{Name: "portal-names", Example: "port.service = microservice",
		Usage: "Names that portals have for ours, one a line. docs/portals.md has those that can be changed."})
}

// Deps is what the stage needs from outside.
type Deps struct {
	Client send.Client
}

// Given tells whether there is a portal to tell.
func (in Inputs) Given() bool {
	return in.PortID+in.PortSecret+in.CortexToken+in.OpsLevelToken+in.OpsLevelDeploys+in.DatadogKey+in.DatadogApp != ""
}

// Check refuses credentials that are not whole, and addresses that they must not be sent to, before anything is done.
func (in Inputs) Check() error {
	var problems []string
	pair := func(a, b, names string) {
		if (a == "") != (b == "") {
			problems = append(problems, "inputs "+names+" are needed together")
		}
	}
	pair(in.PortID, in.PortSecret, "port-client-id and port-client-secret")
	pair(in.DatadogKey, in.DatadogApp, "datadog-api-key and datadog-app-key")
	for _, u := range []struct{ name, value, used string }{{"port-url", in.PortURL, in.PortID}, {"cortex-url", in.CortexURL, in.CortexToken},
		{"opslevel-url", in.OpsLevelURL, in.OpsLevelToken}, {"opslevel-deploys", in.OpsLevelDeploys, in.OpsLevelDeploys}, {"datadog-url", in.DatadogURL, in.DatadogKey}} {
		if u.used != "" && !private(u.value) {
			problems = append(problems, "input "+u.name+" is not an address that begins with https://")
		}
	}
	if len(problems) > 0 {
		return fault.BadInputf("what is given for portals is not whole").WithDetail(problems...)
	}
	_, err := projection.ParseNames(in.Names)
	return err
}

// private tells whether nobody on the way reads what is sent there. The address itself may be a secret.
func private(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && ip != nil && ip.IsLoopback()
}

// Outputs is what the stage found out.
type Outputs = action.Result[record.Notify]

// Run writes the files and tells every portal that there are credentials for. One that cannot be told keeps none of the others
// from being told, and makes the whole undetermined.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	var out Outputs
	if err := in.Check(); err != nil {
		return out, err
	}
	if in.Record == nil || in.Entry.Name == "" {
		return out, fault.Undeterminedf("there is no service to tell of")
	}
	names, err := projection.ParseNames(in.Names)
	if err != nil {
		return out, err
	}
	payloads, err := write(in, names)
	if err != nil {
		return out, err
	}
	out.Evidence.Files = in.Folder
	out.Summary = fmt.Sprintf("%d files → %s", len(payloads), filepath.Base(in.Folder))
	if untold := projection.Untold(in.Entry, names); len(untold) > 0 {
		out.Summary += fmt.Sprintf(" · owner %s is a person, which is not said to %s: docs/portals.md", in.Entry.Person, strings.Join(untold, ", "))
	}
	if err := ctx.Err(); err != nil {
		return out, context.Cause(ctx)
	}
	all := in.given(deps)
	if len(all) == 0 {
		out.Summary += " · no credentials, so nobody was told"
		return out, nil
	}
	what, happenedErr := projection.Happened(in.Record)
	if fault.KindOf(happenedErr) == fault.Skipped {
		happenedErr = nil
	}
	told := make([]told, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { told[i] = p.tell(ctx, payloads[p.name].Body, in.deployed(p.name, what, names)) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		happenedErr = context.Cause(ctx)
	}
	return summed(out, all, told, what, happenedErr)
}

// write puts the files where people and other tools find them.
func write(in Inputs, names projection.Names) (map[string]projection.Payload, error) {
	payloads := map[string]projection.Payload{}
	for _, portal := range projection.Portals {
		p, err := projection.Service(portal, in.Entry, names)
		if err != nil {
			return nil, err
		}
		if err := record.WriteFile(filepath.Join(in.Folder, p.File), p.Data, 0o644); err != nil {
			return nil, fault.Undeterminedf("a file for %s cannot be written: %w", portal, err).
				WithNext("Check that the output folder is writable and that its disk has room.")
		}
		payloads[portal] = p
	}
	return payloads, nil
}

// deployed is what is told of the deploy; nil where there is nothing to tell.
func (in Inputs) deployed(portal string, what projection.Happening, names projection.Names) any {
	if what == (projection.Happening{}) || portal == projection.Port && names["port.deployment"] == "" {
		return nil
	}
	return projection.Deployed(portal, in.Entry, what, names)
}

// told is what one portal took.
type told struct {
	record.Told
	err error
}

// portal is one that there are credentials for.
type portal struct {
	name, shown string                           // shown is its name for people
	secrets     string                           // inputs that its credentials are in, for people
	service     func(context.Context, any) error // nil: it is not told of that
	deploy      func(context.Context, any) error
}

// tell tells one portal. It is told of no deploy of a service that it did not take.
func (p portal) tell(ctx context.Context, service, deploy any) (t told) {
	t.Portal = p.name
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it was not told within %s", patience))
	defer cancel()
	if p.service != nil {
		if t.err = p.service(ctx, service); t.err != nil {
			t.err = fmt.Errorf("%s did not take the service: %w", p.shown, t.err)
			return t
		}
		t.Service = true
	}
	if p.deploy != nil && deploy != nil {
		if t.err = p.deploy(ctx, deploy); t.err != nil {
			t.err = fmt.Errorf("%s did not take the deploy: %w", p.shown, t.err)
			return t
		}
		t.Deploy = true
	}
	return t
}

// summed is what the stage came to.
func summed(out Outputs, all []portal, list []told, what projection.Happening, happened error) (Outputs, error) {
	var ok, wrong, where []string
	for i, t := range list {
		out.Evidence.Told = append(out.Evidence.Told, t.Told)
		if t.err != nil {
			wrong, where = append(wrong, t.err.Error()), append(where, all[i].secrets)
			continue
		}
		ok = append(ok, all[i].shown)
	}
	if len(ok) > 0 {
		event := "no deploy to tell of"
		if what.Kind != "" {
			event = what.Kind + " in " + what.Record.Environment
		}
		out.Summary = strings.Join(ok, ", ") + " told: " + event + " · " + out.Summary
	}
	switch {
	case happened != nil:
		return out, happened
	case len(wrong) == 0:
		return out, nil
	}
	f := fault.Undeterminedf("%s", wrong[0])
	if len(all) > 1 {
		f = fault.Undeterminedf("%d of %d portals were not told", len(wrong), len(all)).WithDetail(wrong...)
	}
	return out, f.WithNext("Check "+strings.Join(where, "; ")+".",
		"Then run the notify stage again: what was told already is told over, not twice. Nothing that was deployed is undone.")
}
