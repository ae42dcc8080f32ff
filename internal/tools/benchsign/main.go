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
	"path/filepath"
	"time"

	"github.com/org/idp/internal/tools/bench"
)

// Targets: how long it may take at most by the median, and in which part of the time of cosign it should be done.
const (
	limit = 1500 * time.Millisecond
	goal  = 0.5
)

func main() { bench.Main("bench-sign", run) }

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
	b := &comparison{dir: dir, instance: instance, out: stdout}
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

// compare lets both do it; the first round of each does not count.
func (b *comparison) compare(ctx context.Context, m mode, rounds int) error {
	of, err := bench.Turns(rounds+1,
		func(i int) (sample, error) { return b.ours(ctx, m, i) },
		func(i int) (sample, error) { return b.theirs(ctx, m, i) })
	if err != nil {
		return err
	}
	return report(b.out, m.name, of[0][1:], of[1][1:])
}

// report prints the medians side by side.
func report(w io.Writer, name string, ours, theirs []sample) error {
	whole := func(s sample) time.Duration { return s.sign + s.verify }
	idp, cosign := bench.Median(bench.Times(ours, whole)), bench.Median(bench.Times(theirs, whole))
	for _, text := range []string{
		name + ":",
		bench.Line("  idp sign, idp verify", bench.Times(ours, whole)),
		bench.Line("    of it: sign", bench.Times(ours, func(s sample) time.Duration { return s.sign })),
		bench.Line("    of it: verify", bench.Times(ours, func(s sample) time.Duration { return s.verify })),
		bench.Line("  cosign, one call for each thing", bench.Times(theirs, whole)),
		bench.Line("    of it: sign and attest", bench.Times(theirs, func(s sample) time.Duration { return s.sign })),
		bench.Line("    of it: verify", bench.Times(theirs, func(s sample) time.Duration { return s.verify })),
		fmt.Sprintf("  median %.2f s  target %.1f s: %s   %.2f of cosign's  goal %.1f: %s", idp.Seconds(), limit.Seconds(), bench.Verdict(idp <= limit),
			float64(idp)/float64(cosign), goal, bench.Verdict(float64(idp) <= goal*float64(cosign))),
	} {
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
