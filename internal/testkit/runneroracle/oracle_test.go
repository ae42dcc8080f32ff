package runneroracle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cases of files and of parsing are those that the runner's own tests state: SetOutputFileCommandL0, SetEnvFileCommandL0
// and ActionCommandL0 of actions/runner v2.336.0.
func TestPairs(t *testing.T) {
	for text, want := range map[string][]Pair{
		"":                           nil,
		"A=a value":                  {{"A", "a value"}},
		"\xef\xbb\xbfA=b":            {{"A", "b"}},
		"\xff\xfeA\x00=\x00b\x00":    {{"A", "b"}},
		"\n\nA=a\n\nB=b\n\n":         {{"A", "a"}, {"B", "b"}},
		"A=\n":                       {{"A", ""}},
		"A==a\nB=b=b\nC=c=":          {{"A", "=a"}, {"B", "b=b"}, {"C", "c="}},
		"A<<EOF\n1\n2\n3\nEOF\n":     {{"A", "1\n2\n3"}},
		"A<<EOF\n1\nEOF":             {{"A", "1"}},
		"A<<EOF\nEOF\n":              {{"A", ""}},
		"A<<=EOF\n1\n=EOF\n":         {{"A", "1"}},
		"A<<<EOF\n1\n<EOF\n":         {{"A", "1"}},
		"A<<EOF\n1\n\n3\n\nEOF\n":    {{"A", "1\n\n3\n"}},
		"A<<EOF\n1=1\nEOF\n":         {{"A", "1=1"}},
		"A<<EOF\n EOF\nEOF\n":        {{"A", " EOF"}},
		"A=x<<EOF\nB=b":              {{"A", "x<<EOF"}, {"B", "b"}},
		"A<<E=F\nB=b\nE=F\n":         {{"A", "B=b"}},
		"A<<EOF\r\nx\r\nEOF\r\n":     {{"A", "x\r"}},
		"=a":                         {{"", "a"}},
		"A<<EOF\nx\nEOF\nBASH_ENV=y": {{"A", "x"}, {"BASH_ENV", "y"}},
	} {
		got, err := Pairs([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
}

func TestPairsRefusesWhatTheRunnerRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"no separator":           "invalid format",
		"<<EOF\nEOF\n":           "must not be empty",
		"A<<\nx\n":               "must not be empty",
		"A<<EOF 1 2 EOF":         "delimiter not found",
		"A<<EOF\n1\n":            "delimiter not found",
		"A<<EOF one\n two\n EOF": "missing new line",
		"A<<EOF\nx\nEOF \n":      "delimiter not found",
	} {
		if _, err := Pairs([]byte("FIRST=1\n" + text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got, _ := Pairs([]byte("FIRST=1\nbroken")); len(got) != 1 {
		t.Errorf("what came before the error is not taken: %v", got)
	}
}

func TestEnvAndPath(t *testing.T) {
	set, blocked, err := Env([]byte("BASH_ENV=x\nnode_options=--require\n"))
	if err != nil || !cmp.Equal(set, []Pair{{"BASH_ENV", "x"}}) || !cmp.Equal(blocked, []string{"node_options"}) {
		t.Errorf("%v %v %v", set, blocked, err)
	}
	if got := Path([]byte("/a\r/b\n\n/c\r\n")); !cmp.Equal(got, []string{"/a", "/b", "/c"}) {
		t.Errorf("%q", got)
	}
}

func TestCommands(t *testing.T) {
	for line, want := range map[string]string{
		"::error file=a.go,line=3,::msg": `error(file="a.go",line="3") "msg"`,
		"::error::":                      `error() ""`,
		"::error title=;=%2C=%0D=%0A=]=%3A,::;-%0D-%0A-]-:-,": `error(title=";=,=\r=\n=]=:") ";-\r-\n-]-:-,"`,
		"::error title=%252C=%250D,::%250D-%250A":             `error(title="%2C=%0D") "%0D-%0A"`,
		"::error title=,file=,::":                             `error() ""`,
		"   ::error::msg":                                     `error() "msg"`,
		"\u00a0\u3000\t::error::msg":                          `error() "msg"`,
		"::ERROR::msg":                                        `error() "msg"`,
		"##[error title=a;]msg":                               `error(title="a") "msg"`,
		"##[error title=%3B=%0D=%0A=%5D;]%3B-%0D-%0A-%5D":     `error(title=";=\r=\n=]") ";-\r-\n-]"`,
		">>>   ##[Error title=a;]msg":                         `error(title="a") "msg"`,
		"text ##[group]x":                                     `group() "x"`,
		"   >>>   ::error::msg":                               "",
		"::unknown::msg":                                      "",
		":: error::msg":                                       "",
		"::error":                                             "",
		"::error:msg":                                         "",
		"##[error msg":                                        "",
		"::internal-set-repo-path repoFullName=a,workspaceRepo=": "",
	} {
		log := (&Log{}).Read(line)
		got := ""
		if len(log.Commands) > 0 {
			got = log.Commands[0].String()
		}
		if got != want || (want == "") != (len(log.Text) == 1) {
			t.Errorf("%q is %s, want %s", line, got, want)
		}
	}
}

func TestStoppedCommands(t *testing.T) {
	log := (&Log{}).Read("::stop-commands::Token-1\n::error::no\n##[error]no\n::stop-commands::other\n::other::\n::error::no\r::tOKEN-1::\r\n::error::yes\n")
	if len(log.Commands) != 1 || log.Commands[0].Data != "yes" || len(log.Text) != 5 || log.Stopped() {
		t.Errorf("%v, text %q", log.Commands, log.Text)
	}
	for _, token := range []string{"", "error", "Pause-Logging", "stop-commands"} {
		if log := (&Log{}).Read("::stop-commands::" + token); len(log.Errors) != 1 || log.Stopped() {
			t.Errorf("token %q: %v", token, log.Errors)
		}
	}
}

func TestWhatTheRunnerComplainsAbout(t *testing.T) {
	for _, line := range []string{"::set-env name=A::b", "::add-path::/x", "##[SET-ENV name=A]b", "::set-output::x", "::save-state::x", "::add-mask:: ", "::echo::x"} {
		if log := (&Log{}).Read(line); len(log.Errors) != 1 {
			t.Errorf("%q: %q", line, log.Errors)
		}
	}
}

func FuzzTheOracleReadsAnything(f *testing.F) {
	for _, s := range []string{"A=b", "A<<X\n1\nX", "::error::x", "##[error]x", "::stop-commands::t\n::t::", "\xff\xfea", "\r\n\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := Pairs(data)
		set, blocked, envErr := Env(data)
		if len(set)+len(blocked) != len(pairs) || (err == nil) != (envErr == nil) {
			t.Errorf("%d pairs, %d set, %d blocked", len(pairs), len(set), len(blocked))
		}
		log := (&Log{}).Read(string(data))
		if resumed := len(log.Stops); len(log.Text)+len(log.Commands)+2*resumed+len(log.Errors) < len(readLines(string(data))) {
			t.Errorf("lines are lost: %+v", log)
		}
	})
}
