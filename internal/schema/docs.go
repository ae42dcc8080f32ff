package schema

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"

	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
)

var (
	//go:embed idp-yaml.head.md
	serviceHead string
	//go:embed policy.head.md
	policyHead string
)

// ServiceDoc is docs/idp-yaml.md: what each key of idp.yaml means.
func ServiceDoc() string {
	return serviceHead + "\n" + tables(reflect.TypeFor[service.Service]())
}

// PolicyDoc is docs/policy.md: what each key of a policy means, and the policy that is built in.
func PolicyDoc() string {
	return policyHead + "\n" + tables(reflect.TypeFor[policy.Policy]()) +
		"\n## The policy that is built in\n\n```yaml\n" + string(policy.Default) + "```\n"
}

// tables writes one table for each mapping of a file, headed by where it stands.
func tables(root reflect.Type) string {
	rows := map[reflect.Type][]string{}
	places := map[reflect.Type][]string{root: {""}}
	order := []reflect.Type{root}
	walk(root, func(owner reflect.Type, f reflect.StructField) {
		rows[owner] = append(rows[owner], row(f))
		t := element(f.Type)
		if t.Kind() != reflect.Struct {
			return
		}
		if places[t] == nil {
			order = append(order, t)
		}
		for _, place := range places[owner] {
			places[t] = append(places[t], join(place, key(f))+suffix(f.Type))
		}
	})
	var b strings.Builder
	for _, t := range order {
		heading := "Top level"
		if t != root {
			heading = "`" + strings.Join(places[t], "`, `") + "`"
		}
		fmt.Fprintf(&b, "## %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n%s\n", heading, strings.Join(rows[t], ""))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func join(place, key string) string {
	return strings.TrimPrefix(place+"."+key, ".")
}

// suffix marks what has many: [] for a list, .NAME for a mapping by name.
func suffix(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]"
	case reflect.Map:
		return ".NAME"
	}
	return ""
}

func row(f reflect.StructField) string {
	var initial string
	var enum []string
	required := false
	low, high := "", ""
	for _, word := range strings.Split(f.Tag.Get("jsonschema"), ",") {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required":
			required = true
		case "default":
			initial = "`" + value + "`"
		case "enum":
			enum = append(enum, "`"+value+"`")
		case "minimum":
			low = value
		case "maximum":
			high = value
		}
	}
	if required {
		initial = "**required**"
	}
	kind := kindOf(f.Type)
	switch {
	case len(enum) > 0:
		kind = strings.Replace(kind, "text", strings.Join(enum, ", "), 1)
	case low != "" && high != "":
		kind += fmt.Sprintf(", %s to %s", low, high)
	case low != "":
		kind += ", at least " + low
	}
	meaning := f.Tag.Get("jsonschema_description")
	if want := f.Tag.Get("want"); want != "" && !strings.HasPrefix(meaning, "Such as") {
		meaning += " Form: " + want + "."
	}
	if want := f.Tag.Get("keyswant"); want != "" {
		meaning += " " + strings.ToUpper(want[:1]) + want[1:] + "."
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", key(f), kind, initial, strings.TrimSpace(meaning))
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case reflect.Map:
		return "mapping of names to " + kindOf(t.Elem())
	case reflect.Struct:
		return "mapping"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Interface:
		return "any value"
	}
	return "text"
}
