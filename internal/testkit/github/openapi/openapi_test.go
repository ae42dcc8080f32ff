package openapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestUnknownOperation(t *testing.T) {
	t.Parallel()
	if _, err := Load([]string{"GET /repos/{owner}/{repo}/no-such-thing"}); err == nil || !strings.Contains(err.Error(), "no GET /repos/{owner}/{repo}/no-such-thing") {
		t.Errorf("%v", err)
	}
}

func TestCutKeepsWhatIsReferredTo(t *testing.T) {
	t.Parallel()
	const all = `{"openapi":"3.0.3","info":{},"paths":{"/a":{"get":{"x":{"$ref":"#/components/schemas/one"}},"put":{}},"/b":{"get":{}}},
		"components":{"schemas":{"one":{"y":{"$ref": "#/components/schemas/two"}},"two":{"$ref":"#/components/schemas/one"},"three":{}}}}`
	data, err := cut([]byte(all), []string{"GET /a"})
	if err != nil {
		t.Fatal(err)
	}
	var got document
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Paths) != 1 || len(got.Paths["/a"]) != 1 || len(got.Components["schemas"]) != 2 {
		t.Errorf("%s", data)
	}
	if _, err := cut([]byte(strings.Replace(all, `"two":`, `"2":`, 1)), []string{"GET /a"}); err == nil {
		t.Error("a reference to nothing was cut")
	}
}

// TestAnswersAreHeld gives answers that GitHub would not.
func TestAnswersAreHeld(t *testing.T) {
	t.Parallel()
	const list, post = "GET /repos/{owner}/{repo}/deployments", "POST /repos/{owner}/{repo}/deployments"
	d, err := Load([]string{list, post})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, body, word string
		status           int
	}{
		{list, `[]`, "", 200},
		{list, `{}`, "array", 200},
		{list, `[{"id":1}]`, "missing", 200},
		{list, `[]`, "never answers 201", 201},
		{list, `{"message":"Bad credentials"}`, "", 401},
		{post, `{"message":7}`, "message", 422},
	} {
		err := d.Response(tc.name, tc.status, []byte(tc.body))
		if (tc.word == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.word)) {
			t.Errorf("%s %d %s: %v", tc.name, tc.status, tc.body, err)
		}
	}
	if docs := d.Documentation(post); docs != "https://docs.github.com/rest/deployments/deployments#create-a-deployment" {
		t.Error(docs)
	}
}

func TestRequestsAreHeld(t *testing.T) {
	t.Parallel()
	const post = "POST /repos/{owner}/{repo}/deployments"
	d, err := Load([]string{post})
	if err != nil {
		t.Fatal(err)
	}
	for body, word := range map[string]string{
		`{"ref":"main","payload":{"any":[{"thing":1}]}}`: "",
		`{"ref":"main","payload":"text"}`:                "",
		`{}`:                                             `"ref" is missing`,
		`{"ref":"main","auto_merge":"no"}`:               "boolean",
		`{"ref":"main","automerge":false}`:               "no field /automerge",
		`{"ref":`:                                        "not JSON",
	} {
		r, _ := http.NewRequest("POST", "https://api.github.com/repos/a/b/deployments", nil)
		r.Header.Set("Content-Type", "application/json")
		got := strings.Join(d.Request(post, r, map[string]string{"owner": "a", "repo": "b"}, []byte(body)), "; ")
		if (word == "") != (got == "") || !strings.Contains(got, word) {
			t.Errorf("%s: %s", body, got)
		}
	}
}
