// Command benchcatalog measures what a large catalogue costs: how long `idp catalog check` takes on it, and how long a delivery
// takes to be registered there, beside a catalogue of ten services.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/org/idp/internal/tools/bench"
)

// checkTarget is for the check of 10,000 services, on 2 cores.
const checkTarget = 2 * time.Second

func main() { bench.Main("bench-catalog", run) }

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("benchcatalog", flag.ContinueOnError)
	idp := flags.String("idp", "bin/idp", "the program")
	services := flags.Int("services", 10_000, "services in the large catalogue")
	runs := flags.Int("runs", 5, "rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "idp-benchcatalog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := generate(dir, *services, time.Now()); err != nil {
		return err
	}
	_ = exec.CommandContext(ctx, "sync").Run() // or the first rounds measure how the catalogue is written
	took, err := repeat(*runs, func() error { return check(ctx, *idp, dir) })
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(stdout, "idp catalog check, %d services: median %s of %d, slowest %s (target %s for 10000)\n",
		*services, bench.Median(took).Round(time.Millisecond), len(took), slices.Max(took).Round(time.Millisecond), checkTarget); err != nil {
		return err
	}
	return publishing(ctx, stdout, dir, *services, *runs)
}

// repeat times the work after one round that does not count, which fills the file system's cache.
func repeat(n int, work func() error) ([]time.Duration, error) {
	var took []time.Duration
	for i := range n + 1 {
		begun := time.Now()
		if err := work(); err != nil {
			return nil, err
		}
		if i > 0 {
			took = append(took, time.Since(begun))
		}
	}
	return took, nil
}

func check(ctx context.Context, idp, dir string) error {
	cmd := exec.CommandContext(ctx, idp, "catalog", "check", "--catalog", dir) // #nosec G204 -- the program that is measured
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("idp catalog check: %w\n%s", err, out)
	}
	return nil
}
