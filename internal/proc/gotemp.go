package proc

import (
	"fmt"
	"os"
	"strings"
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
		return env, func() {}, fmt.Errorf("no temporary folder for go: %w", err)
	}
	return append(env, "GOTMPDIR="+dir), func() { _ = os.RemoveAll(dir) }, nil
}
