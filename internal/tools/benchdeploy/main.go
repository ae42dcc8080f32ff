// Command benchdeploy measures a deploy side by side with kubectl, in one run, on the same cluster: the sample service goes
// from one version to the next and back, by idp deploy in one namespace, and in another by kubectl apply and kubectl rollout
// status with the manifests that idp rendered. Then it measures how soon a crash loop and a bad image are called. It is no
// test: it fails only when something cannot be measured.
//
// The cluster is that of KUBECONFIG, with a registry that its nodes reach under IDP_E2E_REGISTRY, as
// `go run ./internal/tools/cluster run` starts both.
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

// Targets: how much longer than kubectl a deploy may take by the median, and after how long a failure is called at most.
const (
	slower = 500 * time.Millisecond
	called = 20 * time.Second
)

func main() { bench.Main("bench-deploy", run) }

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchdeploy", flag.ContinueOnError)
	idp := flags.String("idp", "bin/idp", "the program")
	service := flags.String("service", "testdata/services/hello", "folder of the sample service")
	rounds := flags.Int("rounds", 9, "rounds, of which the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	registry := os.Getenv("IDP_E2E_REGISTRY")
	if *rounds < 1 || registry == "" || os.Getenv("KUBECONFIG") == "" {
		return errors.New("-rounds is at least 1, and KUBECONFIG and IDP_E2E_REGISTRY name the cluster and its registry")
	}
	dir, err := os.MkdirTemp("", "idp-bench-deploy-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &comparison{dir: dir, registry: registry, out: stdout}
	if b.idp, err = filepath.Abs(*idp); err != nil {
		return err
	}
	if _, err := exec.LookPath(b.idp); err != nil {
		return err
	}
	if err := b.prepare(ctx, *service); err != nil {
		return err
	}
	// Whatever ended the run, nothing of it is left in the cluster.
	defer b.clean(context.WithoutCancel(ctx))
	if err := b.compare(ctx, *rounds); err != nil {
		return err
	}
	return b.failures(ctx)
}

// compare lets each version be live once in both namespaces before it measures, so that the images are on the node.
func (b *comparison) compare(ctx context.Context, rounds int) error {
	for i := range 2 {
		if _, err := b.ours(ctx, i%2); err != nil {
			return err
		}
		if _, err := b.theirs(ctx, i%2); err != nil {
			return err
		}
	}
	of, err := bench.Turns(rounds,
		func(i int) (sample, error) { return b.ours(ctx, i%2) },
		func(i int) (sample, error) { return b.theirs(ctx, i%2) })
	if err != nil {
		return err
	}
	return report(b.out, of[0], of[1])
}

// failures measures from the start of the program to its end, when the failure is told and the old version is back.
func (b *comparison) failures(ctx context.Context) error {
	for _, f := range []struct{ name, from, to, says string }{
		{"crash loop", `value: "8080"`, `value: "none"`, "CrashLoopBackOff"},
		{"bad image", "      containers:\n", "      initContainers: [{name: migrate, image: " + b.registry + "/migrations:none}]\n      containers:\n", "container migrate"},
	} {
		t, err := b.failing(ctx, f.name, f.from, f.to, f.says)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		_, err = fmt.Fprintf(b.out, "%-34s called, and the old version back, after %.1f s  target %.0f s: %s\n", f.name,
			t.whole.Seconds(), called.Seconds(), bench.Verdict(t.whole <= called))
		if err != nil {
			return err
		}
	}
	return nil
}

// report prints the medians side by side.
func report(w io.Writer, ours, theirs []sample) error {
	whole := func(s sample) time.Duration { return s.whole }
	idp, kubectl := bench.Median(bench.Times(ours, whole)), bench.Median(bench.Times(theirs, whole))
	lines := []string{
		bench.Line("idp deploy, whole process", bench.Times(ours, whole)),
		bench.Line("  of it: the stage deploy", bench.Times(ours, func(s sample) time.Duration { return s.stage })),
		bench.Line("  of it: applied until healthy", bench.Times(ours, func(s sample) time.Duration { return s.healthy })),
		bench.Line("kubectl apply and rollout status", bench.Times(theirs, whole)),
		bench.Line("  of it: rollout status", bench.Times(theirs, func(s sample) time.Duration { return s.healthy })),
		fmt.Sprintf("difference of the medians %+.2f s, ratio %.2f  target +%.1f s: %s", (idp - kubectl).Seconds(), float64(idp)/float64(kubectl),
			slower.Seconds(), bench.Verdict(idp-kubectl <= slower)),
	}
	for _, text := range lines {
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
