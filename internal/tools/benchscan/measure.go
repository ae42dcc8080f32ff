package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"
)

// contender is a command that is measured. Its exit code may be one of ok.
type contender struct {
	name string
	dir  string
	args []string
	env  []string // nil inherits
	ok   []int
	// prepare runs before each round and is not measured; it may be nil.
	prepare func() error

	samples []sample
}

// sample is one round: wall clock and processor time, that of children included, and the largest resident memory of the
// process or one of its children, in bytes; 0 where the system does not tell.
type sample struct {
	wall, cpu time.Duration
	memory    int64
}

// measure runs all of them in turn, so that whatever else the machine does hits all alike, after a round that only warms the
// caches.
func measure(ctx context.Context, rounds int, all ...*contender) error {
	if err := measureOnce(ctx, all...); err != nil {
		return err
	}
	for _, c := range all {
		c.samples = nil
	}
	for range rounds {
		if err := measureOnce(ctx, all...); err != nil {
			return err
		}
	}
	return nil
}

// measureOnce is one round.
func measureOnce(ctx context.Context, all ...*contender) error {
	for _, c := range all {
		s, err := c.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		c.samples = append(c.samples, s)
	}
	return nil
}

func (c *contender) run(ctx context.Context) (sample, error) {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return sample{}, err
		}
	}
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(begun)}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !slices.Contains(c.ok, exit.ExitCode())) {
		return s, fmt.Errorf("%w\n%s", err, said)
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.memory = peakMemory(cmd.ProcessState)
	return s, nil
}

// tail keeps the last 2 KiB of what a command says.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if extra := len(*t) - 2<<10; extra > 0 {
		*t = (*t)[extra:]
	}
	return len(p), nil
}

// median of the samples, each figure by itself.
func (c *contender) median() sample {
	return sample{
		wall:   middle(c.samples, func(s sample) time.Duration { return s.wall }),
		cpu:    middle(c.samples, func(s sample) time.Duration { return s.cpu }),
		memory: middle(c.samples, func(s sample) int64 { return s.memory }),
	}
}

func middle[T time.Duration | int64](samples []sample, of func(sample) T) T {
	var values []T
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// row is a line of a table.
type row struct {
	*contender
	findings int
}

// table prints the medians, and how many times the first one's the others take.
func table(w io.Writer, title string, rows ...row) error {
	_, _ = fmt.Fprintf(w, "\n%s (median of %d)\n", title, len(rows[0].samples))
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "\ttime\tprocessor\tpeak memory\tfindings\ttime ×\tprocessor ×\tmemory ×\t")
	ours := rows[0].median()
	for _, r := range rows {
		m := r.median()
		_, _ = fmt.Fprintf(t, "%s\t%.2f s\t%.2f s\t%d MiB\t%d\t%.1f\t%.1f\t%.2f\t\n", r.name, m.wall.Seconds(), m.cpu.Seconds(), m.memory>>20, r.findings,
			ratio(m.wall, ours.wall), ratio(m.cpu, ours.cpu), ratio(m.memory, ours.memory))
	}
	return t.Flush()
}

func ratio[T time.Duration | int64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
