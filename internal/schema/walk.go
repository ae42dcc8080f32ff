package schema

import (
	"reflect"
	"strings"
)

// walk visits every field that a file can set, each struct type once, outermost first.
func walk(root reflect.Type, visit func(owner reflect.Type, f reflect.StructField)) {
	seen := map[reflect.Type]bool{root: true}
	for queue := []reflect.Type{root}; len(queue) > 0; queue = queue[1:] {
		for i := range queue[0].NumField() {
			f := queue[0].Field(i)
			if key(f) == "" {
				continue
			}
			visit(queue[0], f)
			if t := element(f.Type); t.Kind() == reflect.Struct && !seen[t] {
				seen[t] = true
				queue = append(queue, t)
			}
		}
	}
}

// key is the name of a field in a file; empty where it has none.
func key(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return strings.TrimPrefix(name, "-")
}

// element is the type inside pointers, lists and maps.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}
