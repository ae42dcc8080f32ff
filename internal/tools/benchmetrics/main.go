// Command benchmetrics measures idp metrics on a catalogue with a million deliveries: the time, and the most memory that it had.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/tools/bench"
)

// Targets, on 2 cores.
const (
	timeTarget   = 10 * time.Second
	memoryTarget = 300 // MB
)

func main() { bench.Main("bench-metrics", run) }

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("benchmetrics", flag.ContinueOnError)
	idp := flags.String("idp", "bin/idp", "the program")
	deliveries := flags.Int("deliveries", 1_000_000, "in the catalogue")
	services := flags.Int("services", 1000, "in the catalogue")
	rounds := flags.Int("rounds", 3, "rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-metrics-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bytes, err := generate(dir, *services, *deliveries / *services)
	if err != nil {
		return err
	}
	var took []time.Duration
	var memory int64
	var busy time.Duration
	for range *rounds {
		cmd := exec.CommandContext(ctx, *idp, "metrics", "--catalog", dir, "--from", "2025-01-01", "--to", "2025-12-31", "--json") // #nosec G204 -- the program that is measured
		cmd.Stderr = os.Stderr
		begun := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		took = append(took, time.Since(begun))
		busy = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		memory = max(memory, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss/1024)
		if err := check(out, *services*(*deliveries / *services)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "%d deliveries of %d services, %d MB: median %.1f s (target %.0f s), the processors %.1f s, at most %d MB of memory (target %d MB)\n", *deliveries,
		*services, bytes>>20, bench.Median(took).Seconds(), timeTarget.Seconds(), busy.Seconds(), memory, memoryTarget)
	return err
}

// check holds the answer against what was generated: every tenth delivery fails.
func check(out []byte, all int) error {
	var answer struct {
		Organization struct{ Deployments, Failed int }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	if o := answer.Organization; o.Deployments != all-all/10 || o.Failed != all/10 {
		return fmt.Errorf("it counted %d deployments and %d failures of %d deliveries", o.Deployments, o.Failed, all)
	}
	return nil
}

// generate writes a year of deliveries, with stages, evidence and two commits each, as real lines have them.
func generate(dir string, services, each int) (size int64, err error) {
	if err := os.WriteFile(filepath.Join(dir, catalogfile.IndexFile), []byte(`{"schema":"idp.catalog/v1","services":{}}`), 0o600); err != nil {
		return 0, err
	}
	for s := range services {
		n, err := generateService(dir, s, each)
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

func generateService(dir string, s, each int) (size int64, err error) {
	name := fmt.Sprintf("service-%d", s)
	folder := filepath.Join(dir, catalogfile.DeliveriesIn, name, "production")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return 0, err
	}
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	months := map[string][]catalogfile.Line{}
	for n := range each {
		at := begin.Add(364 * 24 * time.Hour / time.Duration(each) * time.Duration(n))
		months[at.Format("2006-01")] = append(months[at.Format("2006-01")], delivery(name, s, n, at))
	}
	for month, lines := range months {
		n, err := writeLog(filepath.Join(folder, month+".jsonl"), lines)
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

func writeLog(path string, lines []catalogfile.Line) (size int64, err error) {
	f, err := os.Create(path) // #nosec G304 -- a file of this program's own
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	b := bufio.NewWriter(f)
	enc := json.NewEncoder(b)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return 0, err
		}
	}
	if err := b.Flush(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func delivery(name string, s, n int, at time.Time) catalogfile.Line {
	id := func(k int) string { return fmt.Sprintf("%08x%08x%024x", s, k, k) }
	changed := true
	l := catalogfile.Line{Schema: catalogfile.LineSchema, ID: id(n), Delivery: n + 1, Time: at, Service: name, Owner: fmt.Sprintf("team-%d", s/10),
		Repository: "acme/" + name, Commit: id(n), Image: "ghcr.io/acme/" + name, Digest: "sha256:" + id(n) + id(n)[:24], Environment: "production",
		Previous: &record.Deployment{Digest: "sha256:" + id(n-1) + id(n)[:24], Commit: id(n - 1)}, Outcome: record.Passed, Changed: &changed, Suite: "v1.4.0",
		Signer:   "https://github.com/acme/" + name + "/.github/workflows/deliver.yml@refs/heads/main",
		Evidence: []string{"https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom", "https://in-toto.io/attestation/test-result/v0.1"},
		Cost:     &catalogfile.Cost{Currency: "USD", Min: 5.4, Max: 10.8}, Run: &catalogfile.CIRun{ID: "19000000000", Attempt: 1, URL: "https://github.com/acme/" + name + "/actions/runs/19000000000"},
		Brings: &catalogfile.Brings{Since: id(n - 1), Commits: []catalogfile.Commit{{ID: id(n), Time: at.Add(-time.Hour)}, {ID: id(n + 1), Time: at.Add(-5 * time.Hour)}}}}
	for _, stage := range []string{"sast", "secrets", "build", "cost", "sign", "verify", "deploy", "smoke"} {
		l.Stages = append(l.Stages, catalogfile.Stage{Name: stage, Outcome: record.Passed, DurationMS: 1234})
	}
	if n%10 == 9 {
		l.Outcome, l.RolledBack, l.Stages[7].Outcome = record.Failed, true, record.Failed
	}
	return l
}
