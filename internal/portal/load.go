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
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/spend"
)

// Of one service in one environment, so that a catalogue of a million deliveries fits into memory.
const (
	maxShown  = 12  // deliveries in its table
	maxPoints = 300 // deliveries in its timeline
)

// maxEntity is the size of an entity's file in bytes; Backstage itself takes no larger ones.
const maxEntity = 1 << 20

// load reads a catalogue whole.
func load(ctx context.Context, catalogue fs.FS, environment string, made time.Time, charges []spend.Charge) (*site, error) {
	index, err := catalogfile.ReadIndex(catalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.BadInputf("there is no catalogue: %w", err).WithNext("Name the folder of a checkout with --catalog; a bare repository is to be cloned first.")
	}
	if err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	s := &site{made: made, byName: map[string]*entry{}}
	for _, name := range slices.Sorted(maps.Keys(index.Services)) {
		x := &entry{Service: index.Services[name], targets: map[string]*target{}}
		x.Name = name
		if x.about, err = readEntity(catalogue, x.Entity, name); err != nil {
			return nil, fault.Undeterminedf("the catalogue cannot be read: %s: %w", x.Entity, err).WithNext("Mend it: idp catalog-check says what else is wrong.")
		}
		for environment, runs := range x.Environments {
			x.targets[environment] = &target{name: environment, index: runs}
		}
		s.services, s.byName[name] = append(s.services, x), x
	}
	if err := catalogfile.Deliveries(ctx, catalogue, s.delivery); err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	if s.figures, err = readFigures(ctx, catalogue, environment, made, charges); err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	s.finish()
	return s, nil
}

// delivery takes in one line of the log. Services that are no longer in the index are not shown.
func (s *site) delivery(l *catalogfile.Line) error {
	x, ok := s.byName[l.Service]
	if !ok {
		return nil
	}
	t, ok := x.targets[l.Environment]
	if !ok {
		t = &target{name: l.Environment}
		x.targets[l.Environment] = t
	}
	t.add(l, s.made)
	return nil
}

func (t *target) add(l *catalogfile.Line, made time.Time) {
	if l.Brings != nil { // the commits themselves are many, and not shown
		brings := *l.Brings
		brings.More += len(brings.Commits)
		brings.Commits = nil
		l.Brings = &brings
	}
	t.lines = append(t.lines, l)
	if len(t.lines) > 2*maxShown {
		t.lines = slices.Clone(t.lines[len(t.lines)-maxShown:])
	}
	t.latest = l
	if live(l) {
		t.passed = l
	}
	if made.Sub(l.Time) <= timelineWindow {
		t.points = append(t.points, point{l.Time, l.Delivery, l.Outcome})
		if len(t.points) > maxPoints {
			t.points = t.points[1:]
		}
	}
}

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
		Description string
		Annotations map[string]string
		Links       []struct{ URL, Title, Type string }
	}
	Spec struct{ Lifecycle string }
}

// readEntity finds the component in its file. A service without a file has nothing to say; a file that cannot be read is an
// error.
func readEntity(catalogue fs.FS, file, name string) (about, error) {
	var none about
	if file == "" {
		return none, nil
	}
	f, err := catalogue.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxEntity+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return none, err
	}
	if len(data) > maxEntity {
		return none, fmt.Errorf("it is larger than %d bytes", maxEntity)
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var e entity
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return none, nil
		} else if err != nil {
			return none, err
		}
		if e.Kind == "Component" && e.Metadata.Name == name && (e.Metadata.Namespace == "" || e.Metadata.Namespace == "default") {
			return e.about(), nil
		}
	}
}

func (e *entity) about() about {
	m := e.Metadata
	a := about{description: m.Description, lifecycle: e.Spec.Lifecycle, slo: m.Annotations["idp/slo-availability"]}
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
