package spend

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/org/idp/internal/ui"
)

// Text writes the report for a person: what runs now, each month by team and service, and what is of nobody.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s\n", r.From.Format(time.DateOnly), r.To.Add(-time.Nanosecond).Format(time.DateOnly))
	if r.Prices != "" {
		fmt.Fprintf(&b, "estimates at the list prices of %s\n", ui.Clean(r.Prices))
	}
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	if len(r.Now) > 0 {
		line("\nas deployed now", "a month", "change")
		for _, n := range r.Now {
			line(ui.Clean(n.Service)+" in "+ui.Clean(n.Environment), span(n.Min, n.Max)+" "+ui.Clean(n.Currency), signed(n.Change))
		}
		line()
	}
	if len(r.Now)+len(r.Organization)+len(r.Unattributed) == 0 {
		line("nothing was deployed or charged")
	}
	month := ""
	for _, s := range r.Organization {
		if s.Month != month {
			month = s.Month
			line(month, "estimate", "CI", "actual")
		}
		line(append([]string{"all"}, s.cells()...)...)
		for _, team := range r.Teams {
			if team.Month != s.Month || team.Currency != s.Currency {
				continue
			}
			line(append([]string{"  " + ui.Clean(cmp.Or(team.Name, "(nobody)"))}, team.cells()...)...)
			for _, row := range r.Rows {
				if row.Month == s.Month && row.Currency == s.Currency && row.Owner == team.Name {
					line(append([]string{"    " + ui.Clean(row.Service) + " in " + ui.Clean(row.Environment)}, row.cells()...)...)
				}
			}
		}
	}
	for _, s := range r.Systems {
		line(append([]string{s.Month + ", system " + ui.Clean(s.Name)}, s.cells()...)...)
	}
	for _, u := range r.Unattributed {
		line(append([]string{u.Month + ", of no service"}, u.cells()...)...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (m Money) cells() []string {
	estimate := "–"
	if m.Estimate != nil && m.EstimateMin != nil {
		estimate = span(*m.EstimateMin, *m.Estimate) + " " + ui.Clean(m.Currency)
	}
	return []string{estimate, amount(m.CI, m.Currency), amount(m.Actual, m.Currency)}
}

func amount(n *float64, currency string) string {
	if n == nil {
		return "–"
	}
	return cents(*n) + " " + ui.Clean(currency)
}

// cents is an amount; what is small is not nothing.
func cents(f float64) string {
	if f > 0 && f < .01 {
		return "<0.01"
	}
	return fmt.Sprintf("%.2f", f)
}

func span(low, high float64) string {
	a, b := cents(low), cents(high)
	if a == b {
		return a
	}
	return a + "–" + b
}

func signed(n *float64) string {
	if n == nil {
		return "–"
	}
	return fmt.Sprintf("%+.2f", *n)
}
