// Command benchsign measures what it takes to sign, attest and verify one image, by idp and by the command line of cosign, in
// one run, on the same services and with the same statements: keyless with all that a job needs, and with a key, where nobody
// is asked. It is no test: it fails only when something cannot be measured.
//
// idp also pushes the image, reads back what the registry serves and moves the tag; for cosign the image is there already.
// The services are those that `go run ./internal/tools/sigstore run` starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Targets: how long it may take at most by the median, and in which part of the time of cosign it should be done.
const (
	limit = 1500 * time.Millisecond
	goal  = 0.5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench-sign:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchsign", flag.ContinueOnError)
	idp := flags.String("idp", "bin/idp", "the program")
	service := flags.String("service", "testdata/services/plain", "folder of the sample service")
	rounds := flags.Int("rounds", 9, "rounds, of which the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	instance := os.Getenv("IDP_E2E_SIGSTORE")
	if *rounds < 1 || instance == "" {
		return errors.New("-rounds is at least 1, and IDP_E2E_SIGSTORE names the services: run this with `make bench-sign`")
	}
	dir, err := os.MkdirTemp("", "idp-bench-sign-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, instance: instance, out: stdout}
	if b.idp, err = filepath.Abs(*idp); err != nil {
		return err
	}
	if _, err := exec.LookPath(b.idp); err != nil {
		return err
	}
	if err := b.prepare(ctx, *service); err != nil {
		return err
	}
	for _, m := range []mode{b.keyless(), b.key()} {
		if err := b.compare(ctx, m, *rounds); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// sample is one image: how long it took to sign it with all of its statements, and to verify them.
type sample struct{ sign, verify time.Duration }

// compare lets both do it in turn, and in each round the other one first, so that whatever else the machine does hits both
// alike. The first round of each does not count.
func (b *bench) compare(ctx context.Context, m mode, rounds int) error {
	var ours, theirs []sample
	for i := range rounds + 1 {
		contenders := []func() error{
			func() (err error) { ours, err = grow(ours)(b.ours(ctx, m, i)); return err },
			func() (err error) { theirs, err = grow(theirs)(b.theirs(ctx, m, i)); return err },
		}
		if i%2 == 1 {
			slices.Reverse(contenders)
		}
		for _, contender := range contenders {
			if err := contender(); err != nil {
				return err
			}
		}
	}
	return report(b.out, m.name, ours[1:], theirs[1:])
}

func grow(list []sample) func(sample, error) ([]sample, error) {
	return func(s sample, err error) ([]sample, error) { return append(list, s), err }
}

// report prints the medians side by side.
func report(w io.Writer, name string, ours, theirs []sample) error {
	whole := func(s sample) time.Duration { return s.sign + s.verify }
	idp, cosign := median(ours, whole), median(theirs, whole)
	for _, text := range []string{
		name + ":",
		line("  idp sign, idp verify", ours, whole),
		line("    of it: sign", ours, func(s sample) time.Duration { return s.sign }),
		line("    of it: verify", ours, func(s sample) time.Duration { return s.verify }),
		line("  cosign, one call for each thing", theirs, whole),
		line("    of it: sign and attest", theirs, func(s sample) time.Duration { return s.sign }),
		line("    of it: verify", theirs, func(s sample) time.Duration { return s.verify }),
		fmt.Sprintf("  median %.2f s  target %.1f s: %s   %.2f of cosign's  goal %.1f: %s", idp.Seconds(), limit.Seconds(), verdict(idp <= limit),
			float64(idp)/float64(cosign), goal, verdict(float64(idp) <= goal*float64(cosign))),
	} {
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

func line(name string, samples []sample, of func(sample) time.Duration) string {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, of(s))
	}
	return fmt.Sprintf("%-34s median %5.2f s  fastest %5.2f s  slowest %5.2f s", name, median(samples, of).Seconds(),
		slices.Min(all).Seconds(), slices.Max(all).Seconds())
}

func median(samples []sample, of func(sample) time.Duration) time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
