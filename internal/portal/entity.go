package portal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/ui"
)

// What is read of one file, in bytes.
const (
	maxEntity     = 1 << 20 // of entities; Backstage itself takes no larger ones
	maxDefinition = 1 << 20 // of an API
)

// about is what people and the entity say of a service.
type about struct {
	description, lifecycle, slo string
	source                      string // address of the code; empty where its host is not known
	commits                     string // address that a commit is appended to; empty where not known
	runbook                     []address
	links                       []address
}

type address struct{ url, title string }

// entity is what is read of a Backstage entity.
type entity struct {
	Kind     string
	Metadata struct {
		Name        string
		Namespace   string
		Title       string
		Description string
		Annotations map[string]string
		Links       []struct{ URL, Title, Type string }
	}
	Spec yaml.Node // its form is that of its kind

	file string
	spec entitySpec
	// Who names it, of the services, and what it needs: filled by relate.
	providers, users []*entry
	needs            []relation
}

// entitySpec is that of the kinds that are shown.
type entitySpec struct {
	Type, Lifecycle, Owner, System string
	ProvidesApis                   []string  `yaml:"providesApis"`
	ConsumesApis                   []string  `yaml:"consumesApis"`
	DependsOn                      []string  `yaml:"dependsOn"`
	DependencyOf                   []string  `yaml:"dependencyOf"`
	Definition                     yaml.Node // a text, or where it is
}

// entities are those of the catalogue.
type entities struct {
	byRef    map[string]*entity // KIND:NAMESPACE/NAME in lower case
	byFile   map[string][]*entity
	bySystem map[string][]*entity // APIs and resources by reference, of the system's reference
	things   []*entity            // APIs and resources, by reference
}

// shownKinds are those of which more is read than what every entity has.
var shownKinds = []string{"component", "api", "resource", "system"}

// readEntities reads all that is below catalog/. What is in two files is what the first says; idp catalog-check says so.
func readEntities(ctx context.Context, catalogue fs.FS) (*entities, error) {
	all := &entities{byRef: map[string]*entity{}, byFile: map[string][]*entity{}, bySystem: map[string][]*entity{}}
	err := fs.WalkDir(catalogue, catalogfile.EntitiesIn, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == catalogfile.EntitiesIn {
			return fs.SkipDir // nobody has written of any
		}
		if err != nil || d.IsDir() || (path.Ext(file) != ".yaml" && path.Ext(file) != ".yml") {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		list, err := readFile(catalogue, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all.byFile[file] = list
		for _, e := range list {
			ref := strings.ToLower(e.Kind + ":" + cmp.Or(e.Metadata.Namespace, "default") + "/" + e.Metadata.Name)
			if e.Kind != "" && e.Metadata.Name != "" && all.byRef[ref] == nil {
				all.byRef[ref] = e
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, ref := range slices.Sorted(maps.Keys(all.byRef)) {
		e := all.byRef[ref]
		if system, ok := catalogfile.Ref(e.spec.System, "system", "default"); ok && !strings.HasPrefix(ref, "component:") {
			all.bySystem[system] = append(all.bySystem[system], e)
		}
	}
	return all, nil
}

// readFile reads the entities of a file.
func readFile(catalogue fs.FS, file string) ([]*entity, error) {
	data, err := readAtMost(catalogue, file, maxEntity)
	if err != nil {
		return nil, err
	}
	var list []*entity
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		e := &entity{file: file}
		if err := dec.Decode(e); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		if slices.Contains(shownKinds, strings.ToLower(e.Kind)) && !e.Spec.IsZero() {
			if err := e.Spec.Decode(&e.spec); err != nil {
				return nil, err
			}
		}
		list = append(list, e)
	}
}

func readAtMost(catalogue fs.FS, file string, limit int64) ([]byte, error) {
	f, err := catalogue.Open(file)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

// about finds the component of a service in its file. A service without a file has nothing to say.
func (all *entities) about(catalogue fs.FS, file, name string) (about, error) {
	if file == "" {
		return about{}, nil
	}
	list, ok := all.byFile[file]
	if !ok { // people may have it anywhere
		var err error
		if list, err = readFile(catalogue, file); errors.Is(err, fs.ErrNotExist) {
			return about{}, nil
		} else if err != nil {
			return about{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, e := range list {
		if e.Kind == "Component" && e.Metadata.Name == name && (e.Metadata.Namespace == "" || e.Metadata.Namespace == "default") {
			return e.about(), nil
		}
	}
	return about{}, nil
}

func (e *entity) about() about {
	m := e.Metadata
	a := about{description: m.Description, lifecycle: e.spec.Lifecycle, slo: m.Annotations["idp/slo-availability"]}
	a.source = strings.TrimPrefix(m.Annotations["backstage.io/source-location"], "url:")
	if slug := m.Annotations["github.com/project-slug"]; strings.Count(slug, "/") == 1 {
		a.commits = "https://github.com/" + slug + "/commit/"
	}
	for _, l := range m.Links {
		one := address{l.URL, cmp.Or(l.Title, l.URL)}
		if l.Type == "runbook" {
			a.runbook = append(a.runbook, one)
		} else {
			a.links = append(a.links, one)
		}
	}
	return a
}

// relation is one thing that a service names.
type relation struct {
	name    string
	of      *entity // nil where the catalogue does not have it
	service *entry  // where it is a service
}

// relations are what a service names, and which services name it.
type relations struct {
	provides, consumes, dependsOn []relation
	usedBy                        []*entry
}

// relate finds what services name, both ways, and which APIs a page leads to.
func (all *entities) relate(s *site) {
	for _, x := range s.services {
		component := all.byRef["component:default/"+strings.ToLower(x.Name)]
		if component == nil {
			continue
		}
		for _, list := range []struct {
			kind string
			refs []string
			to   *[]relation
		}{{"api", component.spec.ProvidesApis, &x.related.provides}, {"api", component.spec.ConsumesApis, &x.related.consumes}, {"component", component.spec.DependsOn, &x.related.dependsOn}} {
			for _, text := range list.refs {
				*list.to = append(*list.to, all.relation(s, text, list.kind))
			}
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(all.byRef)) {
		e := all.byRef[ref]
		if e.page() {
			all.things = append(all.things, e)
			for _, text := range e.spec.DependsOn {
				e.needs = append(e.needs, all.relation(s, text, "component"))
			}
		}
		for _, text := range e.spec.DependencyOf { // the same said from the other end
			r := all.relation(s, text, "component")
			switch {
			case r.service != nil && !slices.ContainsFunc(r.service.related.dependsOn, func(d relation) bool { return d.of == e }):
				r.service.related.dependsOn = append(r.service.related.dependsOn, all.relation(s, ref, ""))
			case r.of != nil && r.of.page():
				r.of.needs = append(r.of.needs, all.relation(s, ref, ""))
			}
		}
	}
	for _, x := range s.services {
		for _, r := range x.related.provides {
			if r.of != nil && !slices.Contains(r.of.providers, x) {
				r.of.providers = append(r.of.providers, x)
			}
		}
		for _, r := range slices.Concat(x.related.consumes, x.related.dependsOn) {
			if r.of != nil && !slices.Contains(r.of.users, x) {
				r.of.users = append(r.of.users, x)
			}
		}
	}
	for _, x := range s.services { // once all are known
		seen := map[*entry]bool{x: true}
		used := func(e *entity) {
			if e == nil {
				return
			}
			for _, user := range e.users {
				if !seen[user] {
					seen[user] = true
					x.related.usedBy = append(x.related.usedBy, user)
				}
			}
		}
		used(all.byRef["component:default/"+strings.ToLower(x.Name)])
		for _, r := range x.related.provides {
			used(r.of)
		}
		slices.SortFunc(x.related.usedBy, func(a, b *entry) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (all *entities) relation(s *site, text, kind string) relation {
	r := relation{name: text}
	ref, ok := catalogfile.Ref(text, kind, "default")
	if !ok {
		return r
	}
	if r.of = all.byRef[ref]; r.of == nil {
		return r
	}
	r.name = cmp.Or(r.of.Metadata.Title, r.of.Metadata.Name)
	if strings.HasPrefix(ref, "component:default/") {
		r.service = s.byName[r.of.Metadata.Name]
	}
	return r
}

func (e *entity) api() bool { return strings.EqualFold(e.Kind, "API") }

// page tells whether an entity has a page of its own, as an API or a resource.
func (e *entity) page() bool { return e.api() || strings.EqualFold(e.Kind, "Resource") }

// thingFile is the page of an API or a resource.
func (e *entity) thingFile() string {
	folder := "resources/"
	if e.api() {
		folder = "apis/"
	}
	return folder + fileName(strings.ToLower(cmp.Or(e.Metadata.Namespace, "default")+"/"+e.Metadata.Name)) + ".html"
}

// what it is, in the words of its entity.
func (e *entity) what() string {
	kind := strings.ToLower(e.Kind)
	if e.api() {
		kind = "API"
	}
	if e.spec.Type == "" {
		return kind
	}
	return clip(e.spec.Type, 40) + " " + kind
}

// systems adds to those that services are part of the ones that have no service yet.
func (all *entities) systems(groups []*group) []*group {
	known := map[string]bool{}
	for _, g := range groups {
		ref, _ := catalogfile.Ref(g.name, "system", "default")
		known[ref] = true
	}
	for ref, e := range all.byRef {
		if strings.HasPrefix(ref, "system:") && !known[ref] {
			groups = append(groups, &group{name: catalogfile.Service{System: cmp.Or(e.Metadata.Namespace, "default") + "/" + e.Metadata.Name}.PartOf()})
		}
	}
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.name, b.name) })
	return groups
}

// system is the name of the one that it is part of, as that of a service.
func (e *entity) system() string { return catalogfile.Service{System: e.spec.System}.PartOf() }

func (e *entity) link(up string) part {
	return el("a", to(up+e.thingFile()), text(clip(named(cmp.Or(e.Metadata.Title, e.Metadata.Name)), 80)))
}

// definition is that of an API: its text, or the address where it is. Both are empty where the catalogue does not have it.
func (e *entity) definition(catalogue fs.FS) (text, elsewhere string, err error) {
	if e.spec.Definition.Kind == yaml.ScalarNode {
		return e.spec.Definition.Value, "", nil
	}
	var at map[string]string
	if e.spec.Definition.Decode(&at) != nil {
		return "", "", nil
	}
	place := cmp.Or(at["$text"], at["$yaml"], at["$json"])
	if place == "" || safeURL(place) {
		return "", place, nil
	}
	file := path.Join(path.Dir(e.file), place)
	if !fs.ValidPath(file) || ui.Clean(file) != file || len(path.Base(file)) > 255 {
		return "", "", nil // no file has such a name
	}
	info, err := fs.Stat(catalogue, file)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.Mode().IsRegular()) {
		return "", "", nil // idp catalog-check says so
	}
	var data []byte
	if err == nil {
		data, err = readAtMost(catalogue, file, maxDefinition)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", file, err)
	}
	return string(data), "", nil
}
