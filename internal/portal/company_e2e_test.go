//go:build e2e

package portal

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/spend"
)

// systems of a company, each with its services and what they do.
var systems = []struct{ system, team, services string }{
	{"shop", "team-storefront", "checkout: Takes a cart to a paid order: prices, taxes, payment, receipt.|cart: Keeps what people want to buy, on every device.|product-pages: Renders products with prices, pictures and reviews.|wishlists: Keeps what people want to buy later.|storefront-gateway: The one door of the shop for browsers and apps; limits rates, checks tokens, caches what may be cached, and knows which backend is asked for what."},
	{"payments", "team-payments", "payment-intents: Talks to card processors and banks.|ledger: Every amount twice, forever.|refunds: Gives money back, once.|fraud-scores: Scores orders before they are paid.|payouts: Pays sellers on Fridays."},
	{"search", "team-discovery", "product-search: Finds products by words, filters and pictures.|recommendations: Says what goes well with what is in the cart.|search-indexer: Writes the index that product-search reads.|image-resizer: Makes pictures small."},
	{"warehouse", "team-logistics", "inventory: Knows what is in which warehouse, and what is promised already.|picking: Tells people what to fetch in which order.|stock-forecasts: Says what will be sold out on Thursday.|returns: Takes things back."},
	{"delivery", "team-logistics", "shipping: Chooses carriers and prints labels.|parcel-tracking: Follows parcels.|address-checks: Knows which addresses there are.|carrier-contracts-and-surcharge-calculation-service: Prices of carriers by zone, weight, season and contract."},
	{"accounts", "team-identity", "accounts: Sign-in, addresses, consent.|sessions: Who is signed in where.|consent: What people agreed to, and when.|permissions: Who may do what."},
	{"messages", "team-identity", "notifications: Mail, SMS and push, with quiet hours.|templates: What messages look like.|newsletter: One mail on Thursdays, to those who want it."},
	{"back-office", "team-internal-tools-and-back-office-automation", "invoices: Writes invoices and sends them, once.|tax-reports: What is owed to whom.|seller-onboarding: Who may sell.|reviews-moderation: Which reviews are shown.|price-lists: What things cost where.|audit-log: Who did what."},
	{"", "team-platform", "ci-runners: Runs everybody's jobs.|feature-flags: Who sees what.|config-service: What services are told at start.|edge-cache: Near to people.|synthetic-traffic: Buys things at night, and sends them back."},
}

// company is an organisation with nine months of history, as a platform team has it on a Monday: most of it well, some of it not.
func company(t testing.TB) (*catalogue, spend.Export) {
	c, n := newCatalogue(), 0
	var charges [][5]string
	var previous string
	for _, sys := range systems {
		for j, text := range strings.Split(sys.services, "|") {
			name, description, _ := strings.Cut(text, ": ")
			s := sample{name: name, description: description, owner: sys.team, system: sys.system, tier: 1 + (n*7+j)%4, slo: []string{"99.95", "99.9", "", "99.5"}[(n+j)%4]}
			if n%6 != 4 {
				s.extra = links(name)
			}
			if previous != "" {
				s.spec += "  dependsOn: [component:" + previous + []string{"", ", resource:checkout-db"}[n%2] + "]\n"
			}
			if name == "synthetic-traffic" { // one person's own
				s.owner = "user:default/jane"
			}
			if j == 0 && sys.system != "" {
				s.spec += "  providesApis: [" + sys.system + "-api]\n"
			}
			if n%3 == 1 {
				s.spec += "  consumesApis: [payments-api]\n"
			}
			c.add(s)
			c.months(name, n)
			for m := range 6 { // not every service is in every bill
				if when := time.Date(2026, time.June+time.Month(m), 9, 0, 0, 0, 0, time.UTC); n%9 != 8 && (m > 0 || n%2 == 0) {
					environment := "production"
					if n%7 == 0 {
						environment = "production-eu-central"
					}
					charges = append(charges, [5]string{when.Format("2006-01"), name, environment, "USD", fmt.Sprintf("%.2f", 18+float64((n*37+m*11)%80)*float64(1+n%3))})
				}
			}
			previous = name
			n++
		}
		if sys.system != "" {
			c.things(sys.system, sys.system+"-api")
			c.files["catalog/groups/"+sys.team+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "kind: Group\nmetadata: {name: %s, description: On call by turns; ask in the channel first.}\nspec: {type: team, children: []}\n", sys.team)}
		}
	}
	charges = append(charges, [5]string{"2026-10", "", "", "USD", "412.80"}, [5]string{"2026-11", "", "", "USD", "388.10"})
	return c, export(t, charges...)
}

// months of deliveries of one service to up to four environments.
func (c *catalogue) months(name string, i int) {
	if i%13 == 12 { // new: nothing has come through yet
		l := line(name, "staging", 1, now.Add(-5*time.Hour))
		c.deliver(failed(l, record.Failed, "sast", false))
		return
	}
	every := 1 + (i*5)%9 // days between deliveries
	number := 0
	for day := 265 - (i*11)%90; day > i%5; day -= every + (day+i)%3 {
		number++
		when := now.Add(-time.Duration(day)*24*time.Hour + time.Duration((number*97+i*31)%600)*time.Minute)
		targets := []string{"staging", "production"}
		if i%7 == 0 {
			targets = []string{"staging", "production-eu-central", "production-us-east"}
		}
		for k, environment := range targets {
			l := line(name, environment, number, when.Add(time.Duration(k)*50*time.Minute))
			l.Suite = []string{"v1.4.0", "v1.4.0", "v1.3.2", "v1.4.0", "v1.2.0"}[i%5]
			l.Brings.Commits[0].Time = when.Add(-time.Duration(2+(number*number+i*5)%40+day/10) * time.Hour)
			l.Cost.Min, l.Cost.Max = l.Cost.Min*float64(1+i%4), l.Cost.Max*float64(1+i%4)
			if i%11 == 5 {
				l.Cost = nil
			}
			changed := true
			l.Changed = &changed
			switch bad := (number + k*3 + i) % 17; {
			case bad == 5 && k == 0:
				c.deliver(failed(l, record.Failed, "sast", false))
			case bad == 9 && k > 0:
				c.deliver(failed(l, record.Failed, "smoke", true))
				continue
			case bad == 13 && k > 0 && number%2 == 0:
				c.deliver(failed(l, record.Failed, "deploy", true))
				continue
			default:
				c.deliver(l)
				continue
			}
			break
		}
	}
	last := line(name, "production", number+1, now.Add(-time.Duration(40+i)*time.Minute))
	switch i {
	case 3:
		c.deliver(failed(last, record.Failed, "smoke", true))
	case 16:
		c.deliver(failed(last, record.Error, "deploy", false))
	case 22:
		c.deliver(catalogfile.Line{Service: name, Environment: "production", Time: now.Add(-time.Hour), Commit: last.Commit, Digest: last.Digest, Outcome: record.Passed,
			Stages: []catalogfile.Stage{{Name: record.StageRollback, Outcome: record.Passed, DurationMS: 9000}}})
	}
}
