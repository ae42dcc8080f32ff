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
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
	"github.com/org/idp/internal/app/reading"
	"github.com/org/idp/internal/app/scanning"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
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
	run         func(context.Context, cli.World, []string) error
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
	{"schema", "NAME", "Prints the JSON Schema of idp.yaml (service), a policy, the delivery record, the output of metrics and spend, or a catalogue's index, state, line of deliveries and row of cost.", printSchema, true},
	{"evidence", "IMAGE [--policy FILE [--environment NAME]] [--key FILE] [--json]", "Prints what is attached to an image: who said what of it, when, and whether it is verified. It decides nothing.", reading.EvidenceCommand, true},
	{"waive", "FINGERPRINT --reason TEXT [--expires 30d] [--owner NAME]", "Lets a finding of the last scan pass until a day, in idp-waivers.yaml.", scanning.Waive, false},
	{"baseline", "[--service FOLDER] [--import PATTERN] [--prune]", "Writes down what is found now, in idp-baseline.json, for gates that count new findings only.", scanning.Baseline, false},
	{"spend", "[--catalog FOLDER] [--from MONTH] [--to MONTH] [--actual FILE] [--json]", "Prints what services cost by month: the estimate, CI, and what an export says they really cost.", reading.Spending, true},
	{"metrics", "[--catalog FOLDER] [--environment production] [--from DAY] [--to DAY] [--json]", "Prints how often, how fast and how well services are delivered (DORA), and who uses what of the path.", reading.Metrics, true},
	{"stop", "[--out FOLDER]", "Stops every service that runs on the local target below the output folder.", stopLocal, false},
	{"version", "", "Prints the version of idp and of the tools inside it.", printVersion, true},
	{"post", "ACTION", "", post, false},
	{"supervise", "FOLDER", "", supervise, true},
}

func validate(ctx context.Context, w cli.World, args []string) error {
	var common action.Common
	var set action.Set
	common.Declare(&set)
	if err := cli.Fill(w, "validate", &set, args); err != nil {
		return err
	}
	pol, polErr := policy.Load(common.Policy)
	svc, svcErr := service.Load(common.Service, delivery.SizesOf(pol)...)
	if svcErr == nil {
		repo, err := gitrepo.Open(ctx, common.Service)
		switch {
		case err == nil:
			svcErr = delivery.Namesake(ctx, repo, svc.Name)
		case fault.KindOf(err) != fault.BadInput: // a file may be valid before there is a repository
			svcErr = err
		}
	}
	if err := delivery.JoinProblems(svcErr, polErr); err != nil {
		return err
	}
	environments := []string{common.Environment}
	if common.Environment == "" {
		environments = sortedKeys(svc.Environments)
		// The local target works without being named, unless the policy leaves no room for it.
		rules, err := pol.For(delivery.TargetLocal)
		if err != nil {
			return err
		}
		if !slices.Contains(environments, delivery.TargetLocal) && (len(environments) == 0 || len(rules.Missing()) == 0) {
			environments = append(environments, delivery.TargetLocal)
		}
	}
	var problems []error
	for _, e := range environments {
		problems = append(problems, validIn(ctx, w, common.Service, svc, pol, e))
	}
	if err := delivery.JoinProblems(problems...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.Stdout, "%s is valid: %s, owned by %s, to %s\n", filepath.Join(common.Service, service.File), svc.Name, svc.Owner,
		strings.Join(environments, ", "))
	return err
}

// validIn holds the service against what the policy says of one environment, and renders its manifests.
func validIn(ctx context.Context, w cli.World, dir string, svc *service.Service, pol *policy.Policy, environment string) error {
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
	opts := deploying.Rendering(w, dir, resolved)
	opts.Environment, opts.Sizes = environment, rules.Sizes
	_, err = manifest.Load(ctx, resolved, opts)
	return err
}

func printSchema(_ context.Context, w cli.World, args []string) error {
	schemas := map[string]func() ([]byte, error){"service": schema.Service, "policy": schema.Policy, "record": schema.Record, "metrics": schema.Metrics, "spend": schema.Spend,
		"index": schema.Index, "state": schema.State, "line": schema.Line, "cost": schema.Cost}
	_, args, err := cli.ParseArgs(&action.Set{}, "schema", args)
	if err != nil {
		return err
	}
	if len(args) != 1 || schemas[args[0]] == nil {
		return fault.BadInputf("idp schema takes one of service, policy, record, metrics, spend, index, state, line, cost")
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

func printVersion(_ context.Context, w cli.World, args []string) error {
	if _, err := cli.ParseFlags(&action.Set{}, "version", args); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fault.Undeterminedf("this program was built without module information")
	}
	_, err := fmt.Fprintf(w.Stdout, "idp %s %s/%s %s\n", cli.Version(), runtime.GOOS, runtime.GOARCH, info.GoVersion)
	for _, name := range shownTools {
		for _, m := range info.Deps {
			if m.Path == name && err == nil {
				_, err = fmt.Fprintf(w.Stdout, "  %s %s\n", m.Path, m.Version)
			}
		}
	}
	return err
}

// stopLocal ends what runs on the local target.
func stopLocal(ctx context.Context, w cli.World, args []string) error {
	var common action.Common
	var set action.Set
	common.Declare(&set)
	if err := cli.Fill(w, "stop", &set, args); err != nil {
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
func supervise(ctx context.Context, w cli.World, args []string) error {
	if len(args) != 1 {
		return fault.BadInputf("idp supervise takes the folder of a release")
	}
	return local.Supervise(ctx, args[0], w.Now)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func unknownCommand(name string) error {
	var names []string
	for _, a := range registry {
		names = append(names, a.Name)
	}
	for _, c := range commands {
		names = append(names, c.name)
	}
	problem := fault.BadInputf("there is no command %q", name)
	if near := cli.Nearest(name, names); near != "" {
		return problem.WithNext("Did you mean: idp " + near)
	}
	return problem.WithNext("See: idp --help")
}
