package build

import (
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// shown is how many lines of the compiler follow the headline.
const shown = 10

var (
	position    = regexp.MustCompile(`^\S+\.go:\d+(:\d+)?: `)
	unavailable = regexp.MustCompile(`(?:^|\s)(\S+)@(v[^\s:]+): (.*(?:dial tcp|no such host|connection refused|i/o timeout|TLS handshake|proxyconnect|` +
		`GOPROXY=off|Client\.Timeout|server misbehaving|network is unreachable|EOF|reading \S+: \d{3} |git (?:ls-remote|fetch)).*)$`)
	userinfo = regexp.MustCompile(`://[^/\s"@]+@`)
)

// broken says why the toolchain stopped. None of it is a gate that said no: whether the service is good was never found
// out.
func broken(err error, output []string) error {
	var e *proc.Error
	switch {
	case !errors.As(err, &e):
		return err // the context's
	case errors.Is(err, exec.ErrNotFound):
		return fault.Undeterminedf("go does not run: %w", e.Err).WithNext("Install Go and put it on the PATH: https://go.dev/dl/")
	}
	all := slices.Concat(output, stderr(err))
	all = slices.DeleteFunc(all, func(l string) bool { return strings.HasPrefix(l, "# ") || strings.HasPrefix(l, "go: downloading ") })
	for i, l := range all {
		// A module proxy's address may carry credentials.
		all[i] = strings.TrimPrefix(userinfo.ReplaceAllString(l, "://"), "./")
	}
	if len(all) == 0 {
		return fault.Undeterminedf("%s ended without a word: %w", e.Command, e.Err)
	}
	for _, l := range all {
		if m := unavailable.FindStringSubmatch(l); m != nil {
			return fault.Undeterminedf("module %s %s cannot be fetched", strings.TrimPrefix(m[1], "go:"), m[2]).WithDetail(m[3]).
				WithNext("Check the network and GOPROXY, or for a private module GOPRIVATE and its credentials; try: go mod download")
		}
		if strings.Contains(l, "unsupported GOOS/GOARCH pair") {
			return fault.BadInputf("platform %s is none that Go compiles for", l[strings.LastIndex(l, " ")+1:]).
				WithNext("List them: go tool dist list")
		}
	}
	return notCompiling(all)
}

func notCompiling(all []string) error {
	first := max(0, slices.IndexFunc(all, position.MatchString))
	e := fault.Undeterminedf("the service does not compile: %s", strings.TrimPrefix(all[first], "go: "))
	rest := slices.Delete(slices.Clone(all), first, first+1)
	if len(rest) > shown {
		rest = append(rest[:shown], "…")
	}
	e = e.WithDetail(rest...)
	text := strings.Join(all, "\n")
	if strings.Contains(text, "go.sum") || strings.Contains(text, "go mod tidy") || strings.Contains(text, "no required module provides") {
		return e.WithNext("go mod tidy, then commit go.mod and go.sum")
	}
	return e.WithNext("go build ./...")
}
