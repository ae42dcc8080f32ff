package cost_test

import (
	"testing"
	"time"

	"github.com/org/idp/internal/cost"
)

func TestRunner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		os, arch, environment string
		took                  time.Duration
		minutes               int
		amount                float64 // below 0: no price
	}{
		{"Linux", "X64", "github-hosted", 61 * time.Second, 2, 0.012},
		{"Linux", "X64", "github-hosted", 60 * time.Second, 1, 0.006},
		{"Linux", "ARM64", "github-hosted", time.Second, 1, 0.005},
		{"macOS", "ARM64", "github-hosted", 10 * time.Minute, 10, 0.62},
		{"Linux", "X64", "self-hosted", 10 * time.Minute, 10, 0},
		{"Plan9", "X64", "github-hosted", time.Minute, 0, -1},
		{"Linux", "X64", "", time.Minute, 0, -1},
		{"", "", "", time.Minute, 0, -1},
	} {
		got := cost.Runner(c.os, c.arch, c.environment, c.took)
		switch {
		case c.amount < 0:
			if got != nil {
				t.Errorf("%+v: %+v", c, got)
			}
		case got == nil || got.Minutes != c.minutes || got.Amount-c.amount > 1e-9 || c.amount-got.Amount > 1e-9 || got.Prices == "":
			t.Errorf("%+v: %+v", c, got)
		}
	}
}
