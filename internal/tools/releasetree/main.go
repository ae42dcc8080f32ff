// Command releasetree lays out what `uses: org/idp/NAME@v1` needs at one commit: every action.yml where a workflow looks
// for it, the node shim, and the program for each platform. The same commit, version and toolchain give the same bytes,
// wherever the checkout is.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// every platform that idp is made for; the first two are in the tree by default.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64"}

// tarballLimit in bytes is what the tree of the default platforms may weigh as the tarball that a runner downloads once
// a job and action: at 200 MB runners gave up.
const tarballLimit = 45_000_000

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "release-tree:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("releasetree", flag.ContinueOnError)
	source := flags.String("source", ".", "checkout of the repository")
	out := flags.String("out", "dist/tree", "folder for the tree; what is there is replaced")
	version := flags.String("version", "", "version of the release, such as v1.2.3; empty: devel")
	list := flags.String("platforms", "", "OS/ARCH, separated by spaces or commas; all, or host; default: "+strings.Join(platforms[:2], " "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version != "" && !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(*version) {
		return fmt.Errorf("version %q is not of the form v1.2.3", *version)
	}
	chosen, limit := choose(*list)
	t := tree{source: *source, dir: *out, version: *version, platforms: chosen}
	if err := t.lay(ctx); err != nil {
		return err
	}
	return t.weigh(stdout, limit)
}

// choose gives the platforms of the list, and how large their tarball may be; 0 for any size.
func choose(list string) (chosen []string, limit int64) {
	chosen = strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
	switch {
	case len(chosen) == 0:
		return platforms[:2], tarballLimit
	case chosen[0] == "all":
		return platforms, 0
	case chosen[0] == "host":
		return []string{runtime.GOOS + "/" + runtime.GOARCH}, tarballLimit
	}
	return chosen, 0
}
