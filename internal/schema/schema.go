// Package schema writes the JSON Schemas of the files that people and programs hand to idp, and the pages that say what
// their keys mean. Both come from the Go types and their tags, which the decoder checks files against too.
package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/spend"
)

// Service is the JSON Schema (draft 2020-12) of idp.yaml. It holds for files that say everything themselves: name and
// owner are required, though a catalog-info.yaml beside idp.yaml may say them.
func Service() ([]byte, error) {
	return strict(service.Service{}, "idp.yaml", "What a team says about its service.")
}

// Policy is the JSON Schema of a policy file.
func Policy() ([]byte, error) {
	return strict(policy.Policy{}, "policy.yaml", "What each environment asks of a delivery.")
}

// Record is the JSON Schema of the delivery record. Unlike the others it allows keys that it does not know, so that a
// reader of this version can take a record of a later one.
func Record() ([]byte, error) {
	r := open(func(t reflect.Type) *jsonschema.Schema {
		if t == reflect.TypeFor[json.RawMessage]() {
			return &jsonschema.Schema{Type: "object"}
		}
		return outcomes(t)
	})
	s := r.Reflect(record.Record{})
	stage := s.Definitions["Stage"]
	stage.AllOf = []*jsonschema.Schema{{
		If:   property("outcome", record.Passed),
		Then: &jsonschema.Schema{Required: []string{"evidence"}},
	}}
	for _, name := range slices.Sorted(maps.Keys(record.EvidenceTypes)) {
		evidence := r.Reflect(record.EvidenceTypes[name])
		kind := reflect.TypeOf(record.EvidenceTypes[name]).Name()
		maps.Copy(s.Definitions, evidence.Definitions)
		evidence.Definitions, evidence.Version = nil, ""
		s.Definitions[kind] = evidence
		stage.AllOf = append(stage.AllOf, evidenceOf(name, kind))
	}
	return encode(s, record.Schema, "The delivery record: what each stage of a delivery came to, and its evidence.")
}

// Metrics is the JSON Schema of what idp metrics prints. It allows keys that it does not know, as that of the record does.
func Metrics() ([]byte, error) {
	return encode(open(nil).Reflect(dora.Report{}), dora.Schema, "DORA's delivery metrics and the adoption of the path, from a catalogue's delivery log.")
}

// Spend is the JSON Schema of what idp spend prints, open in the same way.
func Spend() ([]byte, error) {
	return encode(open(nil).Reflect(spend.Report{}), spend.Schema, "What services cost by month, from a catalogue's delivery log.")
}

// evidenceOf ties the form of the evidence to the stage. Evidence of a stage that came to no answer, or did not run, is as
// far as the stage came, so only an answer is held to the form.
func evidenceOf(stage, kind string) *jsonschema.Schema {
	condition := property("name", stage)
	condition.Properties.Set("outcome", &jsonschema.Schema{Enum: []any{record.Passed, record.Failed}})
	then := &jsonschema.Schema{Properties: jsonschema.NewProperties()}
	then.Properties.Set("evidence", &jsonschema.Schema{Ref: "#/$defs/" + kind})
	return &jsonschema.Schema{If: condition, Then: then}
}

// property is the condition that a property is there and has a value.
func property(name string, value any) *jsonschema.Schema {
	s := &jsonschema.Schema{Properties: jsonschema.NewProperties(), Required: []string{name}}
	s.Properties.Set(name, &jsonschema.Schema{Const: value})
	return s
}

func reflector() *jsonschema.Reflector {
	return &jsonschema.Reflector{Anonymous: true, ExpandedStruct: true}
}

func strict(v any, title, description string) ([]byte, error) {
	r := reflector()
	r.RequiredFromJSONSchemaTags = true
	s := r.Reflect(v)
	walk(reflect.TypeOf(v), func(t reflect.Type, f reflect.StructField) {
		keys := f.Tag.Get("keys")
		if keys == "" {
			return
		}
		owner := s.Definitions[t.Name()]
		if t == reflect.TypeOf(v) {
			owner = s
		}
		if p, ok := owner.Properties.Get(key(f)); ok {
			p.PropertyNames = &jsonschema.Schema{Pattern: keys}
		}
	})
	return encode(s, title, description)
}

func encode(s *jsonschema.Schema, title, description string) ([]byte, error) {
	s.Title, s.Description = title, description
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return b.Bytes(), err
}
