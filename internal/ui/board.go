// Package ui is what a person sees in a terminal or a log while stages run: one line a stage, live on a terminal, printed
// once elsewhere. Colour is never the only carrier of meaning.
package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/idp/internal/record"
)

// Options say what the writer can show.
type Options struct {
	Terminal bool // redraw running stages in place
	Color    bool
	Quiet    bool             // only what did not pass, and the last line
	Width    int              // columns of the terminal; 0 is unknown
	Now      func() time.Time // required
}

// heartbeat is how long a stage may run in a log before a line says that it still does.
const heartbeat = 10 * time.Second

// tick is how often running stages are redrawn on a terminal.
const tick = 100 * time.Millisecond

// Board shows stages. Its methods may be called from any goroutine.
type Board struct {
	opts Options

	mu      sync.Mutex
	w       io.Writer
	running []*line
	drawn   int // lines on the terminal below the cursor's home
	stop    chan struct{}
	stopped chan struct{}
}

type line struct {
	name    string
	what    string
	started time.Time
	beat    time.Time
}

// New begins a board; Close ends it.
func New(w io.Writer, opts Options) *Board {
	b := &Board{opts: opts, w: w, stop: make(chan struct{}), stopped: make(chan struct{})}
	go b.loop()
	return b
}

func (b *Board) loop() {
	defer close(b.stopped)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.mu.Lock()
			b.refresh()
			b.mu.Unlock()
		}
	}
}

// Close stops redrawing and leaves what was printed. It may be called once.
func (b *Board) Close() {
	close(b.stop)
	<-b.stopped
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
}

// Start shows that a stage runs.
func (b *Board) Start(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	b.running = append(b.running, &line{name: name, started: now, beat: now})
	b.refresh()
}

// Update says what a running stage does now.
func (b *Board) Update(name, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.running {
		if l.name == name {
			l.what = Clean(what)
		}
	}
}

// Done shows what a stage came to, and what a person needs to act on it.
func (b *Board) Done(s record.Stage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = slices.DeleteFunc(b.running, func(l *line) bool { return l.name == s.Name })
	b.erase()
	if !b.opts.Quiet || s.Outcome == record.Failed || s.Outcome == record.Error {
		b.print(stageLines(s)...)
	}
	b.draw()
}

// Say prints lines between stages; Quiet leaves them out.
func (b *Board) Say(lines ...string) {
	if !b.opts.Quiet {
		b.Verdict(lines...)
	}
}

// Verdict prints lines whatever the options are.
func (b *Board) Verdict(lines ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	b.print(lines...)
	b.draw()
}

func (b *Board) print(lines ...string) {
	for _, l := range lines {
		_, _ = fmt.Fprintln(b.w, b.paint(Clean(l)))
	}
}

// refresh redraws on a terminal; in a log it prints a line for each stage that has been silent for long.
func (b *Board) refresh() {
	if b.opts.Terminal {
		b.erase()
		b.draw()
		return
	}
	now := b.opts.Now()
	for _, l := range b.running {
		if now.Sub(l.beat) >= heartbeat && !b.opts.Quiet {
			l.beat = now
			b.print(fmt.Sprintf("  … %-9s %s   %s", l.name, seconds(now.Sub(l.started)), l.what))
		}
	}
}

func (b *Board) erase() {
	if b.drawn > 0 {
		_, _ = fmt.Fprintf(b.w, "\x1b[%dA\x1b[J", b.drawn)
		b.drawn = 0
	}
}

func (b *Board) draw() {
	if !b.opts.Terminal || b.opts.Quiet {
		return
	}
	now := b.opts.Now()
	for _, l := range b.running {
		text := fmt.Sprintf("  … %-9s %s   %s", l.name, seconds(now.Sub(l.started)), l.what)
		_, _ = fmt.Fprintln(b.w, cut(text, b.opts.Width))
		b.drawn++
	}
}

// cut keeps a live line on one row of the terminal; a wrapped one could not be erased.
func cut(text string, width int) string {
	if r := []rune(text); width > 0 && len(r) >= width {
		return string(r[:max(0, width-2)]) + "…"
	}
	return text
}

var marks = map[record.Outcome]string{record.Passed: "✓", record.Failed: "✗", record.Error: "?", record.Skipped: "–"}

func stageLines(s record.Stage) []string {
	text := s.Summary
	if s.Outcome != record.Passed {
		text = s.Reason
	}
	lines := []string{fmt.Sprintf("  %s %-9s %s   %s", marks[s.Outcome], s.Name,
		seconds(time.Duration(s.DurationMS)*time.Millisecond), text)}
	if len(s.Detail) == 0 {
		return lines
	}
	lines = append(lines, "")
	for _, d := range s.Detail {
		lines = append(lines, strings.TrimRight("    "+d, " "))
	}
	return append(lines, "")
}

// seconds is five columns wide.
func seconds(d time.Duration) string {
	if d < 100*time.Second {
		return fmt.Sprintf("%4.1fs", d.Seconds())
	}
	return fmt.Sprintf("%4.0fs", d.Seconds())
}

var colours = []struct{ prefix, code string }{
	{"  ✓ ", "32"}, {"  ✗ ", "31"}, {"  ? ", "33"}, {"  – ", "2"}, {"passed", "32"}, {"failed", "31"}, {"could not", "33"},
}

func (b *Board) paint(text string) string {
	if !b.opts.Color {
		return text
	}
	for _, c := range colours {
		if strings.HasPrefix(text, c.prefix) {
			head := strings.TrimRight(c.prefix, " ")
			return "\x1b[" + c.code + "m" + head + "\x1b[0m" + strings.TrimPrefix(text, head)
		}
	}
	return text
}
