package runner

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// Output sets an output of the step. Outside a run it does nothing.
func (r *Runner) Output(name, value string) error { return r.set("GITHUB_OUTPUT", name, value) }

// SaveState keeps a value for the part of this step that runs after the job. Outside a run it does nothing.
func (r *Runner) SaveState(name, value string) error { return r.set("GITHUB_STATE", name, value) }

// State is what SaveState kept; empty before that part, and outside a run.
func (r *Runner) State(name string) string { return r.of("STATE_" + name) }

func (r *Runner) set(file, name, value string) error {
	path := r.of(file)
	if path == "" {
		return nil
	}
	text, err := fileCommand(name, value)
	if err != nil {
		return err
	}
	return appendFile(path, text)
}

// fileName is narrower than what the runner takes: no name of ours needs more, and the first = or << of a line ends it.
var fileName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// fileCommand writes a value so that no part of it can end it early.
func fileCommand(name, value string) (string, error) {
	if !fileName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of an output", name)
	}
	delimiter := "idp-" + rand.Text()
	if strings.Contains(value, delimiter) {
		return "", fmt.Errorf("the value of output %s contains its own delimiter", name)
	}
	return fmt.Sprintf("%s<<%s\n%s\n%s\n", name, delimiter, value, delimiter), nil
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // #nosec G304 -- the runner names the file
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
