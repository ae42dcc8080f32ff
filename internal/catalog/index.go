package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// index is index.json. The entries of other services, and keys that this version does not know, pass through as they are.
type index struct {
	top      map[string]json.RawMessage
	services map[string]json.RawMessage
}

func parseIndex(data []byte) (*index, error) {
	x := &index{top: map[string]json.RawMessage{}, services: map[string]json.RawMessage{}}
	if data == nil {
		return x, nil
	}
	if err := json.Unmarshal(data, &x.top); err != nil {
		return nil, err
	}
	var schema string
	if err := json.Unmarshal(x.top["schema"], &schema); err != nil || schema != catalogfile.IndexSchema {
		return nil, fmt.Errorf("it has schema %q, this program reads %q", schema, catalogfile.IndexSchema)
	}
	if err := json.Unmarshal(x.top["services"], &x.services); err != nil || x.services == nil {
		return nil, fmt.Errorf("its services are not an object")
	}
	return x, nil
}

// entry is what the index says of a service; false where it does not have it.
func (x *index) entry(name string) (e catalogfile.Service, found bool, err error) {
	raw, found := x.services[name]
	if found {
		if err := json.Unmarshal(raw, &e); err != nil {
			return e, found, fmt.Errorf("services.%s: %w", name, err)
		}
	}
	return e, found, nil
}

// rival refuses a second service of the same name, whose deliveries would mix with those of the first: from another repository,
// or from another folder of the same one, unless the service was moved from there. Names of repositories without an owner are
// only those of folders, so they prove nothing.
func rival(ctx context.Context, e catalogfile.Service, in Inputs) error {
	name, source := in.Service.Name, in.Record.Source
	switch {
	case !strings.Contains(e.Repository, "/") || !strings.Contains(source.Repository, "/"):
		return nil
	case !strings.EqualFold(e.Repository, source.Repository): // a host takes both cases for the same repository
		return fault.BadInputf("the catalogue has a service %s already, from %s", name, e.Repository).
			WithNext("Give this one another name in idp.yaml.",
				fmt.Sprintf("If the repository has moved to %s, change repository in the catalogue's %s and %s, as far as they are there.",
					source.Repository, indexFile, catalogfile.StateFile(name)))
	case e.Path == source.Path || in.Named == nil:
		return nil
	}
	other, err := in.Named(ctx, e.Path)
	if err != nil || other != name {
		return err
	}
	file := path.Join(e.Path, service.File)
	return fault.BadInputf("the catalogue has a service %s already, from %s of this repository", name, file).
		WithNext("Give one of them another name in idp.yaml.", "If the service has moved here, take "+file+" away.")
}

// facts are what the index says of a service: all that does not change with a delivery.
func facts(in Inputs) catalogfile.Service {
	s, source := in.Service, in.Record.Source
	return catalogfile.Service{Name: s.Name, Owner: s.Owner, Tier: s.Tier, System: s.System, Repository: source.Repository,
		Path: source.Path, Entity: "catalog/" + s.Name + ".yaml"}
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// list gives the index with these facts of a service, and whether it differs.
func (x *index) list(s catalogfile.Service) ([]byte, bool, error) {
	before, err := x.encode()
	if err != nil {
		return nil, false, err
	}
	if x.services[s.Name], err = json.Marshal(s); err != nil {
		return nil, false, err
	}
	after, err := x.encode()
	return after, !bytes.Equal(before, after), err
}

func (x *index) encode() ([]byte, error) {
	services, err := json.Marshal(x.services)
	if err != nil {
		return nil, err
	}
	schema, err := json.Marshal(catalogfile.IndexSchema)
	if err != nil {
		return nil, err
	}
	x.top["schema"], x.top["services"] = schema, services
	return indented(x.top)
}

// index is the environment's entry, from the log alone.
func (h history) index() catalogfile.Environment {
	var runs catalogfile.Environment
	for _, l := range h.lines {
		run := catalogfile.Run{Delivery: l.Delivery, ID: l.ID, Time: l.Time, Commit: l.Commit, Digest: l.Digest, Outcome: l.Outcome}
		runs.Latest = run
		if l.Outcome == record.Passed {
			runs.Passed = &run
		}
	}
	return runs
}
