package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
)

// Changed is a field that Manager applied and to which somebody else has given another value since, such as .data.MODE; empty where
// there is none. What others add is theirs, and so is the number of replicas, which an autoscaler sets.
func Changed(applied, live *Object) string {
	lost := lostFields(fieldsOf(applied), fieldsOf(live), applied.Object, live.Object, "")
	lost = slices.DeleteFunc(lost, func(path string) bool { return path == ".spec.replicas" })
	if len(lost) == 0 {
		return ""
	}
	return lost[0]
}

// fieldsOf is what the API server keeps account of as applied by Manager: the tree of its fields
// (sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go).
func fieldsOf(o *Object) map[string]any {
	fields := map[string]any{}
	for _, m := range o.GetManagedFields() {
		if m.Manager != Manager || m.Subresource != "" || m.FieldsV1 == nil {
			continue
		}
		if json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields) != nil {
			return nil
		}
	}
	return fields
}

// lostFields are the paths of fields of a tree that are not in another one, and whose values differ.
func lostFields(mine, has map[string]any, want, live any, path string) (lost []string) {
	for _, key := range slices.Sorted(maps.Keys(mine)) {
		below, _ := mine[key].(map[string]any)
		still, owned := has[key].(map[string]any)
		was, is, name := member(want, key), member(live, key), path+named(key)
		switch {
		case len(below) > 0:
			lost = append(lost, lostFields(below, still, was, is, name)...)
		case key != "." && !owned && !equality.Semantic.DeepEqual(Filled(was), Filled(is)):
			lost = append(lost, name)
		}
	}
	return lost
}

// member is what a key of a tree of fields leads to; nil where there is no such thing.
func member(v any, key string) any {
	kind, rest, _ := strings.Cut(key, ":")
	switch v := v.(type) {
	case map[string]any:
		if kind == "f" {
			return v[rest]
		}
	case []any:
		var item any
		if json.Unmarshal([]byte(rest), &item) != nil {
			return nil
		}
		for _, has := range v {
			if kind == "v" && fmt.Sprint(has) == fmt.Sprint(item) || kind == "k" && names(item, has) {
				return has
			}
		}
	}
	return nil
}

// names tells whether an item of a list has all keys of an item of a tree.
func names(item, has any) bool {
	keys, _ := item.(map[string]any)
	fields, _ := has.(map[string]any)
	for key, value := range keys {
		if fmt.Sprint(fields[key]) != fmt.Sprint(value) {
			return false
		}
	}
	return len(keys) > 0
}

// named is a key of a tree of fields as part of a path.
func named(key string) string {
	kind, rest, _ := strings.Cut(key, ":")
	if kind == "f" {
		return "." + rest
	}
	return "[" + rest + "]"
}

// Filled is a value without what is empty in it. The controller of Argo Rollouts writes a template back with empty fields that
// nobody gave, such as resources: {} (argo-rollouts, rollout/controller.go).
func Filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		full := map[string]any{}
		for key, value := range v {
			if value = Filled(value); value != nil {
				full[key] = value
			}
		}
		if len(full) > 0 {
			return full
		}
		return nil
	case []any:
		full := make([]any, len(v)) // an item that is empty keeps its place
		for i := range v {
			full[i] = Filled(v[i])
		}
		if len(full) > 0 {
			return full
		}
		return nil
	}
	return v
}
