// Command cluster starts a real Kubernetes on this machine, for tests and for trying things by hand: one node, without
// Docker, as root on Linux. All of it lives in namespaces of its own (network, mounts, processes), so that it touches
// nothing of the machine, several may run at once, and the kernel ends all of it together with this program.
//
//	cluster run [flags] COMMAND…   start one, run the command with KUBECONFIG set, stop it; exit as the command did
//	cluster up [flags]             start one that stays, or say that it runs, and print how to use it
//	cluster down [flags]           stop that one
//
// With USE_EXISTING_CLUSTER=1, run starts nothing and leaves KUBECONFIG as it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const prefix = "idp-cluster-" // of the names of folders and control groups of clusters

const usage = "usage: cluster run [flags] COMMAND… | up [flags] | down [flags]"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode()) // of the command, which has said why
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// options are what a person may choose.
type options struct {
	cache  string // folder for what is built once
	source string // folder of the module that pins Kubernetes
	stays  string // folder of the cluster of up and down
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	if args[0] == "inside" { // not for people: what runs in the namespaces
		return inside(args[1:])
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	var o options
	flags := flag.NewFlagSet("cluster "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.cache, "cache", filepath.Join(cache, "idp"), "folder for what is built once")
	flags.StringVar(&o.source, "source", filepath.Join("testdata", "cluster"), "folder of the Go module that pins Kubernetes")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.stays = filepath.Join(o.cache, prefix+"up")
	switch args[0] {
	case "run":
		if flags.NArg() == 0 {
			return errors.New("run needs a command; " + usage)
		}
		return o.runCommand(ctx, flags.Args())
	case "up":
		return o.up(ctx)
	case "down":
		return o.down(ctx)
	case "stay": // not for people: what up leaves behind
		return o.stay(ctx)
	}
	return fmt.Errorf("there is no command %q; %s", args[0], usage)
}

// runCommand runs a command that finds a cluster in its environment.
func (o options) runCommand(ctx context.Context, args []string) (err error) {
	env := os.Environ()
	if os.Getenv("USE_EXISTING_CLUSTER") == "1" {
		if os.Getenv("KUBECONFIG") == "" {
			return errors.New("USE_EXISTING_CLUSTER=1 needs KUBECONFIG, the cluster to use")
		}
	} else {
		c, err := o.start(ctx, "")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.stop()) }()
		env = append(env, c.environ()...)
	}
	// #nosec G204 -- the command is what whoever started this asked for
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	cmd.WaitDelay = 10 * time.Second
	endGroup := ownGroup(cmd)
	defer endGroup()
	return cmd.Run()
}
