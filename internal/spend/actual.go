package spend

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
)

// Export is a file with what was really charged.
type Export struct{ File, Currency string }

// Declare declares the inputs that users may set.
func (e *Export) Declare(s *action.Set) {
	s.String(&e.File, action.Input{Name: "actual", Example: "allocation.json",
		Usage: "File with what was really charged: the answer of OpenCost's allocation API, or FOCUS rows as CSV or JSON. It is shown beside the estimate."})
	s.String(&e.Currency, action.Input{Name: "currency", Default: "USD", Example: "EUR", Usage: "Currency of OpenCost, which does not say it."})
}

// known tells whether a text is the code of a currency, as ISO 4217 writes it.
func known(code string) bool {
	unit, err := currency.ParseISO(code)
	return err == nil && unit.String() == code
}

// maxExport is in bytes: a month of a thousand services by day has some 30 MB.
const maxExport = 256 << 20

// Read reads the export; nil where none is named. One that cannot be read whole is bad input.
func (e Export) Read() ([]Charge, error) {
	if e.File == "" && e.Currency == "" {
		return nil, nil
	}
	if !known(e.Currency) {
		return nil, fault.BadInputf("input currency: %.20q is no currency of ISO 4217", e.Currency).WithNext("Give its code of three capital letters, such as EUR.")
	}
	if e.File == "" {
		return nil, nil
	}
	f, err := os.Open(e.File)
	if err != nil {
		return nil, fault.BadInputf("input actual: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxExport+1))
	if err != nil {
		return nil, fault.Undeterminedf("the export %s cannot be read: %w", e.File, err)
	}
	if len(data) > maxExport {
		return nil, fault.BadInputf("the export %s is larger than %d MB", e.File, maxExport>>20)
	}
	list, err := ReadActual(data, e.Currency)
	if err != nil {
		return nil, fault.BadInputf("the export %s cannot be read: %w", e.File, err).WithNext("docs/cost.md says which exports can be read.")
	}
	if list == nil {
		list = []Charge{} // there is an export, and it has nothing
	}
	return list, nil
}

// Charge is an amount that an export says somebody was charged with.
type Charge struct {
	Start                time.Time
	Service, Environment string // empty where the export does not say it
	Currency             string
	Amount               float64
}

// The labels that idp gives to everything that it deploys, in the ways that exports name them: Kubernetes's own, and
// Prometheus's, which has no slash.
var (
	serviceLabels     = []string{"idp/service", "idp_service", "service"}
	environmentLabels = []string{"idp/environment", "idp_environment", "environment"}
)

// ReadActual reads an export: the answer of OpenCost's allocation API, or FOCUS rows as CSV or as a JSON array. OpenCost does not
// say its currency, so it is given. Rows that FOCUS marks as an estimate of idp's own are left out.
func ReadActual(data []byte, unit string) ([]Charge, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // as Windows writes it before any text
	switch trimmed := bytes.TrimSpace(data); {
	case len(trimmed) == 0:
		return nil, errors.New("it is empty")
	case trimmed[0] == '{':
		return readOpenCost(trimmed, unit)
	case trimmed[0] == '[':
		return readFOCUSJSON(trimmed)
	default:
		return readFOCUSCSV(data)
	}
}

// allocation is one of OpenCost's, https://opencost.io/docs/integrations/api.
type allocation struct {
	Name       string `json:"name"`
	Properties struct {
		Labels map[string]string `json:"labels"`
	} `json:"properties"`
	Window struct {
		Start time.Time `json:"start"`
		End   time.Time `json:"end"`
	} `json:"window"`
	TotalCost *float64 `json:"totalCost"`
}

func readOpenCost(data []byte, unit string) ([]Charge, error) {
	var answer struct {
		Code int                      `json:"code"`
		Data []map[string]*allocation `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("not an answer of OpenCost's allocation API: %w", err)
	}
	if answer.Code != 200 || len(answer.Data) == 0 {
		return nil, fmt.Errorf("not an answer of OpenCost's allocation API with data: its code is %d", answer.Code)
	}
	var list []Charge
	for _, set := range answer.Data {
		for name, a := range set {
			if a == nil || a.TotalCost == nil || a.Window.Start.IsZero() {
				return nil, fmt.Errorf("allocation %q has no total cost or no window", name)
			}
			if crosses(a.Window.Start, a.Window.End) {
				return nil, fmt.Errorf("allocation %q is of more than one month: export with step=1d", name)
			}
			list = append(list, Charge{Start: a.Window.Start, Currency: unit, Amount: *a.TotalCost,
				Service: first(a.Properties.Labels, serviceLabels), Environment: first(a.Properties.Labels, environmentLabels)})
		}
	}
	slices.SortFunc(list, func(a, b Charge) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Amount, b.Amount))
	})
	return list, nil
}

// crosses tells whether a charge is of two months, so that no month could be told its share.
func crosses(start, end time.Time) bool {
	if end.IsZero() {
		return false
	}
	last := end.Add(-time.Nanosecond).UTC()
	return last.Format("2006-01") != start.UTC().Format("2006-01")
}

func first(labels map[string]string, names []string) string {
	for _, n := range names {
		if v := labels[n]; v != "" {
			return v
		}
	}
	return ""
}

// focusRow has the columns of FOCUS 1.2 that are read, as text. https://focus.finops.org/focus-specification/v1-2/
type focusRow struct {
	BilledCost, EffectiveCost, BillingCurrency, ChargePeriodStart, ChargePeriodEnd, Tags, Estimate string
}

func (r focusRow) charge() (c Charge, ok bool, err error) {
	if r.Estimate == "true" {
		return c, false, nil
	}
	start, err := focusTime(r.ChargePeriodStart)
	if err != nil {
		return c, false, fmt.Errorf("ChargePeriodStart %.40q is no time", r.ChargePeriodStart)
	}
	if end, err := focusTime(r.ChargePeriodEnd); err != nil && r.ChargePeriodEnd != "" {
		return c, false, fmt.Errorf("ChargePeriodEnd %.40q is no time", r.ChargePeriodEnd)
	} else if crosses(start, end) {
		return c, false, errors.New("its charge period is of more than one month")
	}
	amount, err := strconv.ParseFloat(cmp.Or(r.EffectiveCost, r.BilledCost), 64)
	if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) {
		return c, false, fmt.Errorf("EffectiveCost %.40q is no amount", cmp.Or(r.EffectiveCost, r.BilledCost))
	}
	if !known(r.BillingCurrency) {
		return c, false, fmt.Errorf("BillingCurrency %.40q is no currency of ISO 4217", r.BillingCurrency)
	}
	tags, err := focusTags(r.Tags)
	if err != nil {
		return c, false, fmt.Errorf("its Tags are no JSON object: %w", err)
	}
	return Charge{Start: start, Service: first(tags, serviceLabels), Environment: first(tags, environmentLabels),
		Currency: r.BillingCurrency, Amount: amount}, true, nil
}

// focusTime reads FOCUS's form, and Azure's, which leaves out the seconds.
func focusTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04Z", text)
	}
	return t, err
}

// focusTags gives the tags that are texts. Others are numbers, null, and true for a tag that has no value: FOCUS's attribute
// KeyValueFormat. In a row of JSON the object is in a text of its own, or stands as it is.
func focusTags(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	var within string
	if json.Unmarshal([]byte(text), &within) == nil && within != "" {
		text = within
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for name, value := range all {
		if s, ok := value.(string); ok {
			tags[name] = s
		}
	}
	return tags, nil
}

func charges(rows []focusRow) ([]Charge, error) {
	list := []Charge{}
	for n, r := range rows {
		c, ok, err := r.charge()
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n+1, err)
		}
		if ok {
			list = append(list, c)
		}
	}
	return list, nil
}

func readFOCUSJSON(data []byte) ([]Charge, error) {
	var raw []map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("not FOCUS rows: %w", err)
	}
	rows := make([]focusRow, len(raw))
	for i, r := range raw {
		text := func(name string) string {
			if value := string(r[name]); value != "null" {
				return strings.Trim(value, `"`)
			}
			return ""
		}
		rows[i] = focusRow{text("BilledCost"), text("EffectiveCost"), text("BillingCurrency"), text("ChargePeriodStart"), text("ChargePeriodEnd"),
			string(r["Tags"]), text("x_Estimate")}
	}
	return charges(rows)
}

func readFOCUSCSV(data []byte) ([]Charge, error) {
	in := csv.NewReader(bytes.NewReader(data))
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("not FOCUS rows: %w", err)
	}
	column := map[string]int{}
	for i, name := range head {
		column[name] = i
	}
	for _, name := range []string{"BilledCost", "BillingCurrency", "ChargePeriodStart", "Tags"} {
		if _, ok := column[name]; !ok {
			if len(head) == 1 && strings.Contains(head[0], ";") {
				return nil, errors.New("not FOCUS rows: its columns are not separated by commas")
			}
			return nil, fmt.Errorf("not FOCUS rows: there is no column %s", name)
		}
	}
	var rows []focusRow
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return charges(rows)
		}
		if err != nil {
			return nil, fmt.Errorf("not FOCUS rows: %w", err)
		}
		text := func(name string) string {
			if i, ok := column[name]; ok {
				return record[i]
			}
			return ""
		}
		rows = append(rows, focusRow{text("BilledCost"), text("EffectiveCost"), text("BillingCurrency"), text("ChargePeriodStart"), text("ChargePeriodEnd"),
			text("Tags"), text("x_Estimate")})
	}
}
