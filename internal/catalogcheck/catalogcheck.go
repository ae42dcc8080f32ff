// Package catalogcheck holds a catalogue against itself: whether what its entities name is there, whether anything is there
// twice, whether the index says what the logs say, and whether each service has what people need when it breaks. It reads
// a checkout and changes nothing. Nothing that it could not read is passed over.
package catalogcheck

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
)

// Rule is what a finding breaks.
type Rule string

// The rules. Unreadable is none of them: what could not be read was not checked.
const (
	Owner      Rule = "owner"
	System     Rule = "system"
	Reference  Rule = "reference"
	Duplicate  Rule = "duplicate"
	Index      Rule = "index"
	Stale      Rule = "stale"
	Runbook    Rule = "runbook"
	SLA        Rule = "sla"
	Unreadable Rule = "unreadable"
)

// Rules are all of them with what each asks, in the order in which people read them.
var Rules = []struct {
	Name Rule
	Asks string
}{
	{Owner, "every entity that needs an owner names one, and the catalogue has it"},
	{System, "the system that an entity names is in the catalogue"},
	{Reference, "all else that an entity names is in the catalogue: dependencies, APIs and their definitions, domains, groups, users"},
	{Duplicate, "no entity is there twice, and no two services are the same folder of the same repository"},
	{Index, "`index.json`, the entities and the logs of deliveries say the same"},
	{Stale, "every service was delivered within the days of `stale`"},
	{Runbook, "every service has a link of type runbook"},
	{SLA, "every service has an availability objective"},
}

// Inputs is what is checked, and how strictly.
type Inputs struct {
	Dir       string
	Stale     string
	Warn      []string
	Elsewhere []string

	Files fs.FS // of the catalogue; filled by the app
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.Dir, action.Input{Name: "catalog", Default: ".", Example: ".idp/catalog",
		Usage: "Folder with a checkout of the catalogue."})
	s.String(&in.Stale, action.Input{Name: "stale", Default: "90d", Example: "180d",
		Usage: "How long a service may go without a delivery, in days."})
	s.List(&in.Warn, action.Input{Name: "warn", Example: "stale, sla",
		Usage: "Rules that warn and do not fail. Each of them fails by default: " + strings.Join(names(), ", ") + "."})
	s.List(&in.Elsewhere, action.Input{Name: "elsewhere", Example: "group:*, user:*",
		Usage: "What is in other catalogues that are read beside this one, so that it may be named: references as KIND:NAMESPACE/NAME, a * at the end for all that begin so."})
}

func names() []string {
	var list []string
	for _, r := range Rules {
		list = append(list, string(r.Name))
	}
	return list
}

// Finding is one thing that is not as it has to be.
type Finding struct {
	Rule    Rule
	File    string // in the catalogue, with slashes
	Line    int    // from 1; 0 where it is about the whole file
	Message string // one line; may quote the catalogue
	Warning bool
}

func (f Finding) String() string {
	place, level := f.File, ""
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Warning {
		level = "warning: "
	}
	return fmt.Sprintf("%s: %s%s: %s", place, level, f.Rule, f.Message)
}

// Report is what was looked at and found.
type Report struct {
	Services, Entities int
	Findings           []Finding // what fails first, each by file and line
}

// Count gives the number of findings of a rule, of those that fail or of those that warn.
func (r Report) Count(rule Rule, warning bool) int {
	n := 0
	for _, f := range r.Findings {
		if f.Rule == rule && f.Warning == warning {
			n++
		}
	}
	return n
}

// Errors is the number of findings that fail.
func (r Report) Errors() int {
	return len(r.Findings) - r.Warnings()
}

// Warnings is the number of those that do not.
func (r Report) Warnings() int {
	n := 0
	for _, f := range r.Findings {
		if f.Warning {
			n++
		}
	}
	return n
}

// Deps is what the check needs from outside.
type Deps struct {
	Now func() time.Time
}

// Run checks a catalogue. Its report is whole also beside an error, which is Failed for findings, and Undetermined where
// something could not be read or there was nothing to check.
func Run(ctx context.Context, in Inputs, deps Deps) (Report, error) {
	var none Report
	stale, err := in.validate()
	if err != nil {
		return none, err
	}
	idx, err := catalogfile.ReadIndex(in.Files)
	if err != nil {
		return none, fault.Undeterminedf("the catalogue cannot be read: %w", err).
			WithNext("Check out the whole catalogue, and name its folder: --catalog FOLDER")
	}
	c := &check{in: in, index: idx, oldest: deps.Now().Add(-stale)}
	if err := c.read(ctx); err != nil {
		return none, err
	}
	c.references()
	c.twice()
	if err := c.services(ctx); err != nil {
		return none, err
	}
	report := Report{Services: len(idx.Services), Entities: len(c.entities), Findings: c.findings}
	for i, f := range report.Findings {
		report.Findings[i].Warning = slices.Contains(in.Warn, string(f.Rule))
	}
	slices.SortFunc(report.Findings, compare)
	return report, report.verdict()
}

func compare(a, b Finding) int {
	if a.Warning != b.Warning {
		if b.Warning {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
}

func (r Report) verdict() error {
	switch {
	case r.Services == 0:
		return fault.Undeterminedf("the catalogue has no service, so there was nothing to check").
			WithNext("Check out the branch that deliveries are written to, and name its folder: --catalog FOLDER")
	case r.Count(Unreadable, false) > 0:
		return fault.Undeterminedf("%s of the catalogue could not be read, so what is in there was not checked", finding.Plural(r.Count(Unreadable, false), "file"))
	case r.Errors() > 0:
		return fault.Failedf("the catalogue has %s", finding.Plural(r.Errors(), "problem"))
	}
	return nil
}

func (in Inputs) validate() (stale time.Duration, err error) {
	if in.Files == nil {
		return 0, fault.Undeterminedf("there is no catalogue to check")
	}
	for _, w := range in.Warn {
		if !slices.Contains(names(), w) {
			return 0, fault.BadInputf("input warn: there is no rule %q", w).WithNext("The rules are " + strings.Join(names(), ", ") + ".")
		}
	}
	if err := catalogfile.CheckPatterns(in.Elsewhere); err != nil {
		return 0, fault.BadInputf("input elsewhere: %w", err).WithNext("Write KIND:NAMESPACE/NAME, or the beginning of it and a *, such as group:*.")
	}
	stale, err = policy.ParseAge(in.Stale)
	if err != nil || stale <= 0 {
		return 0, fault.BadInputf("input stale: %q is not a number of days such as 90d", in.Stale)
	}
	return stale, nil
}
