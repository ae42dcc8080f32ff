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
	position = regexp.MustCompile(`^\S+\.go:\d+(:\d+)?: `)
	fetching = regexp.MustCompile(`dial tcp|no such host|connection refused|i/o timeout|TLS handshake|proxyconnect|disabled by GOPROXY|Client\.Timeout|` +
		`server misbehaving|network is unreachable|: EOF$|reading https?://\S+: |git (?:ls-remote|fetch|init)`)
	// machine is what go says when its own folders are not there or full.
	machine = regexp.MustCompile(`cache is required|creating work dir|neither GOMODCACHE nor GOPATH is set|GOCACHE|GOPATH|no space left on device|file too large|` +
		`disk quota exceeded|read-only file system|cannot allocate memory|too many open files`)
	versioned = regexp.MustCompile(`(?:^|\s)([^\s@]+)@(v[^\s:]+): (.*)$`)
	userinfo  = regexp.MustCompile(`://[^/\s"@]+@`)
)

// broken says why the toolchain stopped. None of it is a gate that said no: whether the service is good was never found
// out.
func broken(err error, output []said) error {
	var e *proc.Error
	switch {
	case !errors.As(err, &e):
		return err // the context's
	case errors.Is(err, exec.ErrNotFound):
		return fault.Undeterminedf("go does not run: %w", e.Err).WithNext("Install Go and put it on the PATH: https://go.dev/dl/")
	}
	all := slices.Concat(output, stderr(e))
	all = slices.DeleteFunc(all, func(s said) bool {
		return strings.HasPrefix(s.line, "# ") || strings.HasPrefix(s.line, "go: downloading ")
	})
	if len(all) == 0 {
		return fault.Undeterminedf("%s ended without a word: %w", e.Command, e.Err)
	}
	var text []string
	for _, s := range all {
		// A module proxy's address may carry credentials.
		l := strings.TrimPrefix(userinfo.ReplaceAllString(s.line, "://"), "./")
		if fetching.MatchString(l) {
			return notFetched(s.pkg, l)
		}
		if machine.MatchString(l) && !position.MatchString(l) {
			return fault.Undeterminedf("go cannot work on this machine: %s", strings.TrimPrefix(l, "go: ")).
				WithNext("Give go folders that it can write, with room in them: HOME or GOCACHE and GOMODCACHE, and TMPDIR; see: go env")
		}
		if strings.Contains(l, "unsupported GOOS/GOARCH pair") {
			return fault.BadInputf("platform %s is none that Go compiles for", l[strings.LastIndex(l, " ")+1:]).
				WithNext("List them: go tool dist list")
		}
		text = append(text, l)
	}
	return notCompiling(text)
}

func notFetched(pkg, line string) error {
	what := "a module cannot be fetched"
	if m := versioned.FindStringSubmatch(line); m != nil {
		what, line = "module "+m[1]+" "+m[2]+" cannot be fetched", m[3]
	} else if pkg != "" {
		what = "the module of package " + pkg + " cannot be fetched"
	}
	return fault.Undeterminedf("%s", what).WithDetail(strings.TrimPrefix(line, "go: ")).
		WithNext("Check the network and GOPROXY, or for a private module GOPRIVATE and its credentials; try: go mod download")
}

func notCompiling(all []string) error {
	first := max(0, slices.IndexFunc(all, position.MatchString))
	headline, rest := strings.TrimPrefix(all[first], "go: "), slices.Delete(slices.Clone(all), first, first+1)
	if strings.HasSuffix(headline, ":") && len(rest) > first { // as in "errors parsing go.mod:"
		headline, rest = headline+" "+strings.TrimSpace(rest[first]), slices.Delete(rest, first, first+1)
	}
	if len(rest) > shown {
		rest = append(rest[:shown], "…")
	}
	e := fault.Undeterminedf("the service does not compile: %s", headline).WithDetail(rest...)
	text := strings.Join(all, "\n")
	for _, sign := range []string{"go.sum", "go mod tidy", "updates to go.mod", "module providing package", "module provides"} {
		if strings.Contains(text, sign) {
			return e.WithNext("go mod tidy, then commit go.mod and go.sum")
		}
	}
	return e.WithNext("go build ./...")
}
