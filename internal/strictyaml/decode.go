package strictyaml

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

type entry struct{ key, value *yaml.Node }

// entries are the keys of a mapping that inspect found nothing wrong with.
func (d *Document) entries(n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var list []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !d.refused[n.Content[i]] {
			list = append(list, entry{n.Content[i], n.Content[i+1]})
		}
	}
	return list
}

func (d *Document) decode(n *yaml.Node, v reflect.Value, p Path, r rules) {
	if n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		return // reported by inspect
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), p, r)
	case reflect.Struct:
		if d.is(n, yaml.MappingNode, "a mapping", p) {
			d.object(n, v, p)
		}
	case reflect.Map:
		if d.is(n, yaml.MappingNode, "a mapping", p) {
			d.table(n, v, p, r)
		}
	case reflect.Slice:
		if d.is(n, yaml.SequenceNode, "a list", p) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
			for i, item := range n.Content {
				d.decode(item, v.Index(i), at(p, i), r)
			}
		}
	case reflect.Interface:
		if value := d.free(n, p); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		d.scalar(n, v, p, r)
	}
}

func at(p Path, step any) Path { return append(p[:len(p):len(p)], step) }

// is reports a node of another kind.
func (d *Document) is(n *yaml.Node, kind yaml.Kind, want string, p Path) bool {
	if n.Kind == kind {
		return true
	}
	hint := ""
	if isNull(n) {
		hint = map[yaml.Kind]string{yaml.MappingNode: " (write {} for an empty one)", yaml.SequenceNode: " (write [] for an empty one)"}[kind]
	}
	d.flag(n, fmt.Sprintf("%s: want %s, got %s%s", p, want, describe(n), hint))
	return false
}

func (d *Document) object(n *yaml.Node, v reflect.Value, p Path) {
	fields, names := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, e := range d.entries(n) {
		f, known := fields[e.key.Value]
		if !known {
			d.refuse(e.key, unknown(e.key.Value, names, p))
			continue
		}
		seen[e.key.Value] = true
		d.decode(e.value, v.Field(f.index), at(p, e.key.Value), f.rules)
	}
	for _, name := range names {
		if fields[name].rules.required && !seen[name] && !(len(p) == 0 && d.supplied[name]) {
			d.at(n, fmt.Sprintf("required key %q is missing%s", name, in(p)))
		}
	}
}

func unknown(key string, names []string, p Path) string {
	message := fmt.Sprintf("unknown key %s%s", quote(key), in(p))
	if near, ok := Nearest(key, names); ok {
		return fmt.Sprintf("%s, did you mean %q?", message, near)
	}
	if len(names) <= 6 {
		return fmt.Sprintf("%s: one of %s", message, strings.Join(names, ", "))
	}
	return message
}

func (d *Document) table(n *yaml.Node, v reflect.Value, p Path, r rules) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(n) {
		if r.keys != nil && !r.keys.MatchString(e.key.Value) {
			d.flag(e.key, fmt.Sprintf("key %s%s: %s", quote(e.key.Value), in(p), r.keysWant))
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, item, at(p, e.key.Value), rules{})
		v.SetMapIndex(reflect.ValueOf(e.key.Value), item)
	}
}

// free reads a value of any form, as encoding/json would but with whole numbers as int.
func (d *Document) free(n *yaml.Node, p Path) any {
	switch {
	case n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0:
		return nil // reported by inspect
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for _, e := range d.entries(n) {
			m[e.key.Value] = d.free(e.value, at(p, e.key.Value))
		}
		return m
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.free(item, at(p, i))
		}
		return list
	case isText(n):
		return n.Value
	}
	value := resolve(n)
	if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		d.flag(n, fmt.Sprintf("%s: want a finite number, got %s", p, quote(n.Value)))
		return nil
	}
	return value
}

func (d *Document) scalar(n *yaml.Node, v reflect.Value, p Path, r rules) {
	switch v.Kind() {
	case reflect.String:
		d.text(n, v, p, r)
	case reflect.Bool:
		b, ok := resolve(n).(bool)
		if !ok {
			d.flag(n, fmt.Sprintf("%s: want true or false, got %s", p, describe(n)))
			return
		}
		v.SetBool(b)
	case reflect.Int:
		f, ok := number(n)
		if !ok || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
			d.flag(n, fmt.Sprintf("%s: want a whole number, got %s", p, describe(n)))
			return
		}
		if d.within(n, f, p, r) {
			v.SetInt(int64(f))
		}
	case reflect.Float64:
		f, ok := number(n)
		if !ok {
			d.flag(n, fmt.Sprintf("%s: want a number, got %s", p, describe(n)))
			return
		}
		if d.within(n, f, p, r) {
			v.SetFloat(f)
		}
	default:
		panic(fmt.Sprintf("%s has type %s, which no file can hold", p, v.Type()))
	}
}

// text never shows a value of another type: a number where text belongs may be a password in an environment variable.
func (d *Document) text(n *yaml.Node, v reflect.Value, p Path, r rules) {
	if !isText(n) {
		hint := ""
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			hint = ": put it in quotes"
		}
		d.flag(n, fmt.Sprintf("%s: want text, got %s%s", p, kindOf(n), hint))
		return
	}
	if problem := r.text(n.Value); problem != "" {
		d.flag(n, fmt.Sprintf("%s %s: %s", p, quote(n.Value), problem))
		return
	}
	v.SetString(n.Value)
}

func (d *Document) within(n *yaml.Node, f float64, p Path, r rules) bool {
	problem := r.number(f)
	if problem != "" {
		d.flag(n, fmt.Sprintf("%s %s: %s", p, clean(n.Value, quoteLimit), problem))
	}
	return problem == ""
}
