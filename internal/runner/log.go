package runner

import (
	"crypto/rand"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// console is the log of a step. The runner takes every line for a command that looks like one, in standard output and
// standard error alike, whatever spaces come before it and, in the form ##[name], wherever it begins. So the runner is told
// to read no commands while text is written, until it meets a token that nobody can guess.
type console struct {
	mu      sync.Mutex
	w       io.Writer
	token   string
	text    bool // the runner reads no commands now
	midLine bool
}

func newConsole(w io.Writer) *console { return &console{w: w, token: "idp-" + rand.Text()} }

// Write writes text, which is never a command. Each call is one write, so that nothing comes in between.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	head := ""
	if !c.text {
		head = "::stop-commands::" + c.token + "\n"
	}
	c.text, c.midLine = true, p[len(p)-1] != '\n'
	// The runner writes its own marks into the same log as ##[error] or ##[group], where a reader's browser takes them for
	// what they say, whoever wrote them.
	text := strings.ReplaceAll(string(p), "##[", "## [")
	if _, err := io.WriteString(c.w, head+text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// resume ends what Write began, if it did.
func (c *console) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text {
		_ = c.commandLocked("") // see commands
	}
}

// command writes lines that are commands.
func (c *console) command(lines string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commandLocked(lines)
}

func (c *console) commandLocked(lines string) error {
	head := ""
	if c.midLine {
		head = "\n"
	}
	if c.text {
		head += "::" + c.token + "::\n"
	}
	c.text, c.midLine = false, false
	_, err := io.WriteString(c.w, head+lines)
	return err
}

// commands is the console for the library, which panics where it cannot write: a log that nobody reads any more is no
// reason to stop.
type commands struct{ *console }

func (c commands) Write(p []byte) (int, error) {
	_ = c.command(string(p))
	return len(p), nil
}

// Log is where everything goes that people read: in a run, nothing written to it can be a command. Outside a run it is the
// log as it is.
func (r *Runner) Log() io.Writer {
	if !r.Active() {
		return r.log.w
	}
	return r.log
}

// Close lets the rest of the step give commands again. The log can be written to after it.
func (r *Runner) Close() { r.log.resume() }

// maskedLength is from how many characters on a line is masked. A shorter one is in so many words of a log that masking it
// tells more than it hides.
const maskedLength = 4

// Mask hides a value in the log from now on, each line of it on its own, since the log is masked by lines. Lines of a key
// that say nothing, such as a single brace, stay. Outside a run it does nothing.
func (r *Runner) Mask(value string) {
	if !r.Active() {
		return
	}
	for _, line := range strings.FieldsFunc(value, func(c rune) bool { return c == '\n' || c == '\r' }) {
		if line = strings.TrimSpace(line); utf8.RuneCountInString(line) >= maskedLength {
			r.gha.AddMask(line)
		}
	}
}

// Group writes lines that a person opens when they want them. Outside a run it does nothing.
func (r *Runner) Group(title string, lines []string) {
	if !r.Active() {
		return
	}
	r.gha.Group(title)
	for _, line := range lines {
		_, _ = io.WriteString(r.log, line+"\n") // see commands
	}
	r.gha.EndGroup()
}
