// Package openapi holds requests and answers against GitHub's published description of its REST API.
//
// The description is the npm package @octokit/openapi, MIT. It is fetched once, at a pinned version, into the user's cache
// folder, cut there to the operations that are asked for, and not part of this repository.
package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Description is that of some operations, each named as in "GET /repos/{owner}/{repo}".
type Description struct {
	doc *openapi3.T
	ops map[string]*routers.Route
}

var loaded sync.Map // from joined operations to func() (*Description, error)

// Load describes the operations. An operation that GitHub's description does not have is an error. What it gives is shared
// and must not be changed.
func Load(operations []string) (*Description, error) {
	operations = slices.Sorted(slices.Values(operations))
	once, _ := loaded.LoadOrStore(strings.Join(operations, "\n"), sync.OnceValues(func() (*Description, error) { return load(operations) }))
	return once.(func() (*Description, error))()
}

func load(operations []string) (*Description, error) {
	data, err := cutTo(operations)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	d := &Description{doc: doc, ops: map[string]*routers.Route{}}
	for _, name := range operations {
		method, path, _ := strings.Cut(name, " ")
		item := doc.Paths.Value(path)
		d.ops[name] = &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
	}
	return d, nil
}

// Documentation is the page of GitHub's documentation on an operation.
func (d *Description) Documentation(name string) string {
	if docs := d.ops[name].Operation.ExternalDocs; docs != nil {
		return docs.URL
	}
	return "https://docs.github.com/rest"
}

// Request tells what is wrong with a request: parameters and fields that the operation does not have, that are missing, or
// that are not as described. The values of params are unescaped.
func (d *Description) Request(name string, r *http.Request, params map[string]string, body []byte) []string {
	op := d.ops[name]
	var problems []string
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, QueryParams: r.URL.Query(), Route: op}
	input.Options = &openapi3filter.Options{SkipSettingDefaults: true}
	for _, parameter := range op.Operation.Parameters {
		if err := openapi3filter.ValidateParameter(context.Background(), input, parameter.Value); err != nil {
			problems = append(problems, err.Error())
		}
	}
	for key := range r.URL.Query() {
		if op.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, key) == nil {
			problems = append(problems, fmt.Sprintf("the operation has no query parameter %s", key))
		}
	}
	return append(problems, requestBody(op.Operation, r, body)...)
}

func requestBody(op *openapi3.Operation, r *http.Request, body []byte) []string {
	if len(body) == 0 {
		if op.RequestBody != nil && op.RequestBody.Value.Required {
			return []string{"the operation needs a body"}
		}
		return nil
	}
	if op.RequestBody == nil {
		return []string{"the operation takes no body"}
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return []string{fmt.Sprintf("the body has Content-Type %q, not application/json", r.Header.Get("Content-Type"))}
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{"the body is not JSON: " + err.Error()}
	}
	content := op.RequestBody.Value.Content.Get("application/json")
	if content == nil || content.Schema == nil {
		return nil
	}
	problems := unknown(content.Schema.Value, value, "")
	if err := content.Schema.Value.VisitJSON(value, openapi3.VisitAsRequest(), openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

// Response tells what is wrong with an answer. Errors that the operation does not list, such as 401 and 429, are held against
// the schema that all errors have.
func (d *Description) Response(name string, status int, body []byte) error {
	response := d.ops[name].Operation.Responses.Status(status)
	if response == nil && status < 400 {
		return fmt.Errorf("the operation never answers %d", status)
	}
	schema := d.schema(name, status)
	switch {
	case schema == nil && len(body) > 0 && status < 400:
		return fmt.Errorf("the operation answers %d without a body", status)
	case schema == nil:
		return nil
	}
	var value any
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&value); err != nil {
		return err
	}
	return schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation())
}

// schema is that of an answer; nil where it has no body.
func (d *Description) schema(name string, status int) *openapi3.Schema {
	response := d.ops[name].Operation.Responses.Status(status)
	if response == nil || (status >= 400 && len(response.Value.Content) == 0) {
		if basic := d.doc.Components.Schemas["basic-error"]; basic != nil && status >= 400 {
			return basic.Value
		}
		return nil
	}
	content := response.Value.Content.Get("application/json")
	if content == nil || content.Schema == nil {
		return nil
	}
	return content.Schema.Value
}
