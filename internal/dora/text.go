package dora

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/org/idp/internal/ui"
)

// Text writes the report for a person: the organisation, its teams with their services, and the adoption. A value that is not
// known is a dash.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	days := int(r.To.Sub(r.From).Hours() / 24)
	fmt.Fprintf(&b, "%s, %s to %s (%d days)\n\n", r.Environment, r.From.Format(time.DateOnly), r.To.Add(-time.Nanosecond).Format(time.DateOnly), days)
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\tdeployments\tlead time\tfailures\trecovery\trework\tfirst delivery")
	row(t, "organization", r.Organization.Metrics)
	for _, team := range slices.Sorted(maps.Keys(r.Teams)) {
		row(t, cmp.Or(team, "(nobody)"), r.Teams[team].Metrics)
		for _, name := range slices.Sorted(maps.Keys(r.Services)) {
			if r.Services[name].Owner == team {
				row(t, "  "+name, r.Services[name].Metrics)
			}
		}
	}
	if len(r.Systems) > 0 {
		_, _ = fmt.Fprintln(t, "\nby system\tdeployments\tlead time\tfailures\trecovery\trework\tfirst delivery")
	}
	for _, system := range slices.Sorted(maps.Keys(r.Systems)) {
		row(t, system, r.Systems[system].Metrics)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString("\n" + counts("on the path", r.Adoption.Stages, r.Adoption.Services) + counts("idp", r.Adoption.Suites, r.Adoption.Services))
	_, err := io.WriteString(w, b.String())
	return err
}

func row(w io.Writer, name string, m Metrics) {
	_, _ = fmt.Fprintf(w, "%s\t%d%s\t%s\t%s\t%s\t%s\t%s\n", ui.Clean(name), m.Deployments, m.rate(), m.LeadTime.text(),
		portion(m.Failed, m.FailureRate), m.Recovery.text(), portion(m.Rework, m.ReworkRate), m.FirstDelivery.text())
}

// rate is how often it is deployed, where that is known.
func (m Metrics) rate() string {
	if m.PerWeek == nil {
		return ""
	}
	return fmt.Sprintf(" (%.1f a week)", *m.PerWeek)
}

func (s *Spread) text() string {
	if s == nil {
		return "–"
	}
	return Span(s.Median)
}

// portion is a number and its share.
func portion(n int, rate *float64) string {
	if rate == nil {
		return "–"
	}
	return fmt.Sprintf("%d (%.0f %%)", n, *rate*100)
}

// Span is a time in seconds as a person reads it: the two largest units.
func Span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
}

// counts lists how many of all services have something, the most common first.
func counts(what string, by map[string]int, all int) string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(by[b]-by[a], strings.Compare(a, b)) })
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf("%s %d", ui.Clean(name), by[name]))
	}
	if len(list) == 0 {
		list = []string{"–"}
	}
	services := "services"
	if all == 1 {
		services = "service"
	}
	return fmt.Sprintf("%s, of %d %s: %s\n", what, all, services, strings.Join(list, ", "))
}
