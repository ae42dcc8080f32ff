package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/org/idp/internal/testkit/npm"
)

// lockFile pins the package.
//
//go:embed testdata/package-lock.json
var lockFile []byte

// cutVersion is part of the key of what is kept, and goes up when cut gives something else.
const cutVersion = "2 "

// document is what of a description is looked at to cut it; the rest goes through as it is.
type document struct {
	OpenAPI    string                                `json:"openapi"`
	Info       json.RawMessage                       `json:"info"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
}

// cutTo gives the description of the operations alone, which loads many times faster than all of it: 13 MB.
func cutTo(operations []string) ([]byte, error) {
	pin, err := npm.Locked(lockFile, "@octokit/openapi")
	if err != nil {
		return nil, err
	}
	return npm.Cached(cutVersion+pin.Integrity+strings.Join(operations, "\n"), func(string) ([]byte, error) {
		data, err := pin.File("package/generated/api.github.com.json")
		if err != nil {
			return nil, err
		}
		return cut(data, operations)
	})
}

var reference = regexp.MustCompile(`"\$ref":\s*"#/components/([^/"]+)/([^"]+)"`)

// cut keeps the operations and what they refer to.
func cut(data []byte, operations []string) ([]byte, error) {
	var all document
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	kept := document{OpenAPI: all.OpenAPI, Info: all.Info,
		Paths: map[string]map[string]json.RawMessage{}, Components: map[string]map[string]json.RawMessage{}}
	var follow func(json.RawMessage) error
	follow = func(from json.RawMessage) error {
		for _, m := range reference.FindAllSubmatch(from, -1) {
			kind, name := string(m[1]), string(m[2])
			if kept.Components[kind] == nil {
				kept.Components[kind] = map[string]json.RawMessage{}
			}
			if _, done := kept.Components[kind][name]; done {
				continue
			}
			what, ok := all.Components[kind][name]
			if !ok {
				return fmt.Errorf("GitHub's description refers to %s/%s, which is not in it", kind, name)
			}
			if kind == "examples" {
				what = json.RawMessage(`{"value":null}`) // a third of the bytes, and nothing is held against them
			}
			kept.Components[kind][name] = what
			if err := follow(what); err != nil {
				return err
			}
		}
		return nil
	}
	for _, op := range operations {
		method, path, _ := strings.Cut(op, " ")
		what, ok := all.Paths[path][strings.ToLower(method)]
		if !ok {
			return nil, fmt.Errorf("GitHub's description has no %s", op)
		}
		if kept.Paths[path] == nil {
			kept.Paths[path] = map[string]json.RawMessage{}
		}
		kept.Paths[path][strings.ToLower(method)] = what
		if err := follow(what); err != nil {
			return nil, err
		}
	}
	return json.Marshal(kept)
}
