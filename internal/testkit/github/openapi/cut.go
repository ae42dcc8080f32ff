package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// cutVersion is part of the name of what is kept, and goes up when cut gives something else.
const cutVersion = "2"

// document is what of a description is looked at to cut it; the rest goes through as it is.
type document struct {
	OpenAPI    string                                `json:"openapi"`
	Info       json.RawMessage                       `json:"info"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
}

// cutTo gives the description of the operations alone, which loads many times faster than all of it.
func cutTo(operations []string) ([]byte, error) {
	p, err := pinned()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "idp")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(cache, "github-openapi-cut-"+short(cutVersion+p.Integrity+strings.Join(operations, "\n"))+".json")
	if data, err := os.ReadFile(name); err == nil {
		return data, nil
	}
	data, err := whole(cache, p)
	if err != nil {
		return nil, err
	}
	if data, err = cut(data, operations); err != nil {
		return nil, err
	}
	return data, keep(name, data)
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

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
