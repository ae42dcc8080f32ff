package catalog

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
)

// namedList is what idp.yaml says of a list of references in the component's spec, now and at the delivery before.
type namedList struct {
	key, kind   string // kind of a reference that names none; empty where each does
	now, before []string
}

func (l namedList) ref(text string) string {
	ref, _ := catalogfile.Ref(text, l.kind, "default")
	return ref
}

func (l namedList) refs(list []string) []string {
	var refs []string
	for _, text := range list {
		refs = append(refs, l.ref(text))
	}
	return refs
}

// names adds to a list what idp.yaml says, and takes away what it said before and says no more. What people added stays.
func (e *editor) names(spec *yaml.Node, l namedList) {
	if e.err != nil || len(l.now)+len(l.before) == 0 {
		return
	}
	now, before := l.refs(l.now), l.refs(l.before)
	list := value(spec, l.key)
	switch {
	case list != nil && !isNull(list) && list.Kind != yaml.SequenceNode:
		e.err = fmt.Errorf("line %d: %s is not a list", list.Line, l.key)
		return
	case list == nil || isNull(list):
		if len(now) == 0 {
			return
		}
		list = replace(spec, l.key, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	}
	there := map[string]bool{}
	kept := slices.DeleteFunc(slices.Clone(list.Content), func(n *yaml.Node) bool {
		ref := l.ref(n.Value)
		there[ref] = true
		return n.Kind == yaml.ScalarNode && slices.Contains(before, ref) && !slices.Contains(now, ref)
	})
	changed := len(kept) < len(list.Content)
	for i, text := range l.now {
		if !there[now[i]] {
			there[now[i]], changed = true, true
			kept = append(kept, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text})
		}
	}
	if !changed {
		return
	}
	if list.Anchor != "" {
		e.err = fmt.Errorf("line %d: %s is used elsewhere through an anchor, so it is not edited", list.Line, l.key)
		return
	}
	list.Content = kept
	e.note("spec." + l.key)
	if len(kept) == 0 && plain(list) {
		remove(spec, l.key)
	}
}

// thing sets what idp.yaml says of an API or a resource, as component does.
func (e *editor) thing(docs *[]*yaml.Node, t thing) {
	if e.err != nil {
		return
	}
	root, err := findEntity(*docs, t.kind, t.name)
	if err != nil {
		e.err = err
		return
	}
	if root == nil {
		root = newEntity(docs)
	}
	at := strings.ToLower(t.kind) + " " + t.name
	e.set(root, at, "apiVersion", apiVersion)
	e.set(root, at, "kind", t.kind)
	meta := e.mapping(root, "metadata")
	if e.err == nil && !strings.EqualFold(text(meta, "name"), t.name) {
		e.set(meta, at, "name", t.name)
	}
	e.setIfSaid(meta, at, "description", t.description)
	spec := e.mapping(root, "spec")
	e.set(spec, at, "type", t.class)
	e.setIfSaid(spec, at, "lifecycle", t.lifecycle)
	e.set(spec, at, "owner", t.owner)
	e.setIfSaid(spec, at, "system", t.system)
	if t.file != "" {
		e.definition(spec, at, "../"+t.file)
	}
}

// definition makes it what is in the file of the catalogue, in place of a text that a person copied here.
func (e *editor) definition(spec *yaml.Node, at, file string) {
	if e.err != nil {
		return
	}
	if v := value(spec, "definition"); v == nil || v.Kind != yaml.MappingNode || len(v.Content) != 2 {
		if v != nil && v.Anchor != "" {
			e.err = fmt.Errorf("line %d: definition is used elsewhere through an anchor, so it is not edited", v.Line)
			return
		}
		replace(spec, "definition", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	e.set(value(spec, "definition"), at, "$text", file)
}

// without takes entities away that idp.yaml no longer names, unless a person added to them.
func (e *editor) without(docs []*yaml.Node, gone []string) []*yaml.Node {
	if e.err != nil || len(gone) == 0 {
		return docs
	}
	return slices.DeleteFunc(docs, func(doc *yaml.Node) bool {
		h, err := headOf(doc.Content[0])
		if err != nil || !slices.Contains(gone, h.ref()) || !onlyOurs(doc) {
			return false
		}
		e.note(strings.ToLower(h.Kind) + " " + h.Metadata.Name + " gone")
		return true
	})
}

// ourKeys are those that thing sets.
var ourKeys = map[string][]string{
	"":         {"apiVersion", "kind", "metadata", "spec"},
	"metadata": {"name", "description"},
	"spec":     {"type", "lifecycle", "owner", "system", "definition"},
}

// onlyOurs tells whether all of an entity could be of a delivery: no other key, no comment.
func onlyOurs(doc *yaml.Node) bool {
	root := doc.Content[0]
	for group, keys := range ourKeys {
		m := root
		if group != "" {
			m = value(root, group)
		}
		for i := 0; m != nil && i < len(m.Content); i += 2 {
			if !slices.Contains(keys, m.Content[i].Value) {
				return false
			}
		}
	}
	return plain(doc)
}

// plain tells whether there is no comment in it.
func plain(n *yaml.Node) bool {
	return n.HeadComment+n.LineComment+n.FootComment == "" && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !plain(c) })
}
