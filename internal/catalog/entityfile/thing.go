package entityfile

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
)

// List is what idp.yaml says of a list of references in the component's spec, now and at the delivery before.
type List struct {
	Key, Kind   string // kind of a reference that names none; empty where each does
	Now, Before []string
}

// Ref is what a text of the list refers to; empty where that is nothing.
func (l List) Ref(text string) string {
	ref, _ := catalogfile.Ref(text, l.Kind, "default")
	return ref
}

// Refs are those of several texts.
func (l List) Refs(list []string) []string {
	var refs []string
	for _, text := range list {
		refs = append(refs, l.Ref(text))
	}
	return refs
}

// names adds to a list what idp.yaml says, and takes away what it said before and says no more. What people added stays.
func (e *editor) names(spec *yaml.Node, l List) {
	if e.err != nil || len(l.Now)+len(l.Before) == 0 {
		return
	}
	now, before := l.Refs(l.Now), l.Refs(l.Before)
	list := Value(spec, l.Key)
	switch {
	case list != nil && !isNull(list) && list.Kind != yaml.SequenceNode:
		e.err = fmt.Errorf("line %d: %s is not a list", list.Line, l.Key)
		return
	case list == nil || isNull(list):
		if len(now) == 0 {
			return
		}
		list = replace(spec, l.Key, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	}
	there := map[string]bool{}
	kept := slices.DeleteFunc(slices.Clone(list.Content), func(n *yaml.Node) bool {
		ref := l.Ref(n.Value)
		there[ref] = true
		return n.Kind == yaml.ScalarNode && slices.Contains(before, ref) && !slices.Contains(now, ref)
	})
	changed := len(kept) < len(list.Content)
	for i, text := range l.Now {
		if !there[now[i]] {
			there[now[i]], changed = true, true
			kept = append(kept, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text})
		}
	}
	if !changed {
		return
	}
	if list.Anchor != "" {
		e.err = fmt.Errorf("line %d: %s is used elsewhere through an anchor, so it is not edited", list.Line, l.Key)
		return
	}
	list.Content = kept
	e.note("spec." + l.Key)
	if len(kept) == 0 && plain(list) {
		remove(spec, l.Key)
	}
}

// thing sets what idp.yaml says of an API or a resource, as component does.
func (e *editor) thing(docs *[]*yaml.Node, t Thing) {
	if e.err != nil {
		return
	}
	root, err := findEntity(*docs, t.Kind, t.Name)
	if err != nil {
		e.err = err
		return
	}
	if root == nil {
		root = newEntity(docs)
	}
	at := strings.ToLower(t.Kind) + " " + t.Name
	e.set(root, at, "apiVersion", APIVersion)
	e.set(root, at, "kind", t.Kind)
	meta := e.mapping(root, "metadata")
	if e.err == nil && !strings.EqualFold(text(meta, "name"), t.Name) {
		e.set(meta, at, "name", t.Name)
	}
	e.setIfSaid(meta, at, "description", t.Description)
	spec := e.mapping(root, "spec")
	e.set(spec, at, "type", t.Class)
	e.setIfSaid(spec, at, "lifecycle", t.Lifecycle)
	e.set(spec, at, "owner", t.Owner)
	e.system(spec, at, t.System, t.SystemBefore)
	if t.File != "" {
		e.definition(spec, at, "../"+t.File)
	}
}

// definition makes it what is in the file of the catalogue, in place of a text that a person copied here.
func (e *editor) definition(spec *yaml.Node, at, file string) {
	if e.err != nil {
		return
	}
	if v := Value(spec, "definition"); v == nil || v.Kind != yaml.MappingNode || len(v.Content) != 2 {
		if v != nil && v.Anchor != "" {
			e.err = fmt.Errorf("line %d: definition is used elsewhere through an anchor, so it is not edited", v.Line)
			return
		}
		replace(spec, "definition", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	e.set(Value(spec, "definition"), at, "$text", file)
}

// without takes entities away that idp.yaml no longer names, unless a person added to them.
func (e *editor) without(docs []*yaml.Node, gone []string) []*yaml.Node {
	if e.err != nil || len(gone) == 0 {
		return docs
	}
	return slices.DeleteFunc(docs, func(doc *yaml.Node) bool {
		h, err := HeadOf(doc.Content[0])
		if err != nil || !slices.Contains(gone, h.Ref()) || !onlyOurs(doc) {
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
			m = Value(root, group)
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

// Thing is an entity that goes with a service's component, in the same file: an API or a resource.
type Thing struct {
	Kind, Name, Description string
	Class, Lifecycle        string // spec.type; a resource has no lifecycle
	Owner, System, Ref      string
	SystemBefore            string // at the delivery before
	File                    string // of its definition in the catalogue; empty for a resource
	Text                    []byte // of that file
}
