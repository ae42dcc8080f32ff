package apply

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// writer writes the fields of one object, or what differs between two states of it.
type writer struct {
	secret bool // the object is a Secret
	given  bool // write nothing but what is given: the second state has values that another object of the same name has not
	lines  []string
}

func (w *writer) line(sign, path string, value any) {
	w.lines = append(w.lines, fmt.Sprintf("%s   %s: %s", sign, safe(path, 2*valueRunes), value))
}

// tree writes all fields below a path. What is nested stays in one line where it is short.
func (w *writer) tree(sign, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			w.tree(sign, join(path, k), v[k])
		}
		if len(v) == 0 {
			w.line(sign, path, "{}")
		}
	case []any:
		if scalars(v) {
			w.line(sign, path, w.value(path, v))
			return
		}
		for i, item := range v {
			name, by := key(v, i)
			w.item(sign, path+"["+name+"]", item, by)
		}
	case string:
		if !strings.Contains(v, "\n") || w.masked(path) || isKey(v) {
			w.line(sign, path, w.value(path, v))
			return
		}
		w.line(sign, path, "|")
		for _, l := range splitLines(v) {
			w.lines = append(w.lines, sign+"     "+safe(masked(l), valueRunes))
		}
	default:
		w.line(sign, path, w.value(path, v))
	}
}

// filledIn are what the API server puts into every container, so that it says nothing when a container goes.
var filledIn = map[string][]any{"imagePullPolicy": {"IfNotPresent", "Always"}, "terminationMessagePath": {"/dev/termination-log"},
	"terminationMessagePolicy": {"File"}, "protocol": {"TCP"}}

// item writes an item of a list without the field that it is named by, if there is anything else.
func (w *writer) item(sign, path string, item any, by string) {
	m, ok := item.(map[string]any)
	if !ok {
		w.tree(sign, path, item)
		return
	}
	rest := maps.Clone(m)
	maps.DeleteFunc(rest, func(name string, v any) bool {
		empty, isMap := v.(map[string]any)
		return name == by || sign == "-" && (slices.Contains(filledIn[name], v) || name == "resources" && isMap && len(empty) == 0)
	})
	if len(rest) == 0 && by != "" {
		rest[by] = m[by]
	}
	w.tree(sign, path, rest)
}

// compare writes what differs. Where strict, a field that only the second state has is written only if it is in given:
// the API server filled in the others.
func (w *writer) compare(path string, a, b, given any, strict bool) {
	if reflect.DeepEqual(a, b) || number(a) && number(b) && fmt.Sprint(a) == fmt.Sprint(b) {
		return
	}
	switch {
	case a == nil:
		if strict {
			b = common(b, given)
		}
		if b != nil {
			w.tree("+", path, b)
		}
		return
	case b == nil:
		w.tree("-", path, a)
		return
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			w.maps(path, a, b, given, strict)
			return
		}
	case []any:
		if b, ok := b.([]any); ok && !scalars(a) && !scalars(b) {
			g, _ := given.([]any)
			w.lists(path, a, b, g, strict)
			return
		}
	case string:
		if b, ok := b.(string); ok && strings.Contains(a+b, "\n") && !w.masked(path) && !isKey(a+b) {
			w.text(path, a, b)
			return
		}
	}
	if w.given && given == nil {
		return
	}
	if w.masked(path) {
		w.line("!", path, "changed (secret)")
		return
	}
	w.line("-", path, w.value(path, a))
	w.line("+", path, w.value(path, b))
}

func (w *writer) maps(path string, a, b map[string]any, given any, strict bool) {
	g, _ := given.(map[string]any)
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		w.compare(join(path, k), a[k], b[k], g[k], strict)
	}
}

// number tells of a value that may have been read as a whole number or not: 1 and 1.0 are the same.
func number(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

// lists compares lists of objects by what their items are known by.
func (w *writer) lists(path string, a, b, given []any, strict bool) {
	am, bm, gm := keyed(a), keyed(b), keyed(given)
	for i, item := range a {
		name, by := key(a, i)
		if other, ok := bm[name]; ok {
			w.compare(path+"["+name+"]", item, other, gm[name], strict)
		} else {
			w.item("-", path+"["+name+"]", item, by)
		}
	}
	for i, item := range b {
		name, by := key(b, i)
		if _, ok := am[name]; ok {
			continue
		}
		if strict {
			item = common(item, gm[name])
		}
		if item != nil {
			w.item("+", path+"["+name+"]", item, by)
		}
	}
}

func keyed(list []any) map[string]any {
	m := map[string]any{}
	for i, item := range list {
		name, _ := key(list, i)
		m[name] = item
	}
	return m
}

// keys are the fields by which the items of Kubernetes' lists are told apart, tried in turn.
var keys = []string{"name", "mountPath", "containerPort", "port", "key", "type", "ip", "host", "path"}

// key names an item of a list: by a field that is another one in every item, else by its place.
func key(list []any, i int) (name, field string) {
	for _, name := range keys {
		seen := map[string]bool{}
		for _, item := range list {
			if m, ok := item.(map[string]any); ok && m[name] != nil {
				seen[fmt.Sprint(m[name])] = true
			}
		}
		if m, ok := list[i].(map[string]any); ok && len(seen) == len(list) {
			return fmt.Sprint(m[name]), name
		}
	}
	return fmt.Sprint(i), ""
}

// common is the part of v that is in given too.
func common(v, given any) any {
	switch v := v.(type) {
	case map[string]any:
		g, ok := given.(map[string]any)
		if !ok {
			return nil
		}
		out := map[string]any{}
		for k, child := range v {
			if _, ok := g[k]; !ok {
				continue
			}
			if c := common(child, g[k]); c != nil {
				out[k] = c
			}
		}
		return out
	case []any:
		g, ok := given.([]any)
		if !ok || scalars(v) {
			return v
		}
		gm := keyed(g)
		var out []any
		for i, item := range v {
			name, _ := key(v, i)
			if c := common(item, gm[name]); c != nil {
				out = append(out, c)
			}
		}
		return out
	}
	if given == nil {
		return nil
	}
	return v
}

// text compares texts of several lines.
func (w *writer) text(path, a, b string) {
	w.lines = append(w.lines, "    "+safe(path, 2*valueRunes)+":")
	const most = 2000 // lines; the comparison takes their product
	al, bl := splitLines(a), splitLines(b)
	if len(al) > most || len(bl) > most {
		w.lines = append(w.lines, fmt.Sprintf("!     too long to compare: %d and %d lines", len(al), len(bl)))
		return
	}
	for _, group := range difflib.NewMatcher(al, bl).GetGroupedOpCodes(2) {
		for _, op := range group {
			if op.Tag == 'e' {
				w.texts(" ", al[op.I1:op.I2])
				continue
			}
			w.texts("-", al[op.I1:op.I2])
			w.texts("+", bl[op.J1:op.J2])
		}
	}
}

func splitLines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

func (w *writer) texts(sign string, lines []string) {
	for _, l := range lines {
		w.lines = append(w.lines, sign+"     "+safe(masked(l), valueRunes))
	}
}

func join(path, name string) string {
	if strings.ContainsAny(name, ".[]: ") || name == "" {
		return path + "[" + name + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func scalars(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}
