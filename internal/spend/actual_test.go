package spend_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/spend"
)

// The form is that of OpenCost's documentation of /allocation; label names are those that Prometheus makes of ours.
const openCost = `{"code":200,"status":"success","data":[
 {"__idle__":{"name":"__idle__","properties":{"cluster":"one"},"window":{"start":"2026-11-01T00:00:00Z","end":"2026-11-02T00:00:00Z"},"totalCost":4.5},
  "checkout/production":{"name":"checkout/production","properties":{"cluster":"one","labels":{"idp_service":"checkout","idp_environment":"production"}},
   "window":{"start":"2026-11-01T00:00:00Z","end":"2026-11-02T00:00:00Z"},"minutes":1440,"cpuCost":0.5,"ramCost":0.25,"totalCost":0.75}},
 {"checkout/production":{"name":"checkout/production","properties":{"labels":{"idp_service":"checkout","idp_environment":"production"}},
   "window":{"start":"2026-11-02T00:00:00Z","end":"2026-11-03T00:00:00Z"},"totalCost":1}}]}`

const focus = "BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,Tags,x_Estimate\n" +
	`9,0.75,USD,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,"{""idp/service"":""checkout"",""idp/environment"":""production""}",` + "\n" +
	`4.5,,USD,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,,` + "\n" +
	`0,,USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,"{""service"":""checkout""}",true` + "\n"

const focusJSON = `[{"BilledCost":9,"EffectiveCost":0.75,"BillingCurrency":"USD","ChargePeriodStart":"2026-11-01T00:00:00Z","ChargePeriodEnd":"2026-11-02T00:00:00Z",
 "Tags":{"idp/service":"checkout","idp/environment":"production"}},{"BilledCost":4.5,"BillingCurrency":"USD","ChargePeriodStart":"2026-11-01T00:00:00Z"},
 {"BilledCost":0,"BillingCurrency":"USD","ChargePeriodStart":"2026-11-01T00:00:00Z","x_Estimate":true}]`

// focusValues has what FOCUS's KeyValueFormat allows as values of tags, a credit, a refund, and times as Azure exports them.
const focusValues = "BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,Tags,ChargeCategory\n" +
	`9,0.75,USD,2026-11-01T00:00Z,2026-11-02T00:00Z,"{""idp/service"":""checkout"",""idp/environment"":""production"",""critical"":true,""old"":false,""size"":42,""none"":null}",Usage` + "\n" +
	`-2,-2,USD,2026-11-01T00:00Z,2026-12-01T00:00Z,"{""service"":""checkout"",""environment"":""production""}",Credit` + "\n" +
	`-1.5,-1.5,USD,2026-11-01T00:00Z,2026-11-02T00:00Z,"{""service"":true}",Usage` + "\n"

// focusTexts has the tags in a text, as the format is a serialised object, and a null where there is no amount.
const focusTexts = `[{"BilledCost":0.75,"EffectiveCost":null,"BillingCurrency":"USD","ChargePeriodStart":"2026-11-01T00:00:00Z","ChargePeriodEnd":"2026-11-02T00:00:00Z",
 "Tags":"{\"idp/service\":\"checkout\",\"idp/environment\":\"production\",\"critical\":true}"},
 {"BilledCost":"4.5","BillingCurrency":"USD","ChargePeriodStart":"2026-11-01T00:00:00Z","ChargePeriodEnd":null,"Tags":null}]`

func TestReadActual(t *testing.T) {
	t.Parallel()
	ours := spend.Charge{Start: day("2026-11-01"), Service: "checkout", Environment: "production", Currency: "USD", Amount: 0.75}
	idle := spend.Charge{Start: day("2026-11-01"), Currency: "USD", Amount: 4.5}
	credit, refund := ours, idle
	credit.Amount, refund.Amount = -2, -1.5
	next := ours
	next.Start, next.Amount = day("2026-11-02"), 1
	for name, c := range map[string]struct {
		text string
		want []spend.Charge
	}{
		"OpenCost": {openCost, []spend.Charge{idle, ours, next}}, "FOCUS as CSV": {"\xef\xbb\xbf" + focus, []spend.Charge{ours, idle}}, "FOCUS as JSON": {focusJSON, []spend.Charge{ours, idle}},
		"all values of tags, and credits": {focusValues, []spend.Charge{ours, credit, refund}},
		"JSON with texts and nulls":       {"\xef\xbb\xbf" + focusTexts, []spend.Charge{ours, idle}},
	} {
		got, err := spend.ReadActual([]byte(c.text), "USD")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestReadActualRefuses what it cannot read whole: a charge that is left out would read as cheap.
func TestReadActualRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "it is empty",
		"{}":                               "its code is 0",
		"[1]":                              "not FOCUS rows",
		`{"code":500,"message":"no data"}`: "its code is 500",
		`{"code":200,"data":[{"a":null}]}`: `allocation "a" has no total cost`,
		strings.Replace(openCost, `"totalCost":1}`, `"x":1}`, 1):   "has no total cost or no window",
		strings.Replace(openCost, "2026-11-03T", "2026-12-03T", 1): "is of more than one month: export with step=1d",
		"a,b\n1,2\n": "there is no column BilledCost",
		strings.Replace(focus, "2026-11-02T", "2026-12-02T", 1):   "row 1: its charge period is of more than one month",
		strings.Replace(focus, "0.75", "much", 1):                 `row 1: EffectiveCost "much" is no amount`,
		strings.Replace(focus, "USD", "", 1):                      `row 1: BillingCurrency "" is no currency of ISO 4217`,
		strings.Replace(focus, "USD", "usd", 1):                   `row 1: BillingCurrency "usd" is no currency of ISO 4217`,
		strings.Replace(focus, "USD", "QQQ", 1):                   `row 1: BillingCurrency "QQQ" is no currency of ISO 4217`,
		strings.Replace(focus, `"{`, `"[`, 1):                     "row 1: its Tags are no JSON object",
		strings.ReplaceAll(focus, ",", ";"):                       "its columns are not separated by commas",
		strings.Replace(focus, "2026-11-02T00:00:00Z", "soon", 1): `row 1: ChargePeriodEnd "soon" is no time`,
		focus + `"cut`:                           "not FOCUS rows",
		focus + "1,2\n":                          "not FOCUS rows",
		strings.Replace(focus, "0.75", "NaN", 1): `row 1: EffectiveCost "NaN" is no amount`,
	} {
		if got, err := spend.ReadActual([]byte(text), "USD"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v %v, want %q", text, got, err, want)
		}
	}
}

func FuzzReadActual(f *testing.F) {
	for _, text := range []string{openCost, focus, focusJSON} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := spend.ReadActual(data, "USD")
		if err != nil {
			return
		}
		for _, c := range list {
			if len(c.Currency) != 3 || math.IsNaN(c.Amount) || math.IsInf(c.Amount, 0) {
				t.Errorf("%+v", c)
			}
		}
	})
}

// OpenCost does not say its currency, and an amount of no currency would be said of anything.
func TestCurrency(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"USD", "EUR", "JPY", "CHF", "INR"} {
		if _, err := (spend.Export{Currency: code}).Read(); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, code := range []string{"eur", "Eur", "EURO", "€", "QQQ", "US", "12A", "USD "} {
		_, err := (spend.Export{Currency: code}).Read()
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), fmt.Sprintf("input currency: %q is no currency of ISO 4217", code)) {
			t.Errorf("%q: %v", code, err)
		}
	}
	if _, err := (spend.Export{File: "gone.json"}).Read(); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), "currency") {
		t.Errorf("an export without a currency: %v", err)
	}
}
