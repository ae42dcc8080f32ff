package service

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/strictyaml"
)

// Docs says what each key of idp.yaml means.
const Docs = "docs/idp-yaml.md"

// Option changes what is checked.
type Option func(*loader)

// WithSizes makes every size that is not one of the names a problem. The names come from the policy.
func WithSizes(names ...string) Option { return func(l *loader) { l.sizes = names } }

// loader is one reading of idp.yaml.
type loader struct {
	*Service
	doc   *strictyaml.Document
	sizes []string // nil: not known
	facts []fact
	dir   string // of the file; empty where it is only a text
}

// Load reads idp.yaml in a folder, and catalog-info.yaml and score.yaml beside it. All problems of all of them come
// together in one *fault.Error of kind BadInput.
func Load(dir string, opts ...Option) (*Service, error) {
	path := filepath.Join(dir, File)
	data, err := strictyaml.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		missing := fault.BadInputf("there is no %s in %s", File, dir).WithNext(
			"Write one. The least it says is:", "  name: checkout", "  owner: team-payments", Docs+" says what each key means.")
		missing.Err = err
		if folders := folders(dir); len(folders) > 0 {
			missing.Next = append([]string{fmt.Sprintf("There is one in %s. Name the folder of the service: --service %s", strings.Join(folders, ", "), folders[0])}, missing.Next...)
		}
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	facts, problems := readFacts(dir)
	owner, passed, err := ownerFact(dir)
	if err != nil {
		return nil, err
	}
	facts = append(facts, owner...)
	s, err := parse(path, data, facts, problems, append(opts[:len(opts):len(opts)], func(l *loader) { l.dir = dir }))
	var f *fault.Error
	if passed != "" && errors.As(err, &f) && !slices.Contains(supplied(facts), "owner") && strings.Contains(strings.Join(fault.Lines(err), "\n"), `required key "owner" is missing`) {
		return nil, f.WithNext(passed)
	}
	return s, err
}

// folders are up to three below dir that have a file, as in a repository of several services.
func folders(dir string) []string {
	var found []string
	for _, depth := range []string{"*", filepath.Join("*", "*")} {
		files, _ := filepath.Glob(filepath.Join(dir, depth, File)) // only a bad pattern is an error
		for _, file := range files {
			found = append(found, filepath.ToSlash(filepath.Dir(file)))
		}
	}
	return found[:min(len(found), 3)]
}

// Identity is what a file with problems still says: the name, and the environments. They are empty where not even that can be read.
func Identity(data []byte) (name string, environments []string) {
	var s Service
	strictyaml.Parse(File, data, &s)
	return s.Name, slices.Sorted(maps.Keys(s.Environments))
}

// Parse reads idp.yaml from data, without the files beside it. File is how messages name it.
func Parse(file string, data []byte, opts ...Option) (*Service, error) {
	return parse(file, data, nil, nil, opts)
}

func parse(file string, data []byte, facts []fact, problems []strictyaml.Problem, opts []Option) (*Service, error) {
	l := &loader{Service: &Service{}, facts: facts}
	for _, opt := range opts {
		opt(l)
	}
	l.doc = strictyaml.Parse(file, data, l.Service, strictyaml.Next(Docs+" says what each key means."),
		strictyaml.Supplied(supplied(facts)...))
	for _, p := range problems {
		l.doc.Elsewhere(p)
	}
	l.adopt()
	l.validate()
	if err := l.doc.Err(); err != nil {
		return nil, err
	}
	l.fill()
	return l.Service, nil
}

// fill sets the defaults, once all that the file says is known to be good.
func (l *loader) fill() {
	s := l.Service
	setDefault(&s.Port, 8080)
	setDefault(&s.Health, "/healthz")
	setDefault(&s.Version, "/version")
	setDefault(&s.Main, ".")
	setDefault(&s.Size, "small")
	said := s.Scale
	s.Scale = said.resolve()
	for name, env := range s.Environments {
		if env.Scale != nil {
			scale := env.Scale.over(said).resolve()
			env.Scale = &scale
			s.Environments[name] = env
		}
	}
	deploy := s.Deploy
	s.Deploy = deploy.resolve()
	for name, env := range s.Environments {
		if env.Deploy != nil {
			resolved := env.Deploy.over(deploy).resolve()
			env.Deploy = &resolved
			s.Environments[name] = env
		}
	}
	if len(s.Smoke) == 0 {
		s.Smoke = []Check{{Get: s.Health}}
	}
	for i := range s.Smoke {
		setDefault(&s.Smoke[i].Expect.Status, 200)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// over fills what this scale does not say from another.
func (s Scale) over(base Scale) Scale {
	setDefault(&s.Min, base.Min)
	setDefault(&s.Max, base.Max)
	setDefault(&s.CPU, base.CPU)
	return s
}

// resolve sets the defaults; max follows min.
func (s Scale) resolve() Scale {
	setDefault(&s.Min, 1)
	setDefault(&s.Max, s.Min)
	setDefault(&s.CPU, 70)
	return s
}

// Strategies of a deploy.
const (
	Rolling   = "rolling"
	Canary    = "canary"
	BlueGreen = "blue-green"
)

// over fills what this does not say from another. A source of manifests takes the place of any other.
func (d Deploy) over(base Deploy) Deploy {
	if len(d.sources()) == 0 {
		d.Manifests, d.Kustomize, d.Helm = base.Manifests, base.Kustomize, base.Helm
	}
	setDefault(&d.Strategy, base.Strategy)
	if d.Steps == nil {
		d.Steps = base.Steps
	}
	return d
}

// resolve sets the defaults; only a canary has steps.
func (d Deploy) resolve() Deploy {
	setDefault(&d.Strategy, Rolling)
	switch {
	case d.Strategy != Canary:
		d.Steps = nil
	case len(d.Steps) == 0:
		d.Steps = []int{10, 50}
	}
	return d
}

// sources are the keys that say where manifests come from.
func (d Deploy) sources() (keys []string) {
	for _, s := range []struct {
		key string
		set bool
	}{{"manifests", d.Manifests != ""}, {"kustomize", d.Kustomize != ""}, {"helm", d.Helm != nil}} {
		if s.set {
			keys = append(keys, s.key)
		}
	}
	return keys
}
