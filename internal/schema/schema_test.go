package schema_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/schema"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/strictyaml"
)

func compile(t *testing.T, generate func() ([]byte, error)) *jsonschema.Schema {
	t.Helper()
	data, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:///schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, v any) error {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestOutputIsStable(t *testing.T) {
	t.Parallel()
	for name, generate := range map[string]func() ([]byte, error){"service": schema.Service, "policy": schema.Policy, "record": schema.Record, "metrics": schema.Metrics, "spend": schema.Spend, "index": schema.Index, "state": schema.State, "line": schema.Line, "cost": schema.Cost} {
		first, err := generate()
		if err != nil || !bytes.HasSuffix(first, []byte("\n}\n")) || !bytes.HasPrefix(first, []byte("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n")) {
			t.Errorf("%s: %v\n%.200s", name, err, first)
		}
		for range 5 {
			if again, _ := generate(); !bytes.Equal(first, again) {
				t.Errorf("%s differs between two runs", name)
			}
		}
	}
}

// Names that begin with yaml- are of files that are wrong as YAML, before any schema can see them; those that begin with
// rules- are wrong by rules that no schema can say.
func TestDecoderAndSchemaAgree(t *testing.T) {
	t.Parallel()
	for kind, into := range map[string]struct {
		schema *jsonschema.Schema
		value  func() any
	}{
		"service": {compile(t, schema.Service), func() any { return &service.Service{} }},
		"policy":  {compile(t, schema.Policy), func() any { return &policy.Policy{} }},
	} {
		for _, folder := range []string{"good", "bad"} {
			list, err := filepath.Glob(filepath.Join("..", "..", "testdata", kind, folder, "*.yaml"))
			if err != nil || len(list) == 0 {
				t.Fatalf("no files: %v", err)
			}
			for _, file := range list {
				t.Run(kind+"/"+folder+"/"+filepath.Base(file), func(t *testing.T) {
					t.Parallel()
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					decoded := strictyaml.Decode(file, data, into.value())
					if strings.HasPrefix(filepath.Base(file), "yaml-") {
						if decoded == nil {
							t.Error("the decoder takes what is wrong as YAML")
						}
						return
					}
					var doc any
					if err := yaml.Unmarshal(data, &doc); err != nil {
						t.Fatalf("%v: the name of such a file begins with yaml-", err)
					}
					checked := validate(t, into.schema, doc)
					if (decoded == nil) != (checked == nil) {
						t.Errorf("decoder: %v\nschema: %v", decoded, checked)
					}
					sayable := folder == "bad" && !strings.HasPrefix(filepath.Base(file), "rules")
					if sayable != (checked != nil) {
						t.Errorf("the schema says %v", checked)
					}
				})
			}
		}
	}
}

func TestBuiltInPolicyIsValid(t *testing.T) {
	t.Parallel()
	var doc any
	if err := yaml.Unmarshal(policy.Default, &doc); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, compile(t, schema.Policy), doc); err != nil {
		t.Error(err)
	}
}

// full gives a value of a type with something in every list and map, as the evidence of a stage that did its work.
func full(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	if t == reflect.TypeFor[time.Time]() {
		return v
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			v.Field(i).Set(full(t.Field(i).Type))
		}
	case reflect.Pointer:
		v.Set(full(t.Elem()).Addr())
	case reflect.Slice:
		v.Set(reflect.Append(v, full(t.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.New(t.Key()).Elem(), full(t.Elem()))
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	}
	return v
}

func sample(t *testing.T) *record.Record {
	t.Helper()
	r := record.New(record.Service{Name: "checkout", Owner: "team-payments"}, record.Source{Repository: "acme/checkout", Commit: strings.Repeat("a", 40)},
		record.Run{}, "staging")
	r.SetArtifact(record.Artifact{Image: "ghcr.io/acme/checkout", Digest: "sha256:" + strings.Repeat("0", 64)})
	for _, name := range slices.Sorted(maps.Keys(record.EvidenceTypes)) {
		data, err := json.Marshal(full(reflect.TypeOf(record.EvidenceTypes[name])).Interface())
		if err != nil {
			t.Fatal(err)
		}
		r.Put(record.Stage{Name: name, Outcome: record.Passed, StartedAt: time.Unix(0, 0).UTC(), Tool: &record.Tool{Name: "x", Version: "1"}, Evidence: data})
	}
	return r
}

func TestRecord(t *testing.T) {
	t.Parallel()
	s := compile(t, schema.Record)
	if err := validate(t, s, sample(t)); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, s, record.New(record.Service{}, record.Source{}, record.Run{}, "local")); err != nil {
		t.Errorf("a record without stages: %v", err)
	}
	set := func(i int, change func(*record.Stage)) func(*record.Record) {
		return func(r *record.Record) { change(&r.Stages[i]) }
	}
	for name, change := range map[string]func(*record.Record){
		"schema":                    func(r *record.Record) { r.Schema = "idp.delivery/v0" },
		"digest":                    func(r *record.Record) { r.Artifact.Digest = "sha256:abc" },
		"outcome of the delivery":   func(r *record.Record) { r.Outcome = "fine" },
		"outcome of a stage":        set(0, func(s *record.Stage) { s.Outcome = "" }),
		"passed without evidence":   set(0, func(s *record.Stage) { s.Evidence = nil }),
		"passed with no evidence":   set(1, func(s *record.Stage) { s.Evidence = json.RawMessage(`null`) }),
		"unknown without evidence":  set(0, func(s *record.Stage) { s.Name, s.Evidence = "provision", nil }),
		"passed with null in it":    set(0, func(s *record.Stage) { s.Evidence = bytes.ReplaceAll(s.Evidence, []byte(`1`), []byte(`null`)) }),
		"evidence of another stage": set(0, func(s *record.Stage) { s.Evidence = json.RawMessage(`{"file":"x","type":"y","sent":true}`) }),
		"failed with another's":     set(0, func(s *record.Stage) { s.Outcome, s.Evidence = record.Failed, json.RawMessage(`{}`) }),
	} {
		r := sample(t)
		change(r)
		if validate(t, s, r) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
	for name, change := range map[string]func(*record.Record){
		"skipped":                    set(0, func(s *record.Stage) { s.Outcome, s.Reason, s.Evidence = record.Skipped, "nothing to do", nil }),
		"broke off with a beginning": set(0, func(s *record.Stage) { s.Outcome, s.Evidence = record.Error, json.RawMessage(`{}`) }),
		"failed without evidence":    set(0, func(s *record.Stage) { s.Outcome, s.Evidence = record.Failed, nil }),
		"a stage of a later version": set(0, func(s *record.Stage) { s.Name = "provision" }),
	} {
		r := sample(t)
		change(r)
		if err := validate(t, s, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every stage that passes is held to the form of its own evidence, none is left out.
func TestRecordHoldsEveryStageToItsForm(t *testing.T) {
	t.Parallel()
	s := compile(t, schema.Record)
	for i := range sample(t).Stages {
		r := sample(t)
		r.Stages[i].Evidence = json.RawMessage(`{}`)
		if validate(t, s, r) == nil {
			t.Errorf("%s: the schema takes empty evidence", r.Stages[i].Name)
		}
	}
}
