package catalogfile

import (
	"fmt"
	"slices"
	"strings"
)

// Where the entities are that several services share, the definitions of APIs, and what estimates are made of.
const (
	GroupsIn  = EntitiesIn + "/groups"
	SystemsIn = EntitiesIn + "/systems"
	APIsIn    = "apis"
	CostsIn   = "cost"
)

// Derived is what deliveries wrote of a service besides the fields of its Component, so that they know what has to go when
// idp.yaml no longer says it, and what people wrote. References are KIND:NAMESPACE/NAME in lower case.
type Derived struct {
	Entities    []string          `json:"entities,omitempty" jsonschema_description:"Its APIs and resources that deliveries wrote."`
	Others      []string          `json:"others,omitempty" jsonschema_description:"Its group and its system, and its APIs and resources that another file has."`
	Provides    []string          `json:"providesApis,omitempty" jsonschema_description:"As idp.yaml has them, as are the next two."`
	Consumes    []string          `json:"consumesApis,omitempty"`
	DependsOn   []string          `json:"dependsOn,omitempty"`
	Definitions map[string]string `json:"definitions,omitempty" jsonschema_description:"Digest of each definition of an API that is in the catalogue, by its file."`
}

// Ref reads a reference as Backstage's parseEntityRef does, [KIND:][NAMESPACE/]NAME, and gives it whole, in lower case, which
// tells entities apart; false where it is not of that form.
func Ref(text, kind, namespace string) (ref string, ok bool) {
	colon, slash := strings.IndexByte(text, ':'), strings.IndexByte(text, '/')
	if slash >= 0 && slash < colon {
		colon = -1
	}
	name := text[max(colon, slash)+1:]
	if colon >= 0 {
		kind = text[:colon]
	}
	if slash >= 0 {
		namespace = text[colon+1 : slash]
	}
	if kind == "" || namespace == "" || name == "" {
		return "", false
	}
	return strings.ToLower(kind + ":" + namespace + "/" + name), true
}

// Owner is one name for all the ways in which an owner can be written: a team's without Backstage's own kind and namespace, that of
// anyone else with the kind. So it is team-payments, user:jane and group:elsewhere/team-a.
func Owner(text string) string {
	if !strings.ContainsAny(text, ":/") {
		return text
	}
	kind, name := "group", text
	if before, after, ok := strings.Cut(text, ":"); ok && !strings.Contains(before, "/") {
		kind, name = strings.ToLower(before), after
	}
	if namespace, after, ok := strings.Cut(name, "/"); ok && strings.EqualFold(namespace, "default") {
		name = after
	}
	if kind == "group" && !strings.Contains(name, "/") {
		return name
	}
	return kind + ":" + name
}

// Person is the name of an owner, in the form of [Owner], that is one person and no team.
func Person(owner string) (name string, ok bool) { return strings.CutPrefix(owner, "user:") }

// Matches tells whether any of the patterns stands for the reference: a reference, or the beginning of one and a *.
func Matches(patterns []string, ref string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(ref, prefix)
		}
		return ref == pattern
	})
}

// CheckPatterns refuses what is no pattern of references.
func CheckPatterns(patterns []string) error {
	for _, p := range patterns {
		if kind, rest, ok := strings.Cut(p, ":"); !ok || kind == "" || rest == "" || strings.Contains(strings.TrimSuffix(rest, "*"), "*") {
			return fmt.Errorf("%q is not a reference", p)
		}
	}
	return nil
}
