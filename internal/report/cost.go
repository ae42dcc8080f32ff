package report

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/org/idp/internal/record"
)

// costs are the estimate of this change and of what it changes; ok is false where they cannot be compared.
func costs(r Report) (before, now record.Cost, ok bool) {
	now, err := record.EvidenceOf[record.Cost](r.Record, record.StageCost)
	if err != nil || r.CostBefore == nil || r.CostBefore.Currency != now.Currency {
		return before, now, false
	}
	return *r.CostBefore, now, true
}

// costChange is what the change adds to the estimate, for behind it.
func costChange(r Report) string {
	before, now, ok := costs(r)
	switch {
	case !ok && r.CostUnknown != "":
		return "; what it adds is not known: " + r.CostUnknown
	case !ok:
		return ""
	}
	low, high := change(before.Min, now.Min, now.Currency), change(before.Max, now.Max, now.Currency)
	switch {
	case low == "" && high == "":
		return ", as before"
	case low == high:
		return ", " + low
	case low == "":
		return ", up to " + high
	case high == "":
		return ", at least " + low
	}
	return fmt.Sprintf(", %s to %s", low, high)
}

// costDiff folds the containers and volumes whose estimate changes.
func costDiff(r Report) part {
	before, now, ok := costs(r)
	if !ok {
		return part{}
	}
	was, is := shares(before), shares(now)
	p := part{open: fmt.Sprintf("\n<details><summary>Cost a month: %s%s</summary>\n\n| | before | after |\n|---|---:|---:|\n",
		inHTML(amounts(now.Min, now.Max, now.Currency)), inHTML(costChange(r))), end: "\n</details>\n", more: "lines of the cost"}
	old, new := byName(was), byName(is)
	for _, s := range is {
		if old[s.name] != s.text {
			p.items = append(p.items, costLine(s.name, old[s.name], s.text))
		}
	}
	for _, s := range was {
		if _, still := new[s.name]; !still {
			p.items = append(p.items, costLine(s.name, s.text, ""))
		}
	}
	return p
}

func byName(list []share) map[string]string {
	m := map[string]string{}
	for _, s := range list {
		m[s.name] = s.text
	}
	return m
}

func costLine(name, old, new string) string {
	return fmt.Sprintf("| %s | %s | %s |\n", text(cut(name, titleLimit)), text(cmp.Or(old, "none")), text(cmp.Or(new, "none")))
}

// share is what one container or claim costs.
type share struct {
	name string
	text string // replicas and amount
}

func shares(c record.Cost) []share {
	var list []share
	for _, k := range c.Containers {
		list = append(list, share{k.Workload + ", container " + k.Container, fmt.Sprintf("%s × (%s cores, %s GB) = %s",
			counts(k.MinReplicas, k.MaxReplicas), short3(k.CPU), short3(k.MemoryGB), amounts(k.Min, k.Max, c.Currency))})
	}
	for _, v := range c.Volumes {
		list = append(list, share{v.Workload + ", volume " + v.Claim, fmt.Sprintf("%s GB = %s", short3(v.StorageGB), amounts(v.Min, v.Max, c.Currency))})
	}
	return list
}

func counts(low, high int) string {
	if low == high {
		return fmt.Sprint(high)
	}
	return fmt.Sprintf("%d–%d", low, high)
}

func short3(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", f), "0"), ".")
}

func amounts(low, high float64, currency string) string {
	if cents(low) == cents(high) {
		return amount(high, currency)
	}
	return amount(low, currency) + "–" + amount(high, currency)
}

// amount is an amount as people write it: $11.40, or 11.40 EUR.
func amount(f float64, currency string) string {
	if currency == "USD" {
		return "$" + cents(f)
	}
	return cents(f) + " " + currency
}

// change is a difference with its sign; empty where there is none.
func change(before, now float64, currency string) string {
	switch d := now - before; {
	case cents(math.Abs(d)) == cents(0):
		return ""
	case d < 0:
		return "−" + amount(-d, currency)
	default:
		return "+" + amount(d, currency)
	}
}

func cents(f float64) string { return fmt.Sprintf("%.2f", f) }
