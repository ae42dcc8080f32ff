package apply

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
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
			w.tree(sign, path+"["+name+"]", without(item, by))
		}
	case string:
		if !strings.Contains(v, "\n") || w.masked(path) {
			w.line(sign, path, w.value(path, v))
			return
		}
		w.line(sign, path, "|")
		for _, l := range strings.Split(strings.TrimSuffix(v, "\n"), "\n") {
			w.lines = append(w.lines, sign+"     "+safe(l, valueRunes))
		}
	default:
		w.line(sign, path, w.value(path, v))
	}
}

// compare writes what differs. Where strict, a field that only the second state has is written only if it is in given:
// the API server filled in the others.
func (w *writer) compare(path string, a, b, given any, strict bool) {
	if reflect.DeepEqual(a, b) {
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
		if b, ok := b.(string); ok && strings.Contains(a+b, "\n") && !w.masked(path) {
			w.text(path, a, b)
			return
		}
	}
	if w.given && given == nil {
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

// lists compares lists of objects by what their items are known by.
func (w *writer) lists(path string, a, b, given []any, strict bool) {
	am, order := keyed(a, nil)
	bm, order := keyed(b, order)
	gm, _ := keyed(given, nil)
	for _, k := range order {
		w.compare(path+"["+k+"]", am[k], bm[k], gm[k], strict)
	}
}

func keyed(list []any, order []string) (map[string]any, []string) {
	m := map[string]any{}
	for i, item := range list {
		k, by := key(list, i)
		m[k] = without(item, by)
		if !slices.Contains(order, k) {
			order = append(order, k)
		}
	}
	return m, order
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

// without is an item of a list without the field that it is named by, if there is anything else.
func without(item any, field string) any {
	m, ok := item.(map[string]any)
	if !ok || field == "" || len(m) == 1 {
		return item
	}
	m = maps.Clone(m)
	delete(m, field)
	return m
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
		gm, _ := keyed(g, nil)
		var out []any
		for i, item := range v {
			name, by := key(v, i)
			if c, ok := common(without(item, by), gm[name]).(map[string]any); ok {
				if m := item.(map[string]any); by != "" {
					c[by] = m[by]
				}
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
	al, bl := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
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

func (w *writer) texts(sign string, lines []string) {
	for _, l := range lines {
		w.lines = append(w.lines, sign+"     "+safe(strings.TrimSuffix(l, "\n"), valueRunes))
	}
}

// sensitive are names whose value is likely a secret, wherever it is.
var sensitive = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|api[-_]?key|private[-_]?key|access[-_]?key|connection[-_]?string|dsn$|last-applied-configuration`)

// value is a value in one line, or a word for it where it is a secret.
func (w *writer) value(path string, v any) string {
	if w.masked(path) {
		return "(secret)"
	}
	switch v := v.(type) {
	case string:
		if v == "" || strings.TrimSpace(v) != v || ambiguous.MatchString(v) {
			return safe(fmt.Sprintf("%q", v), valueRunes)
		}
		return safe(v, valueRunes)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = w.value(path, v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		return "{…}"
	}
	return safe(fmt.Sprint(v), valueRunes)
}

// ambiguous are strings that would read as another type.
var ambiguous = regexp.MustCompile(`^([-+]?[0-9][0-9_.eE+-]*|true|false|null|~|yes|no|on|off)$`)

// masked tells whether what is at a path may be a secret: the content of Secrets, and what is named like one among the
// things that people name: variables, keys of a ConfigMap, annotations.
func (w *writer) masked(path string) bool {
	if w.secret && (strings.HasPrefix(path, "data") || strings.HasPrefix(path, "stringData")) {
		return true
	}
	named := strings.HasPrefix(path, "data") || strings.Contains(path, "metadata.annotations") ||
		strings.Contains(path, ".env[") && strings.HasSuffix(path, "].value")
	return named && sensitive.MatchString(path)
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
