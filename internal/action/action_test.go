package action

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
)

type all struct {
	text, choice, needed string
	on                   bool
	count                int
	span                 time.Duration
	list                 []string
}

func (a *all) declare(s *Set) {
	s.String(&a.text, Input{Name: "text", Default: "from default"})
	s.String(&a.choice, Input{Name: "fail-on", OneOf: []string{"low", "high"}})
	s.Bool(&a.on, Input{Name: "on"})
	s.Int(&a.count, Input{Name: "count", Default: "3"})
	s.Duration(&a.span, Input{Name: "span"})
	s.List(&a.list, Input{Name: "list"})
}

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestTheFirstOfFlagVariableAndDefaultWins(t *testing.T) {
	for name, test := range map[string]struct {
		flags, vars map[string]string
		want        string
	}{
		"default":              {nil, nil, "from default"},
		"variable":             {nil, map[string]string{"INPUT_TEXT": " from variable\n"}, "from variable"},
		"flag":                 {map[string]string{"text": "from flag"}, map[string]string{"INPUT_TEXT": "from variable"}, "from flag"},
		"empty variable":       {nil, map[string]string{"INPUT_TEXT": ""}, "from default"},
		"another's variable":   {nil, map[string]string{"TEXT": "x", "text": "x"}, "from default"},
		"empty flag, variable": {map[string]string{"text": ""}, map[string]string{"INPUT_TEXT": "x"}, "from default"},
	} {
		var a all
		var s Set
		a.declare(&s)
		if err := s.Fill(test.flags, environment(test.vars)); err != nil || a.text != test.want {
			t.Errorf("%s: %q, %v", name, a.text, err)
		}
	}
}

func TestTypes(t *testing.T) {
	var a all
	var s Set
	a.declare(&s)
	vars := map[string]string{"INPUT_FAIL-ON": "high", "INPUT_ON": "true", "INPUT_COUNT": "12", "INPUT_SPAN": "90s", "INPUT_LIST": "a, b\n c\n\n"}
	if err := s.Fill(nil, environment(vars)); err != nil {
		t.Fatal(err)
	}
	if a.choice != "high" || !a.on || a.count != 12 || a.span != 90*time.Second || !slices.Equal(a.list, []string{"a", "b", "c"}) {
		t.Errorf("%+v", a)
	}
}

func TestAllProblemsTogether(t *testing.T) {
	var a all
	var s Set
	a.declare(&s)
	s.String(&a.needed, Input{Name: "needed", Required: true, Example: "this"})
	err := s.Fill(map[string]string{"fail-on": "grave", "on": "perhaps", "count": "-1", "span": "soon"}, environment(nil))
	if fault.KindOf(err) != fault.BadInput {
		t.Fatalf("%v", err)
	}
	text := strings.Join(fault.Lines(err), "\n")
	for _, want := range []string{`input fail-on: "grave" is not one of low, high`, "input on:", "input count:", "input span:", "input needed is required, such as --needed this"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not contain %q", text, want)
		}
	}
}

func TestDeclaredTwiceWithTheSameWordsFillsBoth(t *testing.T) {
	var one, two string
	var s Set
	Registry(&s, &one)
	Registry(&s, &two)
	if len(s.Inputs()) != 1 {
		t.Errorf("%d inputs", len(s.Inputs()))
	}
	if err := s.Fill(map[string]string{"registry": "r"}, environment(nil)); err != nil || one != "r" || two != "r" {
		t.Errorf("%q %q %v", one, two, err)
	}
}

func TestDeclaredTwiceWithOtherWordsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var v string
	var s Set
	s.String(&v, Input{Name: "x", Usage: "One."})
	s.String(&v, Input{Name: "x", Usage: "Another."})
}

func TestASwitchTakesTheWordsOfYAML(t *testing.T) {
	for word, want := range map[string]string{
		"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false", "": "false",
		"yes": "", "on": "", "1": "", "tRUE": "", "null": "",
	} {
		var on bool
		var maybe *bool
		var s Set
		s.Bool(&on, Input{Name: "on"})
		s.OptionalBool(&maybe, Input{Name: "maybe"})
		err := s.Fill(nil, environment(map[string]string{"INPUT_ON": word, "INPUT_MAYBE": word}))
		if want == "" {
			if fault.KindOf(err) != fault.BadInput || !strings.Contains(strings.Join(fault.Lines(err), "\n"), "input maybe:") {
				t.Errorf("%q: %v", word, err)
			}
			continue
		}
		if err != nil || on != (want == "true") || (maybe == nil) != (word == "") || maybe != nil && *maybe != on {
			t.Errorf("%q: %v %v %v", word, on, maybe, err)
		}
	}
}

func TestSeveralLines(t *testing.T) {
	var text string
	var list, lines []string
	var s Set
	s.String(&text, Input{Name: "text"})
	s.List(&list, Input{Name: "list"})
	s.Lines(&lines, Input{Name: "lines"})
	const given = "\n a, b \r\n\n c\n"
	if err := s.Fill(nil, environment(map[string]string{"INPUT_TEXT": given, "INPUT_LIST": given, "INPUT_LINES": given})); err != nil {
		t.Fatal(err)
	}
	if text != "a, b \r\n\n c" || !slices.Equal(list, []string{"a", "b", "c"}) || !slices.Equal(lines, []string{"a, b", "c"}) {
		t.Errorf("%q %q %q", text, list, lines)
	}
}

func TestASecretComesFromTheEnvironmentAndIsNeverShown(t *testing.T) {
	var token string
	var pin int
	var s Set
	s.String(&token, Input{Name: "token", Secret: true, OneOf: []string{"a", "b"}})
	s.Int(&pin, Input{Name: "pin", Secret: true})
	err := s.Fill(map[string]string{"token": "a"}, environment(map[string]string{"INPUT_TOKEN": "hunter2", "INPUT_PIN": "swordfish"}))
	text := strings.Join(fault.Lines(err), "\n")
	if fault.KindOf(err) != fault.BadInput || !strings.Contains(text, "input token") || !strings.Contains(text, "input pin") {
		t.Errorf("%v", err)
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "swordfish") {
		t.Errorf("the error shows a secret: %s", text)
	}
	if got := s.Secrets(); !slices.Equal(got, []string{"hunter2", "swordfish"}) {
		t.Errorf("secrets to mask: %q", got)
	}
	var missing Set
	missing.String(&token, Input{Name: "api-token", Secret: true, Required: true})
	if err := missing.Fill(map[string]string{"api-token": "a"}, environment(nil)); err == nil || !strings.Contains(err.Error(), "INPUT_API-TOKEN") {
		t.Errorf("a secret on the command line: %v", err)
	}
}
