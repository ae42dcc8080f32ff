package scanning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/waiver"
)

// waiveInputs are what `idp waive` takes beside the fingerprint.
type waiveInputs struct {
	action.Common
	reason, expires, owner string
}

func (in *waiveInputs) declare(s *action.Set) {
	in.Common.Declare(s)
	s.String(&in.reason, action.Input{Name: "reason", Example: "the certificate is pinned", Usage: "Why the finding is no danger here."})
	s.String(&in.expires, action.Input{Name: "expires", Default: "30d", Example: "30d", Usage: "Last day, as YYYY-MM-DD or in days from today."})
	s.String(&in.owner, action.Input{Name: "owner", Example: "team-payments", Usage: "Who answers for it. Default: the service's owner."})
}

// Waive adds one waiver for a finding of the last scan.
func Waive(_ context.Context, w cli.World, args []string) error {
	var in waiveInputs
	var set action.Set
	in.declare(&set)
	prefix := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		prefix, args = args[0], args[1:]
	}
	if err := cli.Fill(w, "waive", &set, args); err != nil {
		return err
	}
	f, err := lastFinding(filepath.Join(in.Out, "findings.json"), prefix)
	if err != nil {
		return err
	}
	one, err := in.waiver(f, w.Now())
	if err != nil {
		return err
	}
	name := filepath.Join(in.Service, waiver.FileName)
	data, err := os.ReadFile(name) // #nosec G304 -- a fixed name in the user's folder
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.BadInputf("%w", err)
	}
	if data, err = waiver.Add(name, data, one); err != nil {
		return err
	}
	if err := record.WriteFile(name, data, 0o644); err != nil {
		return fault.BadInputf("%s cannot be written: %w", name, err)
	}
	_, err = fmt.Fprintf(w.Stdout, "%s in %s passes until %s\nCommit %s: the change is reviewed like any other.\n", f.Rule, f.Place(), one.Expires, name)
	return err
}

// waiver holds what was asked for against the policy, so that nobody writes a waiver that will not count.
func (in waiveInputs) waiver(f finding.Finding, now time.Time) (waiver.Waiver, error) {
	one := waiver.Waiver{Fingerprint: f.Fingerprint, Scanner: f.Scanner, Rule: f.Rule, Path: f.File, Reason: strings.TrimSpace(in.reason), Owner: in.owner}
	pol, err := policy.Load(in.Policy)
	if err != nil {
		return one, err
	}
	rules := pol.Defaults
	if in.Environment != "" {
		if rules, err = pol.For(in.Environment); err != nil {
			return one, err
		}
	}
	if one.Owner == "" {
		svc, err := service.Load(in.Service)
		if err != nil {
			return one, err
		}
		one.Owner = svc.Owner
	}
	today := now.UTC().Truncate(24 * time.Hour)
	last, err := lastDay(in.expires, today)
	if err != nil {
		return one, err
	}
	one.Expires = last.Format(time.DateOnly)
	limits := rules.Waivers.Rules()
	switch days := int(last.Sub(today).Hours() / 24); {
	case limits.MaxDays == 0:
		return one, fault.BadInputf("policy %s allows no waivers", pol.Name).WithNext("Fix the finding, or ask the platform team.")
	case days < 0:
		return one, fault.BadInputf("input expires: %s is over", one.Expires)
	case days > limits.MaxDays:
		return one, fault.BadInputf("input expires: %s is %d days from today, policy %s allows %d", one.Expires, days, pol.Name, limits.MaxDays)
	case limits.NeedReason && !finding.HasWords(one.Reason):
		return one, fault.BadInputf("policy %s asks for a reason", pol.Name).WithNext(`Give it: --reason "the certificate is pinned"`)
	}
	return one, nil
}

func lastDay(s string, today time.Time) (time.Time, error) {
	if age, err := policy.ParseAge(s); err == nil && strings.HasSuffix(s, "d") {
		return today.Add(age), nil
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return day, fault.BadInputf("input expires: %q is neither a day such as 2027-01-31 nor a number of days such as 30d", s)
	}
	return day, nil
}

// lastFinding finds the one finding of the last scan whose fingerprint begins so.
func lastFinding(file, prefix string) (finding.Finding, error) {
	var none finding.Finding
	if len(prefix) < 4 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return none, fault.BadInputf("idp waive takes the fingerprint of a finding, or its beginning, such as: idp waive 8c1f09 --reason \"…\"").
			WithNext("It stands in brackets behind the finding.")
	}
	var report struct {
		Findings []finding.Finding `json:"findings"`
	}
	data, err := os.ReadFile(file) // #nosec G304 -- in the user's output folder
	if errors.Is(err, fs.ErrNotExist) {
		return none, fault.BadInputf("there is no %s, so there is no scan whose finding could be waived", file).WithNext("Scan first: idp sast, or idp secrets")
	}
	if err == nil {
		err = json.Unmarshal(data, &report)
	}
	if err != nil {
		return none, fault.BadInputf("%s cannot be read: %w", file, err)
	}
	hits := slices.DeleteFunc(report.Findings, func(f finding.Finding) bool {
		return !strings.HasPrefix(f.Fingerprint, prefix) || f.Scanner == waiver.Scanner
	})
	switch len(hits) {
	case 0:
		return none, fault.BadInputf("no finding of the last scan begins with %s", prefix).WithNext("They are in " + file)
	case 1:
		return hits[0], nil
	}
	problem := fault.BadInputf("%d findings of the last scan begin with %s", len(hits), prefix)
	for _, f := range hits[:min(len(hits), 10)] {
		problem = problem.WithDetail(fmt.Sprintf("%s  %s  %s", f.Fingerprint, f.Rule, f.Place()))
	}
	return none, problem.WithNext("Give more of it.")
}
