package catalog

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/catalogfile"
)

// settled is what a delivery does about the entities that go with a component.
type settled struct {
	things  []entityfile.Thing  // to set in the service's own file
	gone    []string            // to take away there
	derived catalogfile.Derived // what the state says from now on
}

// settle decides which entities are to be written. What another file has is never written a second time, and what others may
// need is not taken away. All of the catalogue is looked at only when what the service stands for is not what it was.
func (c *change) settle(ctx context.Context, v view, before catalogfile.State) (settled, error) {
	d := derivedOf(v.in)
	var old catalogfile.Derived
	if before.Derived != nil {
		old = *before.Derived
	}
	s := settled{derived: catalogfile.Derived{Provides: d.provides, Consumes: d.consumes, DependsOn: d.dependsOn}}
	have, err := v.own()
	if err != nil {
		return s, err
	}
	refs := d.Refs()
	known := slices.Sorted(slices.Values(slices.Concat(old.Entities, old.Others)))
	lost := slices.ContainsFunc(old.Entities, func(ref string) bool { return !have[ref] })
	if slices.Equal(refs, known) && !lost && before.Owner == v.in.Service.Owner {
		s.derived.Entities, s.derived.Others = old.Entities, old.Others
		s.things = slices.DeleteFunc(d.things, func(t entityfile.Thing) bool { return !slices.Contains(old.Entities, t.Ref) })
		s.derived.Definitions = digests(s.things)
		return s, nil
	}
	dropped := slices.DeleteFunc(slices.Clone(old.Entities), func(ref string) bool { return slices.Contains(refs, ref) })
	found, err := v.scan(ctx, slices.Concat(refs, dropped))
	if err != nil {
		return s, err
	}
	s.gone = slices.DeleteFunc(dropped, func(ref string) bool { return found.named[ref] || found.unclear[ref] })
	s.things = slices.DeleteFunc(d.things, func(t entityfile.Thing) bool { return found.in[t.Ref] != "" || found.unclear[t.Ref] })
	s.derived.Definitions = digests(s.things)
	for _, t := range s.things {
		s.derived.Entities = append(s.derived.Entities, t.Ref)
	}
	for _, ref := range refs {
		// What is not clear is not remembered, and so is asked again at the next delivery.
		if !found.unclear[ref] && !slices.Contains(s.derived.Entities, ref) {
			s.derived.Others = append(s.derived.Others, ref)
		}
	}
	for ref := range have {
		if found.in[ref] == "" {
			found.in[ref] = v.entity()
		}
	}
	if err := c.group(d.group, found); err != nil {
		return s, err
	}
	return s, c.system(ctx, v, d.system, found, before.Owner)
}

// own are the references of the entities in the service's own file.
func (v view) own() (map[string]bool, error) {
	docs, err := entityfile.Documents(v.old[v.entity()])
	if err != nil {
		return nil, unreadable(v.entity(), err)
	}
	have := map[string]bool{}
	for _, doc := range docs {
		h, err := entityfile.HeadOf(doc.Content[0])
		if err != nil {
			return nil, unreadable(v.entity(), err)
		}
		have[h.Ref()] = true
	}
	return have, nil
}

// group writes the team that owns the service when no file has it.
func (c *change) group(name string, found seen) error {
	ref := "group:default/" + strings.ToLower(name)
	file := sharedFile(catalogfile.GroupsIn, name)
	if name == "" || found.in[ref] != "" || found.unclear[ref] || found.there[file] { // a person's, with something else in it
		return nil
	}
	text, err := groupText(name)
	c.put(file, text, file+" (new)")
	return err
}

// system writes the system that the service is part of when no file has it, and hands it to the new owner of its services when
// it is as a delivery wrote it. A system needs an owner, and only where all its services have one and the same is that known.
func (c *change) system(ctx context.Context, v view, name string, found seen, ownerBefore string) error {
	ref, file := "system:default/"+strings.ToLower(name), sharedFile(catalogfile.SystemsIn, name)
	owner := v.in.Service.Owner
	if name == "" || found.unclear[ref] || found.in[ref] != "" && (found.in[ref] != file || ownerBefore == owner || ownerBefore == "") {
		return nil
	}
	idx, err := c.index(ctx, v)
	if err != nil {
		return err
	}
	one, err := idx.allOwnedBy(ref, owner, v.in.Service.Name)
	if err != nil || !one {
		return err
	}
	text, err := systemText(name, owner)
	if err != nil {
		return err
	}
	if found.in[ref] == "" {
		if !found.there[file] {
			c.put(file, text, file+" (new)")
		}
		return nil
	}
	untouched, err := systemText(name, ownerBefore)
	if err == nil && bytes.Equal(untouched, found.text[ref]) {
		c.put(file, text, file+" (owner)")
	}
	return err
}

func sharedFile(folder, name string) string { return folder + "/" + strings.ToLower(name) + ".yaml" }

// allOwnedBy tells whether every other service of a system has that owner.
func (x *index) allOwnedBy(system, owner, except string) (bool, error) {
	want, _ := catalogfile.Ref(owner, "group", "default")
	for name := range x.services {
		s, _, err := x.entry(name)
		if err != nil {
			return false, unreadable(indexFile, err)
		}
		of, _ := catalogfile.Ref(s.System, "system", "default")
		if got, _ := catalogfile.Ref(s.Owner, "group", "default"); name != except && of == system && got != want {
			return false, nil
		}
	}
	return true, nil
}
