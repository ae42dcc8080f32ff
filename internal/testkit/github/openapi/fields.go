package openapi

import (
	"fmt"
	"maps"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// parts are a schema and all that it is made of, alternatives included.
func parts(s *openapi3.Schema) []*openapi3.Schema {
	all := []*openapi3.Schema{s}
	for _, refs := range []openapi3.SchemaRefs{s.AllOf, s.OneOf, s.AnyOf} {
		for _, ref := range refs {
			all = append(all, parts(ref.Value)...)
		}
	}
	return all
}

// unknown tells which fields of a value no part of its schema has. GitHub ignores such fields, so that a misspelt one would
// never be noticed; JSON Schema allows them.
func unknown(s *openapi3.Schema, value any, at string) []string {
	var problems []string
	switch value := value.(type) {
	case []any:
		for _, part := range parts(s) {
			if part.Items != nil {
				for i, v := range value {
					problems = append(problems, unknown(part.Items.Value, v, fmt.Sprintf("%s/%d", at, i))...)
				}
				break
			}
		}
	case map[string]any:
		fields := map[string]*openapi3.Schema{}
		for _, part := range parts(s) {
			if open := part.AdditionalProperties; open.Schema != nil || (open.Has != nil && *open.Has && part == s) {
				return nil
			}
			for name, ref := range part.Properties {
				if fields[name] == nil {
					fields[name] = ref.Value
				}
			}
		}
		if len(fields) == 0 {
			return nil // any object at all
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if fields[name] == nil {
				problems = append(problems, fmt.Sprintf("there is no field %s/%s", at, name))
				continue
			}
			problems = append(problems, unknown(fields[name], value[name], at+"/"+name)...)
		}
	}
	return problems
}

// Fill adds to an answer what GitHub always sends and the value lacks: null, false, 0, empty, or the first of a list of values.
// The value is as json.Unmarshal gives it, and may be changed.
func (d *Description) Fill(name string, status int, value any) any {
	if s := d.schema(name, status); s != nil {
		return fill(s, value)
	}
	return value
}

func fill(s *openapi3.Schema, value any) any {
	for _, ref := range s.AllOf {
		value = fill(ref.Value, value)
	}
	for _, refs := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf} {
		if len(refs) > 0 && s.VisitJSON(value, openapi3.VisitAsResponse()) == nil {
			return value
		}
		for _, ref := range refs { // the first alternative with which the whole fits: a discriminator may decide
			if filled := fill(ref.Value, clone(value)); s.VisitJSON(filled, openapi3.VisitAsResponse()) == nil {
				return filled
			}
		}
	}
	switch value := value.(type) {
	case []any:
		if s.Items != nil {
			for i := range value {
				value[i] = fill(s.Items.Value, value[i])
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := value[name]; !ok && s.Properties[name] != nil {
				value[name] = empty(s.Properties[name].Value)
			}
		}
		for name, v := range value {
			if ref := s.Properties[name]; ref != nil {
				value[name] = fill(ref.Value, v)
			}
		}
	}
	return value
}

func clone(value any) any {
	switch value := value.(type) {
	case []any:
		c := make([]any, len(value))
		for i, v := range value {
			c[i] = clone(v)
		}
		return c
	case map[string]any:
		c := make(map[string]any, len(value))
		for k, v := range value {
			c[k] = clone(v)
		}
		return c
	}
	return value
}

// empty is the value that says least.
func empty(s *openapi3.Schema) any {
	for _, part := range parts(s) {
		if part.Nullable {
			return nil
		}
	}
	for _, part := range parts(s) {
		switch {
		case len(part.Enum) > 0:
			return part.Enum[0]
		case part.Type == nil && len(part.Properties) == 0:
			continue
		case part.Type.Is("boolean"):
			return false
		case part.Type.Is("integer"), part.Type.Is("number"):
			return 0.0
		case part.Type.Is("array"):
			return []any{}
		case part.Type.Is("string"):
			return emptyString(part.Format)
		default:
			return fill(s, map[string]any{})
		}
	}
	return nil
}

func emptyString(format string) string {
	switch format {
	case "uri":
		return "https://github.com/"
	case "date-time":
		return "1970-01-01T00:00:00Z"
	}
	return ""
}
