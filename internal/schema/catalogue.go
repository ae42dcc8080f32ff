package schema

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// Index is the JSON Schema of a catalogue's index.json. All of a catalogue allow keys that they do not know, as that of the record does.
func Index() ([]byte, error) {
	return encode(open(outcomes).Reflect(catalogfile.Index{}), catalogfile.IndexSchema, "index.json of a catalogue: every service.")
}

// State is that of deliveries/SERVICE/state.json.
func State() ([]byte, error) {
	return encode(open(outcomes).Reflect(catalogfile.State{}), catalogfile.StateSchema, "deliveries/SERVICE/state.json of a catalogue: a service, and what was delivered last.")
}

// Line is that of a line of deliveries/SERVICE/ENVIRONMENT/YEAR-MONTH.jsonl.
func Line() ([]byte, error) {
	return encode(open(outcomes).Reflect(catalogfile.Line{}), catalogfile.LineSchema, "A line of deliveries/SERVICE/ENVIRONMENT/YEAR-MONTH.jsonl of a catalogue: a delivery.")
}

// Cost is that of a row of cost/SERVICE/ENVIRONMENT/YEAR-MONTH.csv, as an object of its columns: all of them are texts.
func Cost() ([]byte, error) {
	cells := func(t reflect.Type) *jsonschema.Schema {
		switch t {
		case reflect.TypeFor[json.Number]():
			return &jsonschema.Schema{Type: "string", Pattern: `^\d+(\.\d+)?$`}
		case reflect.TypeFor[bool]():
			return &jsonschema.Schema{Type: "string", Enum: []any{"true", "false"}}
		case reflect.TypeFor[catalogfile.CostTags]():
			return &jsonschema.Schema{Type: "string", Pattern: `^\{"service":".+","team":".+","environment":".+"\}$`, ContentMediaType: "application/json"}
		}
		return nil
	}
	return encode(open(cells).Reflect(catalogfile.CostRow{}), "idp.cost-row/v1",
		"A row of cost/SERVICE/ENVIRONMENT/YEAR-MONTH.csv of a catalogue, in columns of FOCUS 1.2: what one resource is estimated to cost a month.")
}

func open(mapper func(reflect.Type) *jsonschema.Schema) *jsonschema.Reflector {
	r := reflector()
	r.AllowAdditionalProperties, r.Mapper = true, mapper
	return r
}

func outcomes(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[record.Outcome]() {
		return &jsonschema.Schema{Type: "string", Enum: []any{record.Passed, record.Failed, record.Error, record.Skipped}}
	}
	return nil
}
