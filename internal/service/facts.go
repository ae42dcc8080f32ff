package service

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/strictyaml"
)

// Files beside idp.yaml whose facts nobody has to write twice.
const (
	CatalogFile = "catalog-info.yaml"
	ScoreFile   = "score.yaml"
)

// fact is what a file beside idp.yaml says about a key of it.
type fact struct {
	key, value   string
	from         string // key in that file
	file         string
	line, column int
	fallback     bool // it counts where nothing else says it, and contradicts nothing
}

func (f fact) problem(format string, args ...any) strictyaml.Problem {
	return strictyaml.Problem{File: f.file, Line: f.line, Column: f.column, Message: fmt.Sprintf(format, args...)}
}

// readFacts reads the files beside idp.yaml. They belong to other programs, so only what is looked for is checked.
func readFacts(dir string) (facts []fact, problems []strictyaml.Problem) {
	for _, source := range []struct {
		name string
		read func(file string, docs []*yaml.Node) []fact
	}{{CatalogFile, catalogFacts}, {ScoreFile, scoreFacts}} {
		file := filepath.Join(dir, source.name)
		data, err := strictyaml.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			problems = append(problems, strictyaml.Problem{File: file, Line: 1, Column: 1, Message: err.Error()})
			continue
		}
		docs, wrong := strictyaml.Documents(file, data)
		problems = append(problems, wrong...)
		facts = append(facts, source.read(file, docs)...)
	}
	return facts, problems
}

// get follows keys through mappings; nil where one is missing.
func get(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var next *yaml.Node
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

func newFact(file, key, from string, n *yaml.Node) []fact {
	if text(n) == "" {
		return nil
	}
	return []fact{{key: key, value: text(n), from: from, file: file, line: n.Line, column: n.Column}}
}

// catalogFacts reads the one Component of a Backstage file. With several, none is known to be this service.
func catalogFacts(file string, docs []*yaml.Node) (facts []fact) {
	docs = slices.DeleteFunc(docs, func(n *yaml.Node) bool { return text(get(n, "kind")) != "Component" })
	if len(docs) != 1 {
		return nil
	}
	for _, f := range [][3]string{{"name", "metadata", "name"}, {"description", "metadata", "description"},
		{"owner", "spec", "owner"}, {"system", "spec", "system"}, {"lifecycle", "spec", "lifecycle"}} {
		facts = append(facts, newFact(file, f[0], f[1]+"."+f[2], get(docs[0], f[1], f[2]))...)
	}
	return facts
}

// scoreFacts reads the name and, where there is exactly one, the port of a Score workload.
func scoreFacts(file string, docs []*yaml.Node) []fact {
	if len(docs) != 1 {
		return nil
	}
	facts := newFact(file, "name", "metadata.name", get(docs[0], "metadata", "name"))
	ports := get(docs[0], "service", "ports")
	if ports == nil || ports.Kind != yaml.MappingNode || len(ports.Content) != 2 {
		return facts
	}
	// The service listens on targetPort; it defaults to port.
	name, port := ports.Content[0].Value, ports.Content[1]
	if target := get(port, "targetPort"); target != nil {
		return append(facts, newFact(file, "port", "service.ports."+name+".targetPort", target)...)
	}
	return append(facts, newFact(file, "port", "service.ports."+name+".port", get(port, "port"))...)
}

func supplied(facts []fact) []string {
	var keys []string
	for _, f := range facts {
		keys = append(keys, f.key)
	}
	return keys
}

// adopt takes over what idp.yaml does not say, from the first file that says it, and reports where two files differ.
func (l *loader) adopt() {
	said := map[string]fact{}
	for _, f := range l.facts {
		if _, known := said[f.key]; f.fallback && (known || l.doc.Has(path{f.key})) {
			continue
		}
		if problem := strictyaml.Check(Service{}, f.key, f.value); problem != "" {
			l.doc.Elsewhere(f.problem("%s %.40q: %s", f.from, f.value, problem))
			continue
		}
		other, known := said[f.key]
		switch {
		case l.doc.Has(path{f.key}):
			if own := l.own(f.key); own != "" && !same(f.key, own, f.value) {
				l.doc.Elsewhere(f.problem("%s is %.40q, but %s in %s is %.40q", f.from, f.value, f.key, File, own))
			}
		case known:
			if !same(f.key, other.value, f.value) {
				l.doc.Elsewhere(f.problem("%s is %.40q, but %s in %s is %.40q", f.from, f.value, other.from, filepath.Base(other.file), other.value))
			}
		default:
			said[f.key] = f
			l.set(f.key, f.value)
		}
	}
}

// own is what idp.yaml says; empty where it says something wrong.
func (l *loader) own(key string) string {
	if key == "port" {
		if l.Port == 0 {
			return ""
		}
		return strconv.Itoa(l.Port)
	}
	return *l.target(key)
}

func (l *loader) set(key, value string) {
	if key == "port" {
		l.Port, _ = strconv.Atoi(value) // checked before
		return
	}
	*l.target(key) = value
}

func (l *loader) target(key string) *string {
	return map[string]*string{"name": &l.Name, "owner": &l.Owner, "description": &l.Description, "system": &l.System,
		"lifecycle": &l.Lifecycle}[key]
}

// same compares entity references by what they mean: kind and namespace have defaults, and case does not count.
func same(key, a, b string) bool {
	if key == "owner" || key == "system" {
		a, b = shortRef(a), shortRef(b)
	}
	return a == b
}

func shortRef(ref string) string {
	ref = strings.ToLower(ref)
	for _, prefix := range []string{"group:", "system:", "default/"} {
		ref = strings.TrimPrefix(ref, prefix)
	}
	return ref
}
