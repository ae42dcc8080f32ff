package kubernetes

import (
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Changed is a field that Manager applied and to which somebody else has given another value since, such as .data.MODE; empty where
// there is none. What others add is theirs, and so is the number of replicas, which an autoscaler sets. It is an error where the
// account of who set what cannot be read.
func Changed(applied, live *Object) (field string, err error) {
	mine, err := fieldsOf(applied)
	has, liveErr := fieldsOf(live)
	if err := errors.Join(err, liveErr); err != nil {
		return "", err
	}
	mine.Leaves().Iterate(func(p fieldpath.Path) {
		name := p.String()
		if field != "" || name == ".spec.replicas" || covers(has, p) {
			return
		}
		if !equality.Semantic.DeepEqual(Filled(value(applied.Object, p)), Filled(value(live.Object, p))) {
			field = name
		}
	})
	return field, nil
}

// fieldsOf is what the API server keeps account of as set by Manager.
func fieldsOf(o *Object) (*fieldpath.Set, error) {
	all := fieldpath.NewSet()
	for _, e := range o.GetManagedFields() {
		if e.Manager != Manager || e.Subresource != "" || e.FieldsV1 == nil {
			continue
		}
		var fields fieldpath.Set
		if err := fields.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			return nil, err
		}
		all = all.Union(&fields)
	}
	return all, nil
}

// value is what a path of fields and items leads to; nil where there is no such thing.
func value(v any, p fieldpath.Path) any {
	for _, e := range p {
		switch has := v.(type) {
		case map[string]any:
			if v = nil; e.FieldName != nil {
				v = has[*e.FieldName]
			}
		case []any:
			v = nil
			if i := slices.IndexFunc(has, func(item any) bool { return is(item, e) }); i >= 0 {
				v = has[i]
			}
		default:
			return nil
		}
	}
	return v
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
