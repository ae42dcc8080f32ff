package runner

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/testkit/runneroracle"
)

func FuzzFilesCannotBeInjected(f *testing.F) {
	for _, v := range []string{"plain", "a=b", "x<<EOF\nBASH_ENV=/evil\nEOF", "_GitHubActionsFileCommandDelimeter_\nBASH_ENV<<X", "", "\n\n",
		"ends in CR\r", "\xff\xfe\x00", "\xef\xbb\xbfNAME=x", "idp-\nNAME=x"} {
		f.Add(v, "digest")
	}
	for _, n := range []string{"", "a=b", "a\nb", "a<<b", "a\rb", " a", "ä", "\xef\xbb\xbfa"} {
		f.Add("value", n)
	}
	f.Fuzz(func(t *testing.T, value, name string) {
		s := newStep(t)
		var want []runneroracle.Pair
		for _, n := range []string{"first", name, "last"} {
			if err := s.SaveState(n, "state of "+value); n != name && err != nil {
				t.Fatal(err)
			}
			if err := s.Output(n, value); err == nil {
				want = append(want, runneroracle.Pair{Name: n, Value: strings.ToValidUTF8(value, "\ufffd")})
			}
		}
		if got := s.pairs("GITHUB_OUTPUT"); !cmp.Equal(got, want) {
			t.Errorf("%q became %q", want, got)
		}
		if got := s.pairs("GITHUB_STATE"); len(got) != len(want) {
			t.Errorf("state has %d pairs, want %d", len(got), len(want))
		}
	})
}

func TestNamesThatAreCommandsAreRefused(t *testing.T) {
	s := newStep(t)
	for _, name := range []string{"", "a=b", "a\nb", "a<<b", "a\r", " a", "1a", "a b"} {
		if err := s.Output(name, "x"); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
	if err := s.Output("fail-on_2", "x"); err != nil {
		t.Error(err)
	}
}

func TestStateComesBack(t *testing.T) {
	s := newStep(t)
	if err := s.SaveState("stop", "two\nlines"); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.pairs("GITHUB_STATE") { // as NodeScriptActionHandler hands it over
		s.env["STATE_"+p.Name] = p.Value
	}
	if got := s.State("stop"); got != "two\nlines" {
		t.Errorf("got %q", got)
	}
}

func TestAFileThatCannotBeWrittenIsAnError(t *testing.T) {
	s := newStep(t)
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		s.env[name] = s.dir // a folder
	}
	if s.Output("a", "b") == nil || s.SaveState("a", "b") == nil || s.Summary("a", "b") == nil {
		t.Error("a write that failed was not reported")
	}
}
