// Package bench is what the benchmarks share: how they start and end, how contenders take turns, and how times are printed.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// Main runs a benchmark until it ends or is interrupted. A benchmark is no test: it exits with 1 only when something could not
// be measured, never for a figure.
func Main(name string, run func(ctx context.Context, args []string, stdout io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Turns lets two contenders run in turn, and in each round the other one first, so that whatever else the machine does hits
// both alike. It returns a sample of each for every round.
func Turns[T any](rounds int, a, b func(round int) (T, error)) (of [2][]T, err error) {
	contenders := []func(int) (T, error){a, b}
	for round := range rounds {
		for turn := range contenders {
			i := (turn + round) % len(contenders)
			sample, err := contenders[i](round)
			if err != nil {
				return of, err
			}
			of[i] = append(of[i], sample)
		}
	}
	return of, nil
}

// Times are one figure of each sample.
func Times[T any](samples []T, figure func(T) time.Duration) []time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, figure(s))
	}
	return all
}

// Median is the mean of the two in the middle where there are two.
func Median(times []time.Duration) time.Duration {
	all := slices.Sorted(slices.Values(times))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// Line is a line of a report.
func Line(name string, times []time.Duration) string {
	return fmt.Sprintf("%-34s median %5.2f s  fastest %5.2f s  slowest %5.2f s", name, Median(times).Seconds(), slices.Min(times).Seconds(), slices.Max(times).Seconds())
}

// Verdict on a target, for a person to read.
func Verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
