// Package manifest renders the Kubernetes manifests of a service from what idp.yaml says, and reads manifests that a
// team keeps itself. It talks to no cluster.
package manifest

import (
	"bytes"
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/policy"
)

// Options is what a rendering takes besides the service.
type Options struct {
	Dir         string   // the service's folder; not needed to generate
	Helm        string   // the program helm; empty where there is none
	Environ     []string // of this process, for helm to start in
	Image       string   // IMAGE@DIGEST; empty while nothing has been built, which gives a reference that no node can pull
	Environment string
	Commit      string
	Digest      string
	Repository  string // URL of the code
	Sizes       map[string]policy.Size
}

// Set is a list of objects in the order in which they can be applied.
type Set struct {
	Objects []Object
	Files   []string // that it was read from, relative to the service's folder, with slashes
}

// Object is one Kubernetes object.
type Object struct {
	APIVersion, Kind, Namespace, Name string

	// File is where the object was read from; empty when it was generated.
	File string
	// Typed is a pointer to the k8s.io/api type; nil for a kind that is not part of Kubernetes itself.
	Typed runtime.Object
	// Fields is the whole object as it is sent to a cluster.
	Fields map[string]any
}

// String names the object for a person.
func (o Object) String() string { return o.Kind + " " + o.Name }

// YAML is the set as one multi-document file. The same set gives the same bytes.
func (s Set) YAML() ([]byte, error) {
	var out bytes.Buffer
	for i, o := range s.Objects {
		if i > 0 {
			out.WriteString("---\n")
		}
		doc, err := yaml.Marshal(o.Fields)
		if err != nil {
			return nil, err
		}
		out.Write(doc)
	}
	return out.Bytes(), nil
}

// fields turns a typed object into what is written: without the status, which is the cluster's to say, and without the
// null creation times and empty structs that the Go types leave in their JSON.
func fields(typed any) (map[string]any, error) {
	data, err := json.Marshal(typed)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	delete(m, "status")
	dropNulls(m)
	return m, nil
}

func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
				continue
			}
			dropNulls(value)
		}
	case []any:
		for _, item := range v {
			dropNulls(item)
		}
	}
}
