package finding

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is how grave a finding is.
type Severity string

// The severities, gravest last.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

var order = []Severity{Low, Medium, High, Critical}

// rank is 1 for low to 4 for critical. What is not a severity ranks above all, so that it cannot slip under a threshold.
func (s Severity) rank() int {
	if i := slices.Index(order, s); i >= 0 {
		return i + 1
	}
	return len(order) + 1
}

// None as a threshold lets every finding pass. A gap in coverage is still an error.
const None = "none"

// Thresholds are the values of fail-on.
func Thresholds() []string { return []string{None, "low", "medium", "high", "critical"} }

// Threshold is the lowest severity that fails a gate. The zero value is not valid: a gate needs a decision.
type Threshold struct{ rank int }

// ParseThreshold reads a value of fail-on.
func ParseThreshold(s string) (Threshold, error) {
	if s == None {
		return Threshold{rank: len(order) + 2}, nil
	}
	if i := slices.Index(order, Severity(s)); i >= 0 {
		return Threshold{rank: i + 1}, nil
	}
	return Threshold{}, fmt.Errorf("fail-on %q: one of %s", s, strings.Join(Thresholds(), ", "))
}

// Reaches tells whether a finding of this severity fails the gate.
func (t Threshold) Reaches(s Severity) bool { return s.rank() >= t.rank }

// Weaker tells whether the threshold lets something pass that the other does not.
func (t Threshold) Weaker(other Threshold) bool { return t.rank > other.rank }

// String is the value of fail-on; empty for the zero value.
func (t Threshold) String() string {
	switch {
	case t.rank == 0:
		return ""
	case t.rank <= len(order):
		return string(order[t.rank-1])
	}
	return None
}
