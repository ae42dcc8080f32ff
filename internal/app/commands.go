package app

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/schema"
	"github.com/org/idp/internal/service"
)

// command is what idp does beside its actions.
type command struct {
	name, usage string
	does        string // empty for what only idp itself calls
	run         func(context.Context, World, []string) error
	data        bool // what it prints is for other programs, so a runner's commands may not stand around it
}

func commandOf(name string) (command, bool) {
	for _, c := range commands {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

var commands = []command{
	{"validate", "[--service FOLDER] [--policy FILE]", "Checks idp.yaml and the policy, and says all that is wrong at once.", validate, false},
	{"schema", "service|policy|record|metrics|spend", "Prints the JSON Schema of idp.yaml, of a policy, of the delivery record, of the metrics or of the costs.", printSchema, true},
	{"evidence", "IMAGE [--policy FILE [--environment NAME]] [--key FILE] [--json]", "Prints what is attached to an image: who said what of it, when, and whether it is verified. It decides nothing.", evidenceCommand, true},
	{"waive", "FINGERPRINT --reason TEXT [--expires 30d] [--owner NAME]", "Lets a finding of the last scan pass until a day, in idp-waivers.yaml.", waive, false},
	{"baseline", "[--service FOLDER] [--import PATTERN] [--prune]", "Writes down what is found now, in idp-baseline.json, for gates that count new findings only.", baseline, false},
	{"spend", "[--catalog FOLDER] [--from MONTH] [--to MONTH] [--actual FILE] [--json]", "Prints what services cost by month: the estimate, CI, and what an export says they really cost.", spending, true},
	{"metrics", "[--catalog FOLDER] [--environment production] [--from DAY] [--to DAY] [--json]", "Prints how often, how fast and how well services are delivered (DORA), and who uses what of the path.", metrics, true},
	{"stop", "[--out FOLDER]", "Stops every service that runs on the local target below the output folder.", stopLocal, false},
	{"version", "", "Prints the version of idp and of the tools inside it.", printVersion, true},
	{"post", "ACTION", "", post, false},
	{"supervise", "FOLDER", "", supervise, true},
}

// fill reads the flags and variables of a command or an action. Secrets are masked before anything else is done.
func fill(w World, name string, set *action.Set, args []string) error {
	given, err := parseFlags(set, name, args)
	if err != nil {
		return err
	}
	return fillFrom(w, set, given)
}

func fillFrom(w World, set *action.Set, given map[string]string) error {
	err := set.Fill(given, w.Getenv)
	for _, secret := range set.Secrets() {
		w.runner.Mask(secret)
	}
	return err
}

func validate(ctx context.Context, w World, args []string) error {
	var common action.Common
	var set action.Set
	common.Declare(&set)
	if err := fill(w, "validate", &set, args); err != nil {
		return err
	}
	pol, polErr := policy.Load(common.Policy)
	svc, svcErr := service.Load(common.Service, sizesOf(pol)...)
	if err := joinProblems(svcErr, polErr); err != nil {
		return err
	}
	environments := []string{common.Environment}
	if common.Environment == "" {
		environments = sortedKeys(svc.Environments)
		// The local target works without being named, unless the policy leaves no room for it.
		rules, err := pol.For(targetLocal)
		if err != nil {
			return err
		}
		if !slices.Contains(environments, targetLocal) && (len(environments) == 0 || len(rules.Missing()) == 0) {
			environments = append(environments, targetLocal)
		}
	}
	var problems []error
	for _, e := range environments {
		problems = append(problems, w.validIn(ctx, common.Service, svc, pol, e))
	}
	if err := joinProblems(problems...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.Stdout, "%s is valid: %s, owned by %s, to %s\n", filepath.Join(common.Service, service.File), svc.Name, svc.Owner,
		strings.Join(environments, ", "))
	return err
}

// validIn holds the service against what the policy says of one environment, and renders its manifests.
func (w World) validIn(ctx context.Context, dir string, svc *service.Service, pol *policy.Policy, environment string) error {
	resolved, err := svc.In(environment)
	if err != nil {
		return err
	}
	rules, err := pol.For(environment)
	if err != nil {
		return err
	}
	if missing := rules.Missing(); len(missing) > 0 {
		return undeliverable(pol, missing, environment)
	}
	if first := rules.After.Environment; first != "" {
		if _, err := svc.In(first); err != nil {
			return fault.BadInputf("policy %s lets nothing into %s that is not healthy in %s, and that is not in %s", pol.Name, environment, first, service.File).
				WithNext("Add " + first + " under environments in " + service.File + ".")
		}
	}
	opts := w.rendering(dir, resolved)
	opts.Environment, opts.Sizes = environment, rules.Sizes
	_, err = manifest.Load(ctx, resolved, opts)
	return err
}

func printSchema(_ context.Context, w World, args []string) error {
	schemas := map[string]func() ([]byte, error){"service": schema.Service, "policy": schema.Policy, "record": schema.Record, "metrics": schema.Metrics, "spend": schema.Spend}
	if len(args) != 1 || schemas[args[0]] == nil {
		return fault.BadInputf("idp schema takes one of service, policy, record, metrics, spend")
	}
	data, err := schemas[args[0]]()
	if err != nil {
		return err
	}
	_, err = w.Stdout.Write(data)
	return err
}

// shownTools are the modules whose versions decide what idp finds and what it signs.
var shownTools = []string{"github.com/securego/gosec/v2", "github.com/zricethezav/gitleaks/v8", "github.com/sigstore/cosign/v2"}

func printVersion(_ context.Context, w World, args []string) error {
	if _, err := parseFlags(&action.Set{}, "version", args); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fault.Undeterminedf("this program was built without module information")
	}
	_, err := fmt.Fprintf(w.Stdout, "idp %s %s/%s %s\n", Version(), runtime.GOOS, runtime.GOARCH, info.GoVersion)
	for _, name := range shownTools {
		for _, m := range info.Deps {
			if m.Path == name && err == nil {
				_, err = fmt.Fprintf(w.Stdout, "  %s %s\n", m.Path, m.Version)
			}
		}
	}
	return err
}

// version is set by the linker for a release.
var version string

// Version is the release, or "devel" for a build of a checkout.
func Version() string {
	if version != "" {
		return version
	}
	return "devel"
}

// stopLocal ends what runs on the local target.
func stopLocal(ctx context.Context, w World, args []string) error {
	var common action.Common
	var set action.Set
	common.Declare(&set)
	if err := fill(w, "stop", &set, args); err != nil {
		return err
	}
	roots, err := filepath.Glob(filepath.Join(common.Out, "local", "*", "*"))
	if err != nil {
		return err
	}
	stopped := 0
	for _, root := range roots {
		names, err := localtarget.Stop(ctx, localtarget.Inputs{StateDir: root, Wait: time.Minute}, localtarget.Deps{Now: w.Now})
		if err != nil {
			return err
		}
		for _, name := range names {
			stopped++
			_, _ = fmt.Fprintf(w.Stdout, "stopped %s of %s in %s\n", name, filepath.Base(root), filepath.Base(filepath.Dir(root)))
		}
	}
	if stopped == 0 {
		_, _ = fmt.Fprintf(w.Stdout, "nothing runs below %s\n", filepath.Join(common.Out, "local"))
	}
	return nil
}

// supervise is what a detached copy of this program does for a release of the local target.
func supervise(ctx context.Context, w World, args []string) error {
	if len(args) != 1 {
		return fault.BadInputf("idp supervise takes the folder of a release")
	}
	return local.Supervise(ctx, args[0], w.Now)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
