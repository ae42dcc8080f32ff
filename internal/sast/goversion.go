package sast

import (
	"fmt"
	"go/version"
	"os"
	"regexp"
	"runtime"
	"sync"

	"github.com/securego/gosec/v2"
	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/fault"
)

var newerThanBinary = regexp.MustCompile(`requires newer Go version (go[0-9.a-z]+)`)

// newerGo refuses a module whose language version this program's type checker does not know. A development version of
// Go has no number; then the type checker itself says so.
func newerGo(s survey) error {
	for _, p := range s.packages {
		if p.Module != nil && version.IsValid(runtime.Version()) &&
			version.Compare("go"+p.Module.GoVersion, runtime.Version()) > 0 {
			return newer("go" + p.Module.GoVersion)
		}
	}
	return nil
}

// tooNew says whether errors come of a Go that is newer than what the type checker in this program knows: the module's, or
// that of the library of the go command on the PATH.
func tooNew(tool string, errs []packages.Error) error {
	for _, e := range errs {
		if m := newerThanBinary.FindStringSubmatch(e.Msg); m != nil {
			return newer(m[1])
		}
	}
	if len(errs) > 0 && version.IsValid(tool) && version.IsValid(runtime.Version()) && version.Compare(version.Lang(tool), version.Lang(runtime.Version())) > 0 {
		return fault.Undeterminedf("the go command on the PATH is %s, and this program was built with %s, which does not know all of its library: %s",
			tool, runtime.Version(), errs[0].Msg).
			WithNext("Use a release of idp that is built with " + version.Lang(tool) + " or newer, or put an older go on the PATH.")
	}
	return nil
}

func newer(goVersion string) error {
	return fault.Undeterminedf("the module needs %s, and this program was built with %s, which does not know that language version",
		goVersion, runtime.Version()).
		WithNext("Use a release of idp that is built with " + goVersion + " or newer, or lower the go line in go.mod.")
}

// goVersion is the lowest language version of the packages, as in go.mod.
func (s survey) goVersion() string {
	lowest := ""
	for _, p := range s.packages {
		v := "1.16" // what go takes where go.mod does not say
		if p.Module != nil && p.Module.GoVersion != "" {
			v = p.Module.GoVersion
		}
		if lowest == "" || version.Compare("go"+v, "go"+lowest) < 0 {
			lowest = v
		}
	}
	return lowest
}

var pin sync.Mutex

// pinGoVersion tells gosec the language version of the module. Left to itself, gosec asks `go list -m` in the process's
// working directory, which need not be the service's folder, and with no way to cancel it. It takes the answer from
// elsewhere only through this variable, and only once in a process: a second module, of a version that gosec's rules
// treat in another way, cannot be scanned in the same process.
func pinGoVersion(v string) error {
	pin.Lock()
	defer pin.Unlock()
	if err := os.Setenv("GOSECGOVERSION", v); err != nil {
		return err
	}
	major, minor, _ := gosec.GoVersion()
	if have := fmt.Sprintf("%d.%d", major, minor); era(have) != era(v) {
		return fmt.Errorf("go.mod says go %s, and gosec holds on to go %s of the module that this process scanned before", v, have)
	}
	return nil
}

// era counts the versions at which gosec's rules change: G402 at 1.18 (safe TLS defaults), G601 at 1.22 (loop variables).
func era(v string) int {
	n := 0
	for _, change := range []string{"go1.18", "go1.22"} {
		if version.Compare("go"+v, change) >= 0 {
			n++
		}
	}
	return n
}
