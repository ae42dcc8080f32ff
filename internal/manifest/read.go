package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// decode reads the documents of one file; errors name the file and the number of the document.
func decode(name string, data []byte) ([]Object, error) {
	var objects []Object
	var problems []error
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for number := 1; ; number++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, errors.Join(problems...)
		}
		if err != nil {
			return objects, errors.Join(append(problems, fmt.Errorf("%s, document %d: %w", name, number, err))...)
		}
		found, err := decodeDocument(doc)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s, document %d: %s", name, number, oneLine(err)))
		}
		for _, o := range found {
			o.File = name
			objects = append(objects, o)
		}
	}
}

func decodeDocument(doc []byte) ([]Object, error) {
	var m map[string]any
	if err := yaml.UnmarshalStrict(doc, &m); err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, nil // comments only
	}
	if m["kind"] == "List" && m["apiVersion"] == "v1" {
		return decodeList(m)
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return nil, err
	}
	switch {
	case head.Kind == "" || head.APIVersion == "":
		return nil, errors.New("not a Kubernetes object: apiVersion or kind is missing")
	case head.Kind == "Kustomization" && strings.HasPrefix(head.APIVersion, "kustomize.config.k8s.io/"):
		return nil, errors.New("a kustomization is not a manifest; name its folder in idp.yaml: deploy: {kustomize: FOLDER}")
	case head.Metadata.Name == "":
		return nil, fmt.Errorf("%s without metadata.name", head.Kind)
	}
	o := Object{APIVersion: head.APIVersion, Kind: head.Kind, Name: head.Metadata.Name, Namespace: head.Metadata.Namespace, Fields: m}
	typed, err := scheme().New(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	if runtime.IsNotRegisteredError(err) {
		return []Object{o}, nil // a custom resource: only its own controller knows its fields
	}
	if err == nil {
		err = yaml.UnmarshalStrict(doc, typed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	o.Typed = typed
	return []Object{o}, nil
}

func decodeList(list map[string]any) ([]Object, error) {
	items, _ := list["items"].([]any)
	var objects []Object
	for i, item := range items {
		doc, err := yaml.Marshal(item)
		if err != nil {
			return objects, err
		}
		found, err := decodeDocument(doc)
		if err != nil {
			return objects, fmt.Errorf("item %d: %w", i+1, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// duplicates finds objects that two documents define: the one applied last would win unseen.
func duplicates(set Set) (problems []string) {
	first := map[string]string{}
	for _, o := range set.Objects {
		group := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).Group
		key := strings.Join([]string{group, o.Kind, o.Namespace, o.Name}, "/")
		if file, ok := first[key]; ok {
			problems = append(problems, fmt.Sprintf("%s: %s is in %s already", o.File, o, file))
			continue
		}
		first[key] = o.File
	}
	return problems
}

// object describes a typed object.
func object(typed runtime.Object) (Object, error) {
	m, err := fields(typed)
	if err != nil {
		return Object{}, err
	}
	access, err := meta.Accessor(typed)
	if err != nil {
		return Object{}, err
	}
	apiVersion, kind := typed.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return Object{APIVersion: apiVersion, Kind: kind, Namespace: access.GetNamespace(), Name: access.GetName(), Typed: typed, Fields: m}, nil
}

// scheme knows the kinds whose fields are checked. Its registrations cannot fail: they only add Go types to a map.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
