package catalogcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
)

// references holds what each entity names against what is there.
func (c *check) references() {
	there := make(map[string]bool, len(c.entities))
	for i := range c.entities {
		there[c.entities[i].ref] = true
	}
	for i := range c.entities {
		e := &c.entities[i]
		if slices.Contains(relations[e.kind], owner) && e.owner == "" {
			c.found(Owner, e.file, e.line, "%s has no owner", e.ref)
		}
		c.definition(e)
		for _, n := range e.names {
			switch {
			case n.rule == Owner && n.text == "": // said above
			case n.ref == "":
				c.found(n.rule, e.file, n.line, "%s %q is not a reference; write KIND:NAMESPACE/NAME", n.field, n.text)
			case !there[n.ref] && !catalogfile.Matches(c.in.Elsewhere, n.ref):
				c.found(n.rule, e.file, n.line, "%s names %s, which the catalogue does not have%s", n.field, n.ref, missed(n.ref))
			}
		}
	}
}

// missed says what to do about who is not there, where that is not plain: deliveries write teams of services, and never a person.
func missed(ref string) string {
	if strings.HasPrefix(ref, "user:") {
		return "; write a User for it below " + catalogfile.EntitiesIn + "/, or say with elsewhere user:* where people come from another catalogue"
	}
	return ""
}

// definition looks for the file that an API's definition is in.
func (c *check) definition(e *entity) {
	file := e.definition.text
	if file == "" {
		return
	}
	switch info, err := fs.Stat(c.in.Files, file); {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid):
		c.found(Reference, e.file, e.definition.line, "the definition is %s, which the catalogue does not have", file)
	case err != nil:
		c.findings = append(c.findings, unreadable(file, err))
	case !info.Mode().IsRegular():
		c.found(Unreadable, file, 0, "it is not a plain file")
	}
}

// twice finds what is there more than once: an entity, or a service under two names.
func (c *check) twice() {
	first := make(map[string]*entity, len(c.entities))
	for i := range c.entities {
		e := &c.entities[i]
		if other := first[e.ref]; other != nil {
			c.found(Duplicate, e.file, e.line, "%s is in %s:%d already", e.ref, other.file, other.line)
			continue
		}
		first[e.ref] = e
	}
	place := map[[2]string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.index.Services)) {
		s := c.index.Services[name]
		if !strings.Contains(s.Repository, "/") {
			continue // the name of a folder, which proves nothing
		}
		key := [2]string{strings.ToLower(s.Repository), s.Path} // hosts take both cases for the same repository
		if other, ok := place[key]; ok {
			c.found(Duplicate, s.Entity, 0, "%s is the same folder of %s as %s; where one of them is an old name, take it out", name, s.Repository, other)
			continue
		}
		place[key] = name
	}
}

// services holds each service of the index against its entity and its logs.
func (c *check) services(ctx context.Context) error {
	own := make(map[[2]string]*entity, len(c.entities)) // by file and name
	for i := range c.entities {
		if e := &c.entities[i]; e.kind == "component" {
			own[[2]string{e.file, e.name}] = e
		}
	}
	names := slices.Sorted(maps.Keys(c.index.Services))
	for _, name := range names {
		s := c.index.Services[name]
		file := path.Join(catalogfile.EntitiesIn, name+".yaml")
		e := own[[2]string{file, name}]
		if s.Name != name || s.Entity != file {
			c.found(Index, catalogfile.IndexFile, 0, "%q is listed as service %q of %s", name, s.Name, s.Entity)
		}
		if e == nil {
			c.found(Index, catalogfile.IndexFile, 0, "%s is listed, and %s does not have that component", name, file)
			continue
		}
		c.service(s, e)
	}
	for _, name := range c.index.Differing {
		c.found(Index, catalogfile.IndexFile, 0, "%s has other facts here than in %s, which is believed; make them the same", name, catalogfile.StateFile(name))
	}
	c.unlisted()
	parts, err := each(ctx, names, c.logs)
	for _, p := range parts {
		c.findings = append(c.findings, p.findings...)
	}
	return err
}

// service is about a service whose entity is there.
func (c *check) service(s catalogfile.Service, e *entity) {
	if s.Owner != catalogfile.Owner(e.owner) {
		c.found(Index, e.file, e.line, "its owner is %q here and %q in %s; idp.yaml of the service decides at its next delivery", e.owner, s.Owner, catalogfile.IndexFile)
	}
	if !e.runbook {
		c.found(Runbook, e.file, e.line, "%s has no runbook; add runbook to its idp.yaml", s.Name)
	}
	if !e.slo {
		c.found(SLA, e.file, e.line, "%s has no availability objective; add sla to its idp.yaml", s.Name)
	}
	var last time.Time
	where := ""
	for _, name := range slices.Sorted(maps.Keys(s.Environments)) {
		if t := s.Environments[name].Latest.Time; t.After(last) {
			last, where = t, name
		}
	}
	switch {
	case last.IsZero():
		c.found(Stale, e.file, e.line, "%s was never delivered", s.Name)
	case last.Before(c.oldest):
		c.found(Stale, e.file, e.line, "%s was last delivered on %s, to %s; deliver it, or take it out where it is gone", s.Name, last.UTC().Format(time.DateOnly), where)
	}
}

// unlisted finds what stands where deliveries write and is in no index.
func (c *check) unlisted() {
	for i := range c.entities {
		e := &c.entities[i]
		if _, ok := c.index.Services[e.name]; !ok && e.kind == "component" && e.file == path.Join(catalogfile.EntitiesIn, e.name+".yaml") {
			c.found(Index, e.file, e.line, "%s is not in %s: no delivery registered it", e.name, catalogfile.IndexFile)
		}
	}
	folders, err := fs.ReadDir(c.in.Files, catalogfile.DeliveriesIn)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.findings = append(c.findings, unreadable(catalogfile.DeliveriesIn, err))
	}
	for _, f := range folders {
		if _, ok := c.index.Services[f.Name()]; !ok {
			c.found(Index, path.Join(catalogfile.DeliveriesIn, f.Name()), 0, "%s has deliveries and is not in %s", f.Name(), catalogfile.IndexFile)
		}
	}
}

// logs holds what the index says of a service's deliveries against the last line of each log.
func (c *check) logs(name string) part {
	var p part
	logged := map[string]bool{}
	folder := path.Join(catalogfile.DeliveriesIn, name)
	environments, err := fs.ReadDir(c.in.Files, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return part{findings: []Finding{unreadable(folder, err)}}
	}
	for _, e := range environments {
		if e.Name() == catalogfile.StateName {
			continue
		}
		in := path.Join(folder, e.Name())
		file, line, err := c.lastLine(in)
		switch {
		case err != nil:
			p.findings = append(p.findings, unreadable(file, err))
		case line != nil:
			latest := c.index.Services[name].Environments[e.Name()].Latest
			if latest.ID != line.ID || latest.Delivery != line.Delivery || latest.Outcome != line.Outcome {
				p.findings = append(p.findings, Finding{Rule: Index, File: file, Message: fmt.Sprintf("its last delivery is %d (%s), and %s has %d (%s)",
					line.Delivery, line.Outcome, catalogfile.IndexFile, latest.Delivery, latest.Outcome)})
			}
		}
		logged[e.Name()] = err != nil || line != nil
	}
	for _, e := range slices.Sorted(maps.Keys(c.index.Services[name].Environments)) {
		if !logged[e] {
			p.findings = append(p.findings, Finding{Rule: Index, File: catalogfile.IndexFile,
				Message: fmt.Sprintf("%s has deliveries to %s, and no log has them", name, e)})
		}
	}
	return p
}

// lastLine gives the last delivery in the logs of a folder, and the file that it is in; nil where there is none.
func (c *check) lastLine(folder string) (string, *catalogfile.Line, error) {
	entries, err := fs.ReadDir(c.in.Files, folder)
	if err != nil {
		return folder, nil, err
	}
	for _, e := range slices.Backward(entries) {
		if !catalogfile.IsLog(e.Name()) {
			continue
		}
		file := path.Join(folder, e.Name())
		data, err := c.tail(file, longestLine)
		if err != nil {
			return file, nil, err
		}
		data = bytes.TrimSpace(data)
		if len(data) == 0 {
			continue
		}
		line, err := catalogfile.ParseLine(data[bytes.LastIndexByte(data, '\n')+1:])
		if err != nil {
			return file, nil, fmt.Errorf("its last line: %w", err)
		}
		return file, &line, nil
	}
	return folder, nil, nil
}
