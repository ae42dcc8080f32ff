package catalogcheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/strictyaml"
)

// entity is one Backstage entity in a file of the catalogue.
type entity struct {
	ref          string // KIND:NAMESPACE/NAME in lower case, which tells entities apart
	kind         string // in lower case
	name         string
	file         string
	line         int
	owner        string // as written
	runbook, slo bool
	names        []named
	definition   named // file of the catalogue that an API's definition stands in; without a text where it is not in one
}

// named is another entity that this one names.
type named struct {
	rule  Rule
	field string
	ref   string // as entity.ref; empty where the text is no reference
	text  string // as written
	line  int
}

// relation is a field of an entity's spec that names others.
type relation struct {
	field string
	rule  Rule
	kind  string // of a reference without one; empty: it has to say
}

// relations are the fields by kind, as Backstage's BuiltinKindsEntityProcessor reads them (plugin-catalog-backend 4.0.5).
var relations = map[string][]relation{
	"component": {owner, {"system", System, "system"}, {"subcomponentOf", Reference, "component"}, {"providesApis", Reference, "api"},
		{"consumesApis", Reference, "api"}, {"dependsOn", Reference, ""}, {"dependencyOf", Reference, ""}},
	"api":      {owner, {"system", System, "system"}},
	"resource": {owner, {"system", System, "system"}, {"dependsOn", Reference, ""}, {"dependencyOf", Reference, ""}},
	"system":   {owner, {"domain", Reference, "domain"}},
	"domain":   {owner, {"subdomainOf", Reference, "domain"}},
	"group":    {{"parent", Reference, "group"}, {"children", Reference, "group"}, {"members", Reference, "user"}},
	"user":     {{"memberOf", Reference, "group"}},
}

var owner = relation{"owner", Owner, "group"}

// parse reads the entities of one file.
func parse(file string, data []byte) ([]entity, error) {
	var list []entity
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, syntax(file, data, err)
		}
		root := doc.Content[0]
		if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			continue // nothing between two lines of hyphens
		}
		if err := twiceKeyed(root); err != nil {
			return nil, err
		}
		e, err := newEntity(file, root)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
}

// lineError is what keeps a file from being read, where it is.
type lineError struct {
	line int // from 1
	text string
}

func (e lineError) Error() string { return e.text }

// searched is how large a file may be, in bytes, for its mistake to be looked for line by line.
const searched = 64 << 10

// syntax says what makes a file unreadable, and its line: the one after the last of its beginnings that can be read. The parser's own
// is where the block began that the mistake is in.
func syntax(file string, data []byte, err error) error {
	e := lineError{text: "not valid YAML: " + err.Error()}
	if _, problems := strictyaml.Documents(file, data); len(problems) > 0 {
		e = lineError{problems[0].Line, problems[0].Message}
	}
	if len(data) > searched {
		return e
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for e.line = len(lines); e.line > 1; e.line-- {
		data = data[:len(data)-len(lines[e.line-1])]
		if readable(data) {
			break
		}
	}
	return e
}

func readable(data []byte) bool {
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// twiceKeyed refuses a key that is there twice: which of the two counts is not said, and Backstage does not read the file.
func twiceKeyed(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			for j := 0; j < i; j += 2 {
				if key, first := n.Content[i], n.Content[j]; key.Kind == yaml.ScalarNode && key.Value == first.Value && key.Tag == first.Tag {
					return lineError{key.Line, fmt.Sprintf("key %q is there already, in line %d", key.Value, first.Line)}
				}
			}
		}
	}
	for _, c := range n.Content {
		if err := twiceKeyed(c); err != nil {
			return err
		}
	}
	return nil
}

func newEntity(file string, root *yaml.Node) (entity, error) {
	meta, spec := value(root, "metadata"), value(root, "spec")
	e := entity{file: file, line: root.Line, kind: strings.ToLower(text(value(root, "kind"))), name: text(value(meta, "name"))}
	if e.kind == "" || e.name == "" {
		return e, lineError{root.Line, "it is no entity: kind and metadata.name are not there"}
	}
	namespace := text(value(meta, "namespace"))
	if namespace == "" {
		namespace = "default"
	}
	e.ref = strings.ToLower(e.kind + ":" + namespace + "/" + e.name)
	e.owner = text(value(spec, "owner"))
	e.slo = text(value(value(meta, "annotations"), "idp/slo-availability")) != ""
	for _, l := range items(value(meta, "links")) {
		e.runbook = e.runbook || text(value(l, "type")) == "runbook" && text(value(l, "url")) != ""
	}
	if n := value(value(spec, "definition"), "$text"); n != nil && !strings.Contains(n.Value, "://") {
		e.definition = named{text: path.Join(path.Dir(file), n.Value), line: n.Line}
	}
	for _, r := range relations[e.kind] {
		for _, n := range items(value(spec, r.field)) {
			one := named{rule: r.rule, field: r.field, text: text(n), line: n.Line}
			one.ref, _ = catalogfile.Ref(one.text, r.kind, namespace)
			e.names = append(e.names, one)
		}
	}
	return e, nil
}

// value is the value of a key; nil where there is none, also where n is no mapping.
func value(n *yaml.Node, key string) *yaml.Node {
	n = target(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return target(n.Content[i+1])
		}
	}
	return nil
}

// items are the members of a list, or the one value that stands in its place.
func items(n *yaml.Node) []*yaml.Node {
	switch n = target(n); {
	case n == nil || n.Tag == "!!null":
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

func text(n *yaml.Node) string {
	if n = target(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// target is what an alias stands for. An alias of an alias is not YAML.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
