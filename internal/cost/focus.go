package cost

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Row is one charge in the columns of FOCUS 1.2 (focus.finops.org) that an estimate can fill. Those that only an invoice
// has, such as the billing account, are left out. A row is one resource of one container or claim; ListCost is that of the
// most replicas, as at the gate, and x_ListCostMin that of the fewest. BilledCost is 0: nobody is billed for an estimate.
type Row struct {
	BilledCost         json.Number `json:"BilledCost"`
	BillingCurrency    string      `json:"BillingCurrency"`
	BillingPeriodStart string      `json:"BillingPeriodStart"`
	BillingPeriodEnd   string      `json:"BillingPeriodEnd"`
	ChargeCategory     string      `json:"ChargeCategory"`
	ChargeDescription  string      `json:"ChargeDescription"`
	ChargePeriodStart  string      `json:"ChargePeriodStart"`
	ChargePeriodEnd    string      `json:"ChargePeriodEnd"`
	ListCost           json.Number `json:"ListCost"`
	ListUnitPrice      json.Number `json:"ListUnitPrice"`
	PricingQuantity    json.Number `json:"PricingQuantity"`
	PricingUnit        string      `json:"PricingUnit"`
	ResourceName       string      `json:"ResourceName"`
	ServiceCategory    string      `json:"ServiceCategory"`
	ServiceName        string      `json:"ServiceName"`
	Tags               Tags        `json:"Tags"`
	Estimate           bool        `json:"x_Estimate"`
	ListCostMin        json.Number `json:"x_ListCostMin"`
	Prices             string      `json:"x_Prices"`
}

// Tags says whose charge it is.
type Tags struct {
	Service     string `json:"service"`
	Team        string `json:"team"`
	Environment string `json:"environment"`
}

// FOCUS gives the rows of the same estimate that Run makes, also where that is over the budget.
func FOCUS(in Inputs) ([]Row, error) {
	prices, err := LoadPrices(in.Prices)
	if err != nil {
		return nil, err
	}
	est := newEstimate(in.Objects, prices)
	if err := determined(est); err != nil {
		return nil, err
	}
	start := time.Date(in.Month.UTC().Year(), in.Month.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	from, to := start.Format(time.RFC3339), start.AddDate(0, 1, 0).Format(time.RFC3339)
	rows := []Row{}
	for _, l := range est.lines {
		for _, r := range []struct {
			what, category, unit string
			amount               *big.Rat
			price                float64
		}{
			{"CPU", "Compute", "Core-Hours", l.cpu, prices.CPU},
			{"memory", "Compute", "GiB-Hours", l.memory, prices.Memory},
			{"storage", "Storage", "GiB-Hours", l.storage, prices.Storage},
		} {
			if r.amount.Sign() == 0 {
				continue
			}
			most := product(r.amount, big.NewRat(int64(hours*l.maxCount), 1))
			least := product(r.amount, big.NewRat(int64(hours*l.minCount), 1))
			rows = append(rows, Row{
				BilledCost: "0", BillingCurrency: prices.Currency, BillingPeriodStart: from, BillingPeriodEnd: to,
				ChargeCategory: "Usage", ChargeDescription: "Estimate of requested " + r.what, ChargePeriodStart: from, ChargePeriodEnd: to,
				ListCost: decimal(product(most, exact(r.price))), ListUnitPrice: decimal(exact(r.price)),
				PricingQuantity: decimal(most), PricingUnit: r.unit,
				ResourceName: l.workload + "/" + l.name, ServiceCategory: r.category, ServiceName: in.Service,
				Tags:     Tags{in.Service, in.Owner, in.Environment},
				Estimate: true, ListCostMin: decimal(product(least, exact(r.price))), Prices: prices.String(),
			})
		}
	}
	return rows, nil
}

// FOCUSJSON writes the rows as a JSON array.
func FOCUSJSON(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

// FOCUSCSV writes the rows as CSV with a header. Text that a spreadsheet would take for a formula gets a quote before it:
// names come from a repository that others can write to, and this file is opened by those who pay.
func FOCUSCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	table := [][]string{{"BilledCost", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeDescription",
		"ChargePeriodStart", "ChargePeriodEnd", "ListCost", "ListUnitPrice", "PricingQuantity", "PricingUnit", "ResourceName",
		"ServiceCategory", "ServiceName", "Tags", "x_Estimate", "x_ListCostMin", "x_Prices"}}
	for _, r := range rows {
		tags, err := json.Marshal(r.Tags)
		if err != nil {
			return err
		}
		table = append(table, []string{string(r.BilledCost), r.BillingCurrency, r.BillingPeriodStart, r.BillingPeriodEnd, r.ChargeCategory, inert(r.ChargeDescription),
			r.ChargePeriodStart, r.ChargePeriodEnd, string(r.ListCost), string(r.ListUnitPrice), string(r.PricingQuantity), r.PricingUnit, inert(r.ResourceName),
			r.ServiceCategory, inert(r.ServiceName), string(tags), strconv.FormatBool(r.Estimate), string(r.ListCostMin), inert(r.Prices)})
	}
	return out.WriteAll(table)
}

func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// decimal keeps twelve places, without the zeros at the end.
func decimal(r *big.Rat) json.Number {
	text := strings.TrimRight(r.FloatString(12), "0")
	return json.Number(strings.TrimSuffix(text, "."))
}
