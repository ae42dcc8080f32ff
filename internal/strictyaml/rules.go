package strictyaml

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rules are the constraints that the tags of one field set.
type rules struct {
	required  bool
	enum      []string
	low, high *float64
	minLength int
	pattern   *regexp.Regexp
	want      string // what the pattern asks for, in words
	keys      *regexp.Regexp
	keysWant  string
}

type field struct {
	index int
	rules rules
}

// fieldsOf reads the tags of a struct: its fields by key, and the keys in their order.
func fieldsOf(t reflect.Type) (map[string]field, []string) {
	fields, names := map[string]field{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields[name] = field{index: i, rules: rulesOf(f.Tag)}
		names = append(names, name)
	}
	return fields, names
}

// rulesOf panics on a tag that is not valid: that is a mistake in this program.
func rulesOf(tag reflect.StructTag) rules {
	r := rules{want: tag.Get("want"), keysWant: tag.Get("keyswant")}
	if keys := tag.Get("keys"); keys != "" {
		r.keys = regexp.MustCompile(keys)
	}
	for _, word := range splitTag(tag.Get("jsonschema")) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required":
			r.required = true
		case "enum":
			r.enum = append(r.enum, value)
		case "minimum":
			r.low = parseNumber(value)
		case "maximum":
			r.high = parseNumber(value)
		case "minLength":
			r.minLength = int(*parseNumber(value))
		case "pattern":
			r.pattern = regexp.MustCompile(value)
		}
	}
	return r
}

// splitTag splits at commas that have no backslash before them, as the schema generator does.
func splitTag(tag string) []string {
	const comma = "\x00"
	words := strings.Split(strings.ReplaceAll(tag, `\,`, comma), ",")
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], comma, ",")
	}
	return words
}

func parseNumber(s string) *float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("%q in a struct tag is not a number", s))
	}
	return &f
}

// text says what is wrong with a text, or nothing.
func (r rules) text(s string) string {
	switch {
	case len(r.enum) > 0 && !slices.Contains(r.enum, s):
		return "one of " + strings.Join(r.enum, ", ")
	case r.pattern != nil && !r.pattern.MatchString(s) && r.want != "":
		return "want " + r.want
	case r.pattern != nil && !r.pattern.MatchString(s):
		return "does not match " + r.pattern.String()
	case utf8.RuneCountInString(s) < r.minLength:
		return "must not be empty"
	}
	return ""
}

// number says what is wrong with a number, or nothing.
func (r rules) number(f float64) string {
	if (r.low == nil || f >= *r.low) && (r.high == nil || f <= *r.high) {
		return ""
	}
	switch {
	case r.low == nil:
		return fmt.Sprintf("want at most %v", *r.high)
	case r.high == nil:
		return fmt.Sprintf("want at least %v", *r.low)
	}
	return fmt.Sprintf("want %v to %v", *r.low, *r.high)
}

// Check holds a text against the tags of one field of a struct, as if a file said it, and says what is wrong with it.
func Check(v any, key, value string) string {
	t := reflect.TypeOf(v)
	fields, _ := fieldsOf(t)
	f, ok := fields[key]
	if !ok {
		panic(fmt.Sprintf("%s has no key %q", t, key))
	}
	if t.Field(f.index).Type.Kind() == reflect.String {
		return f.rules.text(value)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return "want a whole number"
	}
	return f.rules.number(float64(n))
}
