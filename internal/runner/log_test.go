package runner

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var hostile = []string{
	"::error title=pwned::x", "  ::set-env name=PWNED::x", "\u00a0\u2003::add-path::/pwned", "::ADD-MASK::e", "see ##[add-matcher]x.json",
	"##[group]pwned", "a\r::error::pwned", "::stop-commands::pwned", "::pwned::", "::echo::on", "##[endgroup]", "no newline",
}

func TestTextIsNeverACommand(t *testing.T) {
	s := newStep(t)
	for i, text := range hostile {
		_, _ = io.WriteString(s.Log(), text+strings.Repeat("\n", i%2)) // some end in the middle of a line
		if i%3 == 0 {
			s.Annotate([]Annotation{{Message: "ours"}})
		}
	}
	s.Group("a title\n::error::pwned", hostile)
	s.Close()
	s.Close()
	_, _ = io.WriteString(s.out, "\n::error::of the rest of the step\n")
	log := s.log()
	var got []string
	for _, c := range log.Commands {
		got = append(got, c.String())
	}
	ours := `error() "ours"`
	want := []string{ours, ours, ours, ours, `group() "a title\n::error::pwned"`, `endgroup() ""`, `error() "of the rest of the step"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s\nof\n%s", diff, s.out)
	}
	for _, token := range log.Stops {
		if token != log.Stops[0] || len(token) < 26 {
			t.Errorf("token %q", token)
		}
	}
	if text := strings.Join(log.Text, "\n"); strings.Contains(text, "##[") || !strings.Contains(text, "::set-env name=PWNED::x") {
		t.Errorf("text is %q", text)
	}
}

func TestTokensDiffer(t *testing.T) {
	if a, b := newConsole(io.Discard), newConsole(io.Discard); a.token == b.token {
		t.Error(a.token)
	}
}

func TestTextAndCommandsOfManyGoroutines(t *testing.T) {
	s := newStep(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				_, _ = fmt.Fprintf(s.Log(), "::error::pwned %d\n", i)
				s.Mask(fmt.Sprintf("secret %d", i))
			}
		})
	}
	wg.Wait()
	s.Close()
	log := s.log()
	for _, c := range log.Commands {
		if c.Name != "add-mask" {
			t.Fatal(c)
		}
	}
	if len(log.Commands) != 400 || log.Stopped() {
		t.Errorf("%d masks, stopped %v", len(log.Commands), log.Stopped())
	}
}

func TestMasksAreOfLinesThatSaySomething(t *testing.T) {
	for value, want := range map[string][]string{
		"hunter2":                               {"hunter2"},
		"":                                      nil,
		"   ":                                   nil,
		"abc":                                   nil,
		"größ":                                  {"größ"},
		"-----BEGIN KEY-----\r\nabc%0Adef\n}\n": {"-----BEGIN KEY-----", "abc%0Adef"},
		"{\n  \"key\": \"s3cret\"\n}":           {`"key": "s3cret"`},
	} {
		s := newStep(t)
		s.Mask(value)
		var got []string
		for _, c := range s.log().Commands {
			got = append(got, c.Data)
		}
		if !cmp.Equal(got, want) {
			t.Errorf("%q: masks %q, want %q", value, got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody reads this any more") }

func TestALogThatNobodyReadsIsNoReasonToStop(t *testing.T) {
	s := newStep(t)
	r := New(func(k string) string { return s.env[k] }, broken{})
	_, _ = io.WriteString(r.Log(), "x")
	r.Annotate([]Annotation{{Message: "x"}})
	r.Mask("secret")
	r.Group("x", []string{"y"})
	r.Close()
}

func FuzzTextIsNeverACommand(f *testing.F) {
	for _, v := range hostile {
		f.Add(v, "\n"+v)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		s := newStep(t)
		_, _ = io.WriteString(s.Log(), one)
		_, _ = io.WriteString(s.Log(), two)
		s.Mask("secret")
		_, _ = io.WriteString(s.Log(), two)
		s.Close()
		if log := s.log(); len(log.Commands) != 1 || log.Stopped() {
			t.Errorf("%q: %v", s.out, log.Commands)
		}
	})
}
