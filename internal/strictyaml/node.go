package strictyaml

import (
	"math"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// octal finds numbers such as 010, which YAML 1.1 reads as 8 and YAML 1.2 as 10.
var octal = regexp.MustCompile(`^[-+]?0[0-9_]`)

func number(n *yaml.Node) (float64, bool) {
	switch x := resolve(n).(type) {
	case int:
		return float64(x), !octal.MatchString(n.Value)
	case float64:
		return x, !math.IsNaN(x) && !math.IsInf(x, 0) && !octal.MatchString(n.Value)
	}
	return 0, false
}

// resolve gives the value of a plain scalar, nil where it is none.
func resolve(n *yaml.Node) any {
	var value any
	if n.Kind != yaml.ScalarNode || n.Decode(&value) != nil {
		return nil
	}
	switch x := value.(type) {
	case int64:
		return float64(x)
	case uint64:
		return float64(x)
	}
	return value
}

// isText counts dates as text: YAML 1.1 makes them a type of their own, which surprises everyone.
func isText(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	tag := n.ShortTag()
	return tag == "!!str" || tag == "!!timestamp"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindOf names the kind of a node without its value.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "text"
}

// describe names a node for a sentence that ends in "got …".
func describe(n *yaml.Node) string {
	switch kind := kindOf(n); kind {
	case "text":
		return "text " + quote(n.Value)
	case "a number":
		if octal.MatchString(n.Value) {
			return "number " + clean(n.Value, quoteLimit) + " with a leading 0"
		}
		return "number " + clean(n.Value, quoteLimit)
	case "true or false":
		return clean(n.Value, quoteLimit)
	default:
		return kind
	}
}

// show gives the value of a node as a message names it.
func show(n *yaml.Node) string {
	switch {
	case n == nil:
		return "nothing"
	case isText(n):
		return quote(n.Value)
	}
	return strings.TrimPrefix(describe(n), "number ")
}
