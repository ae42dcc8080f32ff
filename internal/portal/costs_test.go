package portal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/spend"
)

// export writes FOCUS rows, each as month, service, environment, currency and amount.
func export(t testing.TB, rows ...[5]string) spend.Export {
	t.Helper()
	text := "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,Tags\n"
	for _, r := range rows {
		tags := ""
		if r[1] != "" {
			tags = fmt.Sprintf(`"{""idp/service"":""%s"",""idp/environment"":""%s""}"`, r[1], r[2])
		}
		text += fmt.Sprintf("%s,%s,%s-03T00:00:00Z,%s-04T00:00:00Z,%s\n", r[4], r[3], r[0], r[0], tags)
	}
	file := filepath.Join(t.TempDir(), "focus.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return spend.Export{File: file, Currency: "USD"}
}

// charged makes the portal of two services of one team that cost 30 USD a month since 1 September, beside an export.
func charged(t *testing.T, rows ...[5]string) (site string) {
	t.Helper()
	c := newCatalogue()
	for _, name := range []string{"checkout", "payments"} {
		c.add(sample{name: name, owner: "team-payments"})
		l := line(name, "production", 1, time.Date(2026, time.September, 1, 0, 0, 0, 0, time.UTC))
		l.Cost = &catalogfile.Cost{Currency: "USD", Min: 30, Max: 30}
		c.deliver(l)
	}
	site = filepath.Join(t.TempDir(), "site")
	if _, err := Run(t.Context(), Inputs{Catalog: c.write(t), Actual: export(t, rows...), Out: site}, deps); err != nil {
		t.Fatal(err)
	}
	return site
}

// figuresOf is the table below the chart of costs, a month a line.
func figuresOf(t *testing.T, page string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<caption class="hidden">Cost a month, estimated and charged</caption>`)
	table, _, ended := strings.Cut(rest, "</table>")
	if !found || !ended {
		t.Fatal("the page has no figures of what was charged")
	}
	for _, tag := range []string{`<span class="muted">`, "</span>", `<td class="number">`, `<th scope="row">`, "</th>", "<tbody>", "</tbody>", "<tr>"} {
		table = strings.ReplaceAll(table, tag, "")
	}
	_, body, _ := strings.Cut(table, "</thead>")
	return strings.ReplaceAll(strings.ReplaceAll(body, "</td></tr>", "\n"), "</td>", " ")
}

// TestWhatWasCharged holds the amounts by hand: nothing is added to what it is not of, and what is not known is not 0.
func TestWhatWasCharged(t *testing.T) {
	t.Parallel()
	site := charged(t, [5]string{"2026-09", "checkout", "production", "USD", "41.5"}, [5]string{"2026-10", "checkout", "production", "USD", "20"},
		[5]string{"2026-10", "checkout", "production", "USD", "2.25"}, [5]string{"2026-10", "payments", "production", "USD", "10"}, [5]string{"2026-11", "", "", "USD", "4.5"})
	page := read(t, site, "services", "checkout.html")
	// June to August: nothing was live and the export has nothing. 27 days less 14.5 hours of November are 26.396 of 30 days.
	want := "Junnot known not known not known\nJulnot known not known not known\nAugnot known not known not known\n" +
		"Sep$30.00 $30.00 $41.50\nOct$30.00 $30.00 $22.25\nNov$26.40 $26.40 not known\n"
	if got := figuresOf(t, page); got != want {
		t.Errorf("the figures are\n%s, want\n%s", got, want)
	}
	for _, want := range []string{`<span class="sub">charged in Oct: $22.25</span>`, "in Oct $22.25 charged, with $30.00 to $30.00 estimated; the figures are in the table below",
		`<span class="key charged">charged</span>`, `<title>Sep, charged: $41.50</title>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	team := read(t, site, "teams", "team-payments.html")
	if got := figuresOf(t, team); !strings.HasSuffix(got, "Sep$60.00 $60.00 $41.50\nOct$60.00 $60.00 $32.25\nNov$52.79 $52.79 not known\n") {
		t.Errorf("the figures of the team are\n%s", got)
	}
	if !strings.Contains(team, "Of 2 services the export does not have every month: what they were charged is not in the sums.") {
		t.Error("the team's page does not say that its sums are not whole")
	}
	all := read(t, site, "organisation.html")
	if !strings.Contains(all, "of no service in the catalogue, such as idle nodes: $4.50.") || !strings.Contains(all, `<span class="sub">$32.25</span>`) {
		t.Error("the organisation does not say what is of no service, or what the team was charged")
	}
	if list := read(t, site, "index.html"); !strings.Contains(list, `<span class="sub">$10.00</span>`) || !strings.Contains(list, `<span class="sub">$22.25</span>`) || !strings.Contains(list, `<span class="sub">charged in Oct</span>`) {
		t.Error("the list of services does not say what was charged")
	}
}

// TestOtherCurrencies are shown and never added or held against another.
func TestOtherCurrencies(t *testing.T) {
	t.Parallel()
	site := charged(t, [5]string{"2026-10", "checkout", "production", "EUR", "20"}, [5]string{"2026-09", "checkout", "production", "EUR", "20"}, [5]string{"2026-09", "checkout", "production", "USD", "1"})
	page := read(t, site, "services", "checkout.html")
	if got := figuresOf(t, page); !strings.Contains(got, "Sep$30.00 $30.00 20.00 EUR + $1.00\nOct$30.00 $30.00 20.00 EUR\n") {
		t.Errorf("the figures are\n%s", got)
	}
	if strings.Contains(page, `class="bar charged"`) || !strings.Contains(page, "in another currency than the estimate") {
		t.Error("what cannot be held against each other is drawn side by side")
	}
	if !strings.Contains(page, "charged in Oct: 20.00 EUR") || !strings.Contains(read(t, site, "services", "payments.html"), "charged in Oct: not known") {
		t.Error("the page does not say what was charged in October, or says it of a service that the export does not have")
	}
}

func TestAnExportOfOtherMonths(t *testing.T) {
	t.Parallel()
	site := charged(t, [5]string{"2024-10", "checkout", "production", "USD", "20"})
	page := read(t, site, "services", "checkout.html")
	if !strings.Contains(page, "The export of what was charged has nothing of these months.") || strings.Contains(page, "charged in") {
		t.Error("the page does not say that the export has nothing to show")
	}
}

func TestAnExportThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.csv")
	if err := os.WriteFile(broken, []byte("BilledCost,Tags\n1,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{broken, broken + "x"} {
		out := filepath.Join(t.TempDir(), "site")
		_, err := Run(t.Context(), Inputs{Catalog: one(catalogfile.Line{Outcome: record.Passed}).write(t), Actual: spend.Export{File: file}, Out: out}, deps)
		if fault.KindOf(err) != fault.BadInput || err == nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a site although it was refused: %v", err)
		}
	}
}
