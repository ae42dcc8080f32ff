// Package portalsfake is developer portals that behave, for tests, and the forms that they publish of what they take.
//
// Datadog publishes an OpenAPI description in the Go module of its client, Apache-2.0; it is fetched once, at a pinned version,
// into the user's cache folder, and cut there to what is used. Port, Cortex and OpsLevel publish theirs where a test cannot
// fetch them; the files in forms say, in JSON Schema, what their pages do, each with its source.
package portalsfake

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed forms/*.json
var recorded embed.FS

// Names of the forms.
const (
	PortEntity        = "port-entity"
	CortexDescriptor  = "cortex-descriptor"
	CortexDeploy      = "cortex-deploy"
	OpsLevelFile      = "opslevel-file"
	OpsLevelInput     = "opslevel-input"
	OpsLevelDeploy    = "opslevel-deploy"
	DatadogEntity     = "EntityV3Service"
	DatadogDeployment = "DORADeploymentRequest"
)

// Forms are all of them, ready to be held against.
type Forms map[string]*jsonschema.Schema

// LoadForms compiles them. It fails the test where one cannot be had: without it nothing would be held against anything.
func LoadForms(t *testing.T) Forms {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	forms := Forms{}
	for _, name := range []string{PortEntity, CortexDescriptor, CortexDeploy, OpsLevelFile, OpsLevelInput, OpsLevelDeploy} {
		data, err := recorded.ReadFile("forms/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		forms[name] = compile(t, compiler, "mem:///"+name+".json", data, "mem:///"+name+".json")
	}
	data, err := datadog()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range datadogForms {
		forms[name] = compile(t, compiler, "mem:///datadog.json", data, "mem:///datadog.json#/components/schemas/"+name)
		data = nil // it is there already
	}
	return forms
}

func compile(t *testing.T, c *jsonschema.Compiler, at string, data []byte, what string) *jsonschema.Schema {
	t.Helper()
	if data != nil {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(at, err)
		}
		if err := c.AddResource(at, doc); err != nil {
			t.Fatal(at, err)
		}
	}
	s, err := c.Compile(what)
	if err != nil {
		t.Fatal(what, err)
	}
	return s
}

// Hold says what of a value is not of the form.
func (f Forms) Hold(name string, value any) error {
	s := f[name]
	if s == nil {
		return fmt.Errorf("there is no form %s", name)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// HoldSchema says what of a value is not as a JSON Schema has it, such as that of a blueprint in Port.
func HoldSchema(schema []byte, value any) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///schema.json", doc); err != nil {
		return err
	}
	s, err := c.Compile("mem:///schema.json")
	if err != nil {
		return err
	}
	return Forms{"": s}.Hold("", value)
}
