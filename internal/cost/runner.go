package cost

import (
	"time"

	"github.com/org/idp/internal/catalogfile"
)

// runnerPrices are GitHub's list prices of a minute on a standard runner, in USD. A runner of one's own costs nothing there, and
// minutes that a plan or a public repository has for free are not taken off.
// https://docs.github.com/billing/reference/actions-runner-pricing
const runnerPrices = "GitHub Actions list prices 2026"

var runnerMinute = map[string]float64{"Linux X64": 0.006, "Linux ARM64": 0.005, "Windows X64": 0.010, "macOS X64": 0.062, "macOS ARM64": 0.062}

// Runner prices the time that idp took on a runner: its begun minutes, as they are billed. The three names are those of the
// runner's variables RUNNER_OS, RUNNER_ARCH and RUNNER_ENVIRONMENT. It is nil where there is no list price to go by; larger
// runners cannot be told from standard ones, so theirs is too low.
func Runner(os, arch, environment string, took time.Duration) *catalogfile.CI {
	kind := os + " " + arch
	price, listed := runnerMinute[kind]
	switch {
	case environment == "self-hosted":
		kind, price = "self-hosted", 0
	case environment != "github-hosted" || !listed:
		return nil
	}
	minutes := int((max(took, 0) + time.Minute - 1) / time.Minute)
	return &catalogfile.CI{Minutes: minutes, Runner: kind, Currency: "USD", Amount: float64(minutes) * price, Prices: runnerPrices}
}
