// Command benchstart measures how long idp takes to start: the bare program, and a step of a workflow from the start of
// node to the first line in the log. A bare node is measured in the same rounds, so that the figures can be compared
// between machines.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/org/idp/internal/tools/bench"
)

// Targets of the medians, on 2 cores.
const (
	programTarget = 150 * time.Millisecond
	stepTarget    = 250 * time.Millisecond
)

// sizeLimit of the stripped program, in bytes: every job downloads it. It does not depend on what else the machine does, so
// it is held; the times are printed for people to judge.
//
// Anything linked in that calls a method by a name known only at run time, as text/template does, keeps the linker from
// dropping unused methods of all types, and costs about 14 MB at once: more than is free here. To find it, look for
// <ReflectMethod> in what go build -ldflags=-dumpdep prints.
const sizeLimit = 56_000_000

func main() { bench.Main("bench-start", run) }

// series is one thing that is measured.
type series struct {
	name   string
	target time.Duration // 0: none
	start  func(context.Context) (time.Duration, error)
	took   []time.Duration
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchstart", flag.ContinueOnError)
	idp := flags.String("idp", "bin/idp", "the program")
	shim := flags.String("shim", "internal/shim/idp.js", "the node part of the actions")
	service := flags.String("service", "testdata/services/hello", "folder of a service, in a git repository")
	runs := flags.Int("runs", 31, "rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("-runs must be at least 1")
	}
	dir, err := os.MkdirTemp("", "idp-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, step, err := lay(dir, *idp, *shim)
	if err != nil {
		return err
	}
	if err := size(stdout, program); err != nil {
		return err
	}
	all := []*series{
		{name: "bare node -e 0", start: whole(nil, "node", "-e", "0")},
		{name: "bare idp version", target: programTarget, start: whole(nil, program, "version")},
		{name: "step, to its first line", target: stepTarget, start: firstLine(workflow(dir, *service), "node", step)},
	}
	// In turn, so that whatever else the machine does hits all of them alike. The first round only warms the caches.
	for i := range *runs + 1 {
		for _, s := range all {
			took, err := s.start(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if i > 0 {
				s.took = append(s.took, took)
			}
		}
	}
	return report(stdout, all)
}

// lay makes a folder as dist/ of a release with the action cost, which does nothing before its first line that another
// action would not do, and ends by itself soon after.
func lay(dir, idp, shim string) (program, step string, err error) {
	program = filepath.Join(dir, "idp-"+runtime.GOOS+"-"+runtime.GOARCH)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	code, err := os.ReadFile(shim) // #nosec G304 -- named by whoever runs this
	if err != nil {
		return "", "", err
	}
	data, err := os.ReadFile(idp) // #nosec G304
	if err != nil {
		return "", "", err
	}
	if err := os.WriteFile(program, data, 0o755); err != nil { // #nosec G306 -- a program
		return "", "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "idp.js"), code, 0o600); err != nil {
		return "", "", err
	}
	event := `{"repository": {"full_name": "acme/hello", "default_branch": "main"}}`
	if err := os.WriteFile(filepath.Join(dir, "event.json"), []byte(event), 0o600); err != nil {
		return "", "", err
	}
	step = filepath.Join(dir, "cost.js")
	return program, step, os.WriteFile(step, []byte("require('./idp.js').main('cost');\n"), 0o600)
}

// workflow is what the runner's environment adds for such a step.
func workflow(dir, service string) []string {
	return []string{"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/hello", "GITHUB_RUN_ID=1", "GITHUB_RUN_ATTEMPT=1",
		"GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/heads/main", "GITHUB_EVENT_PATH=" + filepath.Join(dir, "event.json"),
		"GITHUB_OUTPUT=" + filepath.Join(dir, "output"), "GITHUB_STATE=" + filepath.Join(dir, "state"),
		"GITHUB_STEP_SUMMARY=" + filepath.Join(dir, "summary"), "RUNNER_TEMP=" + dir,
		"INPUT_SERVICE=" + service, "INPUT_ENVIRONMENT=staging", "INPUT_OUT=" + filepath.Join(dir, "out")}
}

// whole measures a process from its start to its end, which must be a good one.
func whole(env []string, name string, args ...string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- fixed programs
		cmd.Env = append(os.Environ(), env...)
		begun := time.Now()
		err := cmd.Run()
		return time.Since(begun), err
	}
}

// firstLine measures a process from its start to its first line of output, and lets it come to a good end.
func firstLine(env []string, name string, args ...string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- fixed programs
		cmd.Env = append(os.Environ(), env...)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		out := bufio.NewReader(pipe)
		line, readErr := out.ReadString('\n')
		took := time.Since(begun)
		rest, _ := io.ReadAll(out)
		if err := cmd.Wait(); err != nil {
			return 0, fmt.Errorf("%w: %s%s", err, line, rest)
		}
		return took, readErr
	}
}

func size(w io.Writer, program string) error {
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	if info.Size() > sizeLimit {
		return fmt.Errorf("the program has %d bytes, more than %d", info.Size(), sizeLimit)
	}
	_, err = fmt.Fprintf(w, "program: %.1f MB, limit %.0f MB\n", float64(info.Size())/1e6, float64(sizeLimit)/1e6)
	return err
}

// report prints medians, their ratio to the first series, which is node, and the slowest of ten.
func report(w io.Writer, all []*series) error {
	var unit time.Duration
	for i, s := range all {
		slices.Sort(s.took)
		median := bench.Median(s.took)
		if i == 0 {
			unit = median
		}
		line := fmt.Sprintf("%-24s median %4d ms  p90 %4d ms  %.1f × node", s.name, median.Milliseconds(),
			s.took[len(s.took)*9/10].Milliseconds(), float64(median)/float64(unit))
		if s.target > 0 {
			line += fmt.Sprintf("  target %d ms: %s", s.target.Milliseconds(), bench.Verdict(median <= s.target))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
