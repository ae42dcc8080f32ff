package build

import (
	"slices"
	"strings"
)

// keep names the variables that reach the Go toolchain and what it calls: where things are, how modules are fetched, and
// what its author chose for the compiler. A token of the CI is in none of them, so no build step can read it. Names end
// in * where all that begin so are kept.
var keep = []string{
	// The machine.
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP",
	// Go's own folders and choices.
	"GOPATH", "GOROOT", "GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOENV", "GOTOOLCHAIN", "GOFLAGS", "GOWORK", "GOEXPERIMENT",
	"GOFIPS140", "GOAMD64", "GOARM", "GOARM64", "GO386", "GOMIPS*", "GOPPC64", "GORISCV64", "GODEBUG", "GOMAXPROCS", "GOMEMLIMIT",
	// Where modules come from, and the credentials that exist for them.
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "NETRC",
	"GIT_CONFIG*", "GIT_SSH*", "GIT_ASKPASS", "SSH_AUTH_SOCK", "SSH_ASKPASS",
	// The network.
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// environ is the environment of the toolchain: what keep names, then what this package decides.
func environ(all []string, decided ...string) []string {
	var kept []string
	for _, entry := range all {
		name, _, _ := strings.Cut(entry, "=")
		if slices.ContainsFunc(keep, func(pattern string) bool { return matches(pattern, strings.ToUpper(name)) }) {
			kept = append(kept, entry)
		}
	}
	return append(kept, decided...)
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == pattern
}
