package catalog

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/service"
)

// derived is what a service stands for in the catalogue beside its component.
type derived struct {
	things                        []entityfile.Thing
	group, system                 string // names; empty for a person, and for what is of another namespace
	provides, consumes, dependsOn []string
}

// derivedOf gives what idp.yaml says, without what other catalogues have.
func derivedOf(in Inputs) derived {
	s := in.Service
	d := derived{consumes: s.Consumes, dependsOn: slices.Clone(s.DependsOn)}
	for _, a := range s.APIs {
		d.provides = append(d.provides, a.Name)
		d.add(entityfile.Thing{Kind: "API", Name: a.Name, Description: a.Description, Class: a.Type, Lifecycle: lifecycle(s), Owner: s.Owner, System: s.System,
			File: definitionFile(s.Name, a), Text: in.Definitions[a.Name]}, in.Elsewhere)
	}
	for _, r := range s.Resources {
		d.dependsOn = append(d.dependsOn, "resource:"+r.Name)
		d.add(entityfile.Thing{Kind: "Resource", Name: r.Name, Description: r.Description, Class: r.Type, Owner: s.Owner, System: s.System}, in.Elsewhere)
	}
	d.group = local(s.Owner, "group", in.Elsewhere)
	d.system = local(s.System, "system", in.Elsewhere)
	return d
}

// add takes an entity unless another catalogue has it.
func (d *derived) add(t entityfile.Thing, elsewhere []string) {
	t.Ref, _ = catalogfile.Ref(t.Name, t.Kind, "default")
	if !catalogfile.Matches(elsewhere, t.Ref) {
		d.things = append(d.things, t)
	}
}

// local is the name of an entity of that kind in the default namespace; empty for any other, which others look after.
func local(text, kind string, elsewhere []string) string {
	ref, ok := catalogfile.Ref(text, kind, "default")
	if !ok || !strings.HasPrefix(ref, kind+":default/") || catalogfile.Matches(elsewhere, ref) {
		return ""
	}
	return text[strings.LastIndexAny(text, ":/")+1:]
}

// Refs are all entities that the service stands for, sorted.
func (d derived) Refs() []string {
	var refs []string
	for _, t := range d.things {
		refs = append(refs, t.Ref)
	}
	if d.group != "" {
		refs = append(refs, "group:default/"+strings.ToLower(d.group))
	}
	if d.system != "" {
		refs = append(refs, "system:default/"+strings.ToLower(d.system))
	}
	slices.Sort(refs)
	return refs
}

// extension is what may end the name of a definition in the catalogue.
var extension = regexp.MustCompile(`^\.[a-z0-9]{1,10}$`)

// definitionFile is where the catalogue has the definition of an API: as it was delivered, and in the same repository as the
// entity, since Backstage reads no other (assertSameRepository in plugin-catalog-backend 4.0.5).
func definitionFile(service string, a service.API) string {
	ext := strings.ToLower(path.Ext(a.File))
	if !extension.MatchString(ext) {
		ext = ""
	}
	return catalogfile.APIsIn + "/" + service + "/" + strings.ToLower(a.Name) + ext
}

// digests are those of the definitions, by file.
func digests(things []entityfile.Thing) map[string]string {
	var sums map[string]string
	for _, t := range things {
		if t.File == "" {
			continue
		}
		if sums == nil {
			sums = map[string]string{}
		}
		sums[t.File] = digest(t.Text)
	}
	return sums
}

// entityFile is an entity that has a file of its own.
type entityFile struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec any `yaml:"spec"`
}

// groupText is a team that nobody has written of yet.
func groupText(name string) ([]byte, error) {
	return entityText("# A team that a service names as its owner. Edit what you like: no delivery changes it.\n", "Group", name, struct {
		Type     string   `yaml:"type"`
		Children []string `yaml:"children,flow"`
	}{"team", []string{}})
}

// systemText is a system of which all services have one owner.
func systemText(name, owner string) ([]byte, error) {
	return entityText("# A system that services are part of, with their owner. Edit what you like: then no delivery changes it.\n", "System", name, struct {
		Owner string `yaml:"owner"`
	}{owner})
}

func entityText(head, kind, name string, spec any) ([]byte, error) {
	e := entityFile{APIVersion: entityfile.APIVersion, Kind: kind, Spec: spec}
	e.Metadata.Name = name
	b := bytes.NewBufferString(head)
	enc := yaml.NewEncoder(b)
	enc.SetIndent(2)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}
