package entityfile

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Value is the value of a key in a mapping; nil without one.
func Value(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// text is the value of a key that is a scalar, else empty.
func text(m *yaml.Node, key string) string {
	if v := Value(m, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// replace sets the key's value, at the end of the mapping where it is new, and keeps comments.
func replace(m *yaml.Node, key string, to *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			old := m.Content[i+1]
			to.HeadComment, to.LineComment, to.FootComment = old.HeadComment, old.LineComment, old.FootComment
			m.Content[i+1] = to
			return to
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, to)
	return to
}

func remove(m *yaml.Node, key string) bool {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = slices.Delete(m.Content, i, i+2)
			return true
		}
	}
	return false
}

// uniqueKeys refuses a mapping that says one thing twice, down to every depth: which of the two counts is a reader's own
// choice, so an edit of either could be without effect.
func uniqueKeys(n *yaml.Node) error {
	seen := map[string]bool{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[c.Value] {
				return fmt.Errorf("line %d: key %q is there twice", c.Line, c.Value)
			}
			seen[c.Value] = true
		}
		if err := uniqueKeys(c); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) note(field string) {
	if !slices.Contains(e.changed, field) {
		e.changed = append(e.changed, field)
	}
}

// mapping is the mapping at a key, made where there is none. What an alias points to is used elsewhere too, so it is
// not edited.
func (e *editor) mapping(m *yaml.Node, key string) *yaml.Node {
	if e.err != nil {
		return nil
	}
	v := Value(m, key)
	if v == nil || isNull(v) {
		return replace(m, key, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	if v.Kind != yaml.MappingNode {
		e.err = fmt.Errorf("line %d: %s is not a mapping", v.Line, key)
	}
	return v
}

// set makes a key a string. Field names it in what people read.
func (e *editor) set(m *yaml.Node, field, key, to string) {
	if e.err != nil {
		return
	}
	v := Value(m, key)
	if v != nil && v.Kind != yaml.ScalarNode && v.Kind != yaml.AliasNode {
		e.err = fmt.Errorf("line %d: %s is not a text", v.Line, key)
		return
	}
	if v != nil && v.Kind == yaml.ScalarNode && v.Tag == "!!str" && v.Value == to {
		return
	}
	if m.Anchor != "" || (v != nil && v.Anchor != "") {
		e.err = fmt.Errorf("line %d: %s is used elsewhere through an anchor, so it is not edited", m.Line, key)
		return
	}
	replace(m, key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: to})
	e.note(field)
}
