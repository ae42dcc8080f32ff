package cost

import (
	"encoding/json"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// Charged is whose estimate it is, and for when.
type Charged struct {
	Service, Owner, Environment string
	Month                       time.Time // any time in it
}

// FOCUS gives the rows of an estimate, from the record alone, so that they are the same wherever they are made.
func FOCUS(c record.Cost, of Charged) ([]catalogfile.CostRow, error) {
	if c.Rates == nil || len(c.Containers)+len(c.Volumes) == 0 {
		return nil, fault.Undeterminedf("the record does not say what the estimate is made of")
	}
	rows := []catalogfile.CostRow{}
	add := func(resource, what, category, unit string, amount, price float64, low, high int) {
		if amount == 0 {
			return
		}
		least, most := product(exact(amount), big.NewRat(int64(hours*low), 1)), product(exact(amount), big.NewRat(int64(hours*high), 1))
		r := of.row(c)
		r.ChargeDescription, r.ResourceName, r.ServiceCategory = "Estimate of requested "+what, resource, category
		r.ListUnitPrice, r.PricingQuantity, r.PricingUnit = decimal(exact(price)), decimal(most), unit
		r.ListCost, r.ListCostMin = decimal(product(most, exact(price))), decimal(product(least, exact(price)))
		rows = append(rows, r)
	}
	for _, l := range c.Containers {
		name := l.Workload + "/" + l.Container
		add(name, "CPU", "Compute", "Core-Hours", l.CPU, c.Rates.CPU, l.MinReplicas, l.MaxReplicas)
		add(name, "memory", "Compute", "GiB-Hours", l.MemoryGB, c.Rates.Memory, l.MinReplicas, l.MaxReplicas)
	}
	for _, l := range c.Volumes {
		add(l.Workload+"/"+l.Claim, "storage", "Storage", "GiB-Hours", l.StorageGB, c.Rates.Storage, l.MinCount, l.MaxCount)
	}
	return rows, nil
}

// row is what all rows of an estimate have in common.
func (of Charged) row(c record.Cost) catalogfile.CostRow {
	start := time.Date(of.Month.UTC().Year(), of.Month.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	from, to := start.Format(time.RFC3339), start.AddDate(0, 1, 0).Format(time.RFC3339)
	return catalogfile.CostRow{BilledCost: "0", BillingCurrency: c.Currency, BillingPeriodStart: from, BillingPeriodEnd: to, ChargeCategory: "Usage",
		ChargePeriodStart: from, ChargePeriodEnd: to, ServiceName: of.Service, Tags: catalogfile.CostTags{Service: of.Service, Team: of.Owner, Environment: of.Environment},
		Estimate: true, Prices: c.Prices}
}

// FOCUSJSON writes the rows as a JSON array.
func FOCUSJSON(w io.Writer, rows []catalogfile.CostRow) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

// decimal keeps twelve places, without the zeros at the end.
func decimal(r *big.Rat) json.Number {
	text := strings.TrimRight(r.FloatString(12), "0")
	return json.Number(strings.TrimSuffix(text, "."))
}
