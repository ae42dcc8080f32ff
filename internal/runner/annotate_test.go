package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/org/idp/internal/testkit/runneroracle"
)

func repeat(n int, a Annotation) []Annotation {
	list := make([]Annotation, n)
	for i := range list {
		list[i] = a
		list[i].Line = i + 1
	}
	return list
}

func count(log *runneroracle.Log, level string) (n int, last runneroracle.Command) {
	for _, c := range log.Commands {
		if c.Name == level {
			n, last = n+1, c
		}
	}
	return n, last
}

func TestAnnotationsSayHowManyMoreThereAre(t *testing.T) {
	s := newStep(t)
	list := append(repeat(14, Annotation{File: "a,b:c.go", Title: "G101", Message: "50% of\nit"}), repeat(10, Annotation{Level: Warning, Message: "w"})...)
	if cut := s.Annotate(append(list, repeat(11, Annotation{Level: Notice, Message: "n"})...)); !cut {
		t.Error("does not tell that some were left out")
	}
	log := s.log()
	if got, want := log.Commands[0].String(), `error(file="a,b:c.go",line="1",title="G101") "50% of\nit"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for level, more := range map[string]string{"error": "and 5 more", "warning": "w", "notice": "and 2 more"} {
		n, last := count(log, level)
		if n != 10 || !strings.HasPrefix(last.Data, more) {
			t.Errorf("%d of level %s, the last is %s", n, level, last)
		}
	}
	if s.Annotate(repeat(1, Annotation{Message: "one"})) {
		t.Error("one annotation was cut")
	}
}

func TestTheStepsOfAJobShareItsLimit(t *testing.T) {
	s := newStep(t)
	all := append(repeat(20, Annotation{Message: "e"}), repeat(20, Annotation{Level: Warning, Message: "w"})...)
	total := 0
	for range 4 { // each step is a process of its own
		s.out.Reset()
		New(func(k string) string { return s.env[k] }, s.out).Annotate(all)
		total += len(s.log().Commands)
	}
	// 20, 20, then what is left of 50, then a word of each level that there is more.
	if total < 50 || total > 54 {
		t.Errorf("%d annotations", total)
	}
	if n, last := count(s.log(), "error"); n != 1 || !strings.HasPrefix(last.Data, "and 20 more") {
		t.Errorf("the last step says %d errors, %s", n, last)
	}
	file := filepath.Join(s.dir, "idp", "annotations")
	for _, broken := range []string{"", "x", "-5"} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		s.out.Reset()
		s.Annotate(all)
		if n, _ := count(s.log(), "error"); n != 10 {
			t.Errorf("count %q: %d errors", broken, n)
		}
	}
}

func TestLongTextIsCutAsTheRunnerCounts(t *testing.T) {
	for name, text := range map[string]string{"ASCII": strings.Repeat("x", 5000), "two units": strings.Repeat("😀", 3000), "umlauts": strings.Repeat("ä", 4097)} {
		s := newStep(t)
		s.Annotate([]Annotation{{Title: text, Message: text}})
		c := s.log().Commands[0]
		for what, limit := range map[string]int{c.Data: 4096, c.Properties["title"]: 255} {
			if n := len(utf16.Encode([]rune(what))); n > limit || n < limit-1 || !strings.HasSuffix(what, "…") {
				t.Errorf("%s: %d units of %d", name, n, limit)
			}
		}
	}
	for _, fits := range []string{"", strings.Repeat("x", 4096), strings.Repeat("😀", 2048)} {
		if got := shorten(fits, 4096); got != fits {
			t.Errorf("%d bytes were cut to %d", len(fits), len(got))
		}
	}
}

func FuzzAnnotationsCannotBeInjected(f *testing.F) {
	for _, v := range []string{"x", "a\n::set-env name=B::c", "\r\n##[error]x", "::", "a,b=c:d", "%0A::error::", "\xff", ""} {
		f.Add(v, v, v)
	}
	f.Fuzz(func(t *testing.T, file, title, message string) {
		s := newStep(t)
		s.Annotate([]Annotation{{File: file, Line: 1, Title: title, Message: message}})
		commands := s.log().Commands
		if len(commands) != 1 || commands[0].Name != "error" {
			t.Fatalf("%q: %v", s.out, commands)
		}
		if len(message) < 1000 {
			if got, want := commands[0].Data, strings.ToValidUTF8(message, "\ufffd"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		for name := range commands[0].Properties {
			if !strings.Contains("file line title", name) {
				t.Errorf("property %s: %s", name, fmt.Sprint(commands[0]))
			}
		}
	})
}
