// Package cost estimates what a service costs a month from its manifests, and holds that against a budget.
//
// The estimate is what the manifests reserve at list prices: replicas × 730 hours × (requested CPU and memory), plus the
// claimed volumes; a range where an autoscaler moves between two numbers of replicas. It is not a bill.
package cost

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/record"
)

// Inputs is what the stage takes.
type Inputs struct {
	Prices string

	// Filled in by the app.
	Objects        manifest.Set
	Budget         *float64 // a month; nil: there is none
	BudgetCurrency string
}

// Declare declares what a user may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.Prices, action.Input{Name: "prices", Example: "prices.yaml",
		Usage: "File of list prices. Default: the one built in, OpenCost's defaults in USD."})
}

// Deps is empty: the stage only calculates.
type Deps struct{}

// Outputs is the estimate; it is filled beside an error of the budget, too.
type Outputs = action.Result[record.Cost]

// Run estimates, then holds the highest estimate against the budget.
func Run(ctx context.Context, in Inputs, _ Deps) (Outputs, error) {
	if err := ctx.Err(); err != nil {
		return Outputs{}, err
	}
	prices, err := LoadPrices(in.Prices)
	if err != nil {
		return Outputs{}, err
	}
	est := newEstimate(in.Objects, prices)
	out := Outputs{Summary: summary(est, prices, in), Evidence: evidence(est, prices, in.Budget)}
	if err := determined(est); err != nil {
		out.Summary = ""
		return out, err
	}
	return out, gate(est, prices, in)
}

// determined refuses an estimate that leaves out what runs: such a number reads as cheap.
func determined(est estimate) error {
	switch {
	case len(est.missing) == 1:
		return fault.Undeterminedf("%s: its cost cannot be estimated", est.missing[0]).WithNext(nextMissing...)
	case len(est.missing) > 1:
		return fault.Undeterminedf("the cost cannot be estimated: %d gaps in the manifests", len(est.missing)).
			WithDetail(est.missing...).WithNext(nextMissing...)
	case len(est.lines) == 0 && len(est.left) > 0:
		return fault.Undeterminedf("nothing in the manifests can be estimated").WithDetail(est.left...)
	case len(est.lines) == 0:
		return fault.Undeterminedf("no workload is among the manifests, so there is nothing to estimate")
	}
	return nil
}

var nextMissing = []string{"Give every container resources.requests of cpu and memory, and every volume claim one of storage. " +
	"Manifests that idp generates have them."}

// gate compares what people see: amounts rounded to cents.
func gate(est estimate, prices Prices, in Inputs) error {
	if in.Budget == nil {
		return nil
	}
	if in.BudgetCurrency != prices.Currency {
		return fault.BadInputf("the budget is in %s and the prices (%s) are in %s", in.BudgetCurrency, prices, prices.Currency).
			WithNext("Give the budget in " + prices.Currency + ", or a price file in " + in.BudgetCurrency + " with the input prices.")
	}
	if !(*in.Budget >= 0) { // also refuses a NaN
		return fault.BadInputf("a budget of %v is not an amount", *in.Budget)
	}
	if cents(est.max) <= *in.Budget {
		return nil
	}
	return fault.Failedf("%s a month is over the budget of %s", money(est.max, prices.Currency), budget(*in.Budget, prices.Currency)).
		WithDetail(composition(est, prices)...).
		WithNext("Lower scale or size in idp.yaml, or raise the budget with those who pay it.")
}

func evidence(est estimate, prices Prices, budget *float64) record.Cost {
	c := record.Cost{Currency: prices.Currency, Min: cents(est.min), Max: cents(est.max), Budget: budget,
		Prices: prices.String(), Rates: &record.Rates{CPU: prices.CPU, Memory: prices.Memory, Storage: prices.Storage}, Containers: []record.ContainerCost{}, Left: slices.Concat(est.left, est.missing)}
	for _, l := range est.lines {
		if l.claim {
			c.Volumes = append(c.Volumes, record.VolumeCost{Workload: l.workload, Claim: l.name, StorageGB: number(l.storage), MinCount: l.minCount, MaxCount: l.maxCount, Min: cents(l.min), Max: cents(l.max)})
			continue
		}
		c.Containers = append(c.Containers, record.ContainerCost{Workload: l.workload, Container: l.name, MinReplicas: l.minCount, MaxReplicas: l.maxCount,
			CPU: number(l.cpu), MemoryGB: number(l.memory), Min: cents(l.min), Max: cents(l.max)})
	}
	return c
}

func summary(est estimate, prices Prices, in Inputs) string {
	text := span(est.min, est.max, prices.Currency) + " a month"
	if in.Budget != nil && in.BudgetCurrency == prices.Currency {
		text += fmt.Sprintf(" (budget %s)", budget(*in.Budget, prices.Currency))
	}
	var without []string
	for _, left := range est.left {
		name, _, _ := strings.Cut(left, ":")
		without = append(without, name)
	}
	if len(without) > 0 {
		text += ", without " + strings.Join(without, ", ")
	}
	return text
}

// composition says line by line what the estimate is made of.
func composition(est estimate, prices Prices) []string {
	var lines []string
	for _, l := range est.lines {
		what := fmt.Sprintf("container %s: %s × (%s cores, %s GB)", l.name, countSpan(l), l.cpu.FloatString(3), l.memory.FloatString(3))
		if l.claim {
			what = fmt.Sprintf("volume %s: %s × %s GB", l.name, countSpan(l), l.storage.FloatString(3))
		}
		lines = append(lines, fmt.Sprintf("%s, %s = %s", l.workload, what, span(l.min, l.max, prices.Currency)))
	}
	for _, left := range est.left {
		lines = append(lines, "not in it: "+left)
	}
	return append(lines, "prices: "+prices.String())
}

func countSpan(l line) string {
	if l.minCount == l.maxCount {
		return fmt.Sprint(l.maxCount)
	}
	return fmt.Sprintf("%d–%d", l.minCount, l.maxCount)
}

func span(low, high *big.Rat, currency string) string {
	if low.FloatString(2) == high.FloatString(2) {
		return money(high, currency)
	}
	return money(low, currency) + "–" + money(high, currency)
}

// money is an amount in cents: $11.40, or 11.40 EUR.
func money(r *big.Rat, currency string) string { return withCurrency(r.FloatString(2), currency) }

// budget is an amount as a person wrote it: $300, or $299.50.
func budget(f float64, currency string) string {
	return withCurrency(strings.TrimSuffix(fmt.Sprintf("%.2f", f), ".00"), currency)
}

func withCurrency(amount, currency string) string {
	if currency == "USD" {
		return "$" + amount
	}
	return amount + " " + currency
}

// cents rounds half away from zero, once, at the end.
func cents(r *big.Rat) float64 {
	rounded, _ := new(big.Rat).SetString(r.FloatString(2))
	return number(rounded)
}

func number(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}
