package proc

import (
	"os"
	"strings"

	"github.com/org/idp/internal/fault"
)

// GoTemp gives the go command, which runs in env, a temporary folder of its own that remove takes away. Go does that itself
// only from the moment on at which it begins to build; an interrupt before leaves its folder behind.
func GoTemp(env []string) (with []string, remove func(), err error) {
	parent := "" // the system's
	for _, entry := range env {
		if chosen, ok := strings.CutPrefix(entry, "GOTMPDIR="); ok {
			parent = chosen
		}
	}
	dir, err := os.MkdirTemp(parent, "idp-go-*")
	if err != nil {
		return env, func() {}, fault.Undeterminedf("go cannot work on this machine: no temporary folder: %w", err).
			WithNext("Give it one that it can write, with room in it, in TMPDIR or GOTMPDIR.")
	}
	return append(env, "GOTMPDIR="+dir), func() { _ = os.RemoveAll(dir) }, nil
}
