package catalogfile

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// CostRow is one charge in the columns of FOCUS 1.2 (focus.finops.org) that an estimate can fill. Those that only an invoice
// has, such as the billing account, are left out. A row is one resource of one container or claim; ListCost is that of the
// most replicas, as at the gate, and x_ListCostMin that of the fewest. BilledCost is 0: nobody is billed for an estimate.
type CostRow struct {
	BilledCost         json.Number `json:"BilledCost"`
	BillingCurrency    string      `json:"BillingCurrency" jsonschema:"pattern=^[A-Z]{3}$"`
	BillingPeriodStart string      `json:"BillingPeriodStart" jsonschema:"format=date-time"`
	BillingPeriodEnd   string      `json:"BillingPeriodEnd" jsonschema:"format=date-time"`
	ChargeCategory     string      `json:"ChargeCategory" jsonschema:"enum=Usage"`
	ChargeDescription  string      `json:"ChargeDescription"`
	ChargePeriodStart  string      `json:"ChargePeriodStart" jsonschema:"format=date-time"`
	ChargePeriodEnd    string      `json:"ChargePeriodEnd" jsonschema:"format=date-time"`
	ListCost           json.Number `json:"ListCost"`
	ListUnitPrice      json.Number `json:"ListUnitPrice"`
	PricingQuantity    json.Number `json:"PricingQuantity"`
	PricingUnit        string      `json:"PricingUnit" jsonschema:"enum=Core-Hours,enum=GiB-Hours"`
	ResourceName       string      `json:"ResourceName" jsonschema:"minLength=1"`
	ServiceCategory    string      `json:"ServiceCategory" jsonschema:"enum=Compute,enum=Storage"`
	ServiceName        string      `json:"ServiceName" jsonschema:"minLength=1"`
	Tags               CostTags    `json:"Tags"`
	Estimate           bool        `json:"x_Estimate"`
	ListCostMin        json.Number `json:"x_ListCostMin"`
	Prices             string      `json:"x_Prices"`
}

// CostTags says whose charge it is.
type CostTags struct {
	Service     string `json:"service"`
	Team        string `json:"team"`
	Environment string `json:"environment"`
}

// WriteCosts writes the rows as CSV with a header. Text that a spreadsheet would take for a formula gets a quote before it:
// names come from a repository that others can write to, and this file is opened by those who pay.
func WriteCosts(w io.Writer, rows []CostRow) error {
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
