// Command sigstore runs a command beside a private instance of sigstore and two registries, without Docker, a database or
// root: Fulcio, Rekor (rekor-tiles on files), a CT log (TesseraCT on files) and a timestamp authority as processes, an OIDC
// issuer that answers as GitHub's does, go-containerregistry's registry and Debian's docker-registry. All of it listens on
// free ports of 127.0.0.1 and ends with the command, so several may run at once.
//
//	sigstore run [flags] COMMAND…
//
// The command finds it in its environment:
//
//	IDP_E2E_SIGSTORE                a folder with trusted-root.json, signing-config.json, services.json and logs/
//	PATH                            cosign-v2 and cosign-v3
//	ACTIONS_ID_TOKEN_REQUEST_URL    and _TOKEN, from which a job asks for its token
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
	"runtime"
	"strings"
	"syscall"
	"time"
)

const usage = "usage: sigstore run [flags] COMMAND…"

func main() {
	// The services end with the thread that started them, so this one stays; see endWithUs.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit commandError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.code)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "sigstore:", err)
		os.Exit(1)
	}
}

// commandError is the end of the command, which has said why.
type commandError struct{ code int }

func (e commandError) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }

// options are what a person may choose.
type options struct {
	cache  string // folder for what is built once
	source string // folder of the module that pins the services
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) == 0 || args[0] != "run" {
		return errors.New(usage)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	var o options
	flags := flag.NewFlagSet("sigstore run", flag.ContinueOnError)
	flags.StringVar(&o.cache, "cache", filepath.Join(cache, "idp"), "folder for what is built once")
	flags.StringVar(&o.source, "source", filepath.Join("testdata", "sigstore"), "folder of the Go module that pins the services")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("run needs a command; " + usage)
	}
	bin, err := binaries(ctx, o.cache, o.source)
	if err != nil {
		return err
	}
	registry, err := debianRegistry(ctx, o.cache)
	if err != nil {
		return err
	}
	i, err := start(ctx, bin, registry)
	defer func() { err = errors.Join(err, i.stop()) }()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, i.tails())
	}
	return i.runCommand(ctx, flags.Args())
}

// runCommand runs a command that finds the instance in its environment.
func (i *instance) runCommand(ctx context.Context, args []string) error {
	// #nosec G204 -- the command is what whoever started this asked for
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), i.environ()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return commandError{exit.ExitCode()}
	}
	return err
}

func (i *instance) environ() []string {
	return []string{
		"IDP_E2E_SIGSTORE=" + i.dir,
		"PATH=" + i.bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + i.Tokens + "/token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + requestToken,
	}
}

// tails are the ends of the logs, for when a start failed.
func (i *instance) tails() string {
	files, _ := filepath.Glob(filepath.Join(i.dir, "logs", "*.log"))
	var text strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file) // #nosec G304 -- found above
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		_, _ = fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(file), strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return text.String()
}

// say tells a person what is going on. Standard output is the command's.
func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, "sigstore: "+format+"\n", args...)
}
