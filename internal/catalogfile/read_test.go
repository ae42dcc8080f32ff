package catalogfile

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadIndexJoinsTheStates(t *testing.T) {
	t.Parallel()
	const index = `{"schema":"idp.catalog/v1","services":{"a":{"name":"a","owner":"x"},"b":{"name":"b","environments":{"staging":{"latest":{"delivery":2}}}}, "../c":{"name":"c"}}}`
	read := func(state string) (*Index, error) {
		files := fstest.MapFS{IndexFile: &fstest.MapFile{Data: []byte(index)}}
		if state != "" {
			files[StateFile("a")] = &fstest.MapFile{Data: []byte(state)}
		}
		return ReadIndex(files)
	}
	x, err := read(`{"schema":"idp.service/v1","name":"a","owner":"y","environments":{"staging":{"latest":{"delivery":5}}}}`)
	if err != nil || len(x.Services) != 3 || x.Services["a"].Owner != "y" || x.Services["a"].Environments["staging"].Latest.Delivery != 5 ||
		x.Services["b"].Environments["staging"].Latest.Delivery != 2 || x.Services["../c"].Name != "c" {
		t.Errorf("%+v, %v", x, err)
	}
	if x, err = read(""); err != nil || x.Services["a"].Owner != "x" {
		t.Errorf("without a state: %+v, %v", x, err)
	}
	for name, state := range map[string]string{"no JSON": "{", "another form": `{"schema":"idp.service/v2","name":"a"}`, "another service": `{"schema":"idp.service/v1","name":"b"}`} {
		if _, err := read(state); err == nil || !strings.Contains(err.Error(), "deliveries/a/state.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "team-a": "team-a", "Team-A": "Team-A", "group:team-a": "team-a", "Group:Default/team-a": "team-a", "default/team-a": "team-a",
		"other/team-a": "group:other/team-a", "group:other/team-a": "group:other/team-a", "user:jane": "user:jane", "User:default/jane": "user:jane", "user:other/jane": "user:other/jane"} {
		if got := Owner(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := Owner(want); got != want {
			t.Errorf("%q is not the name of itself: %q", want, got)
		}
	}
	if name, ok := Person(Owner("user:default/jane")); !ok || name != "jane" {
		t.Errorf("%q %v", name, ok)
	}
}

// The cases are those of Backstage's parseEntityRef.
func TestRef(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a": "group:default/a", "user:a": "user:default/a", "n/a": "group:n/a", "User:N/A": "user:n/a",
		"n/a:b": "group:n/a:b", "": "", ":a": "", "/a": "", "user:": "", "user:/a": "", "n/": ""} {
		if got, ok := Ref(text, "group", "default"); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
