// Command benchscan measures the scanners of idp side by side with the command lines of the tools whose rules they use, in
// one run, on the same repository: time, processor time, peak memory, findings, and what one finds and the other does not.
// It is no test: it fails only when something cannot be measured.
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
	"slices"
	"strings"

	"github.com/org/idp/internal/tools/bench"
)

// options are the flags.
type options struct {
	idp   string // the program, an absolute path
	repo  string // a repository to measure on, an absolute path; empty for generated ones
	cache string // folder outside the checkout for the peers' programs and the generated repositories
	runs  int
	lines int // of the generated module
	warm  bool
	out   io.Writer
}

// benches are what can be measured, in this order; each has a file of its own.
var benches = []struct {
	name string
	run  func(context.Context, options) error
}{
	{"sast", benchSAST},
	{"secrets", benchSecrets},
}

func main() { bench.Main("bench-scan", run) }

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchscan", flag.ContinueOnError)
	o := options{out: stdout}
	flags.StringVar(&o.idp, "idp", "bin/idp", "the program")
	flags.StringVar(&o.repo, "repo", "", "repository to measure on (default: generated ones)")
	flags.StringVar(&o.cache, "cache", "", "folder for the peers' programs and generated repositories (default: in the user's cache folder)")
	flags.IntVar(&o.runs, "runs", 5, "rounds, of which the median counts")
	flags.IntVar(&o.lines, "lines", 20000, "lines of the generated module")
	flags.BoolVar(&o.warm, "warm", false, "leave out the run on an empty build cache, which takes gosec minutes")
	only := flags.String("only", "", "measure only this: "+strings.Join(names(), ", "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.runs < 1 || o.lines < 1 || (*only != "" && !slices.Contains(names(), *only)) {
		return fmt.Errorf("-runs and -lines are at least 1, -only one of %s", strings.Join(names(), ", "))
	}
	var err error
	if o.idp, err = exec.LookPath(o.idp); err != nil {
		return err
	}
	if o.idp, err = filepath.Abs(o.idp); err != nil {
		return err
	}
	if o.repo != "" {
		if o.repo, err = filepath.Abs(o.repo); err != nil {
			return err
		}
	}
	if o.cache, err = cacheFolder(o.cache); err != nil {
		return err
	}
	for _, b := range benches {
		if *only == "" || *only == b.name {
			if err := b.run(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
		}
	}
	return nil
}

func names() []string {
	var all []string
	for _, b := range benches {
		all = append(all, b.name)
	}
	return all
}

func cacheFolder(given string) (string, error) {
	if given == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		given = filepath.Join(user, "idp-bench-scan")
	}
	abs, err := filepath.Abs(given)
	return abs, errors.Join(err, os.MkdirAll(abs, 0o755))
}

// peer builds the command line of a tool into the cache, once for every version, and gives its path.
func peer(ctx context.Context, o options, name, module, version string) (string, error) {
	dir := filepath.Join(o.cache, name+"-"+version)
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	_, _ = fmt.Fprintf(o.out, "building %s %s\n", name, version)
	cmd := exec.CommandContext(ctx, "go", "install", module+"@"+version)
	cmd.Dir = o.cache // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s@%s: %w\n%s", module, version, err, out)
	}
	return program, nil
}
