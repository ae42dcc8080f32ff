package attest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/org/idp/internal/attest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) *attest.Key {
	t.Helper()
	key, err := attest.GenerateKey()
	check(t, err)
	return key
}

func bundleOf(t *testing.T, key *attest.Key, digest, predicateType string, predicate any) []byte {
	t.Helper()
	s, err := attest.NewStatement(digest, predicateType, predicate)
	check(t, err)
	b, err := key.Sign(t.Context(), s)
	check(t, err)
	return b
}

// edit changes one field of a bundle's JSON, given as a path of keys.
func edit(t *testing.T, bundle []byte, value any, path ...string) []byte {
	t.Helper()
	var doc map[string]any
	check(t, json.Unmarshal(bundle, &doc))
	node := doc
	for _, k := range path[:len(path)-1] {
		node = node[k].(map[string]any)
	}
	node[path[len(path)-1]] = value
	data, err := json.Marshal(doc)
	check(t, err)
	return data
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", part)
	}
	if !strings.Contains(err.Error(), part) {
		t.Fatalf("error %q, expected one with %q", err, part)
	}
}
