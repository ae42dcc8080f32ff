package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
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

func (x *index) entry(name string) (catalogfile.Service, error) {
	e := catalogfile.Service{}
	if raw, ok := x.services[name]; ok {
		if err := json.Unmarshal(raw, &e); err != nil {
			return e, fmt.Errorf("services.%s: %w", name, err)
		}
	}
	if e.Environments == nil {
		e.Environments = map[string]catalogfile.Environment{}
	}
	return e, nil
}

// rival refuses a second service of the same name, whose deliveries would mix with those of the first. Names of
// repositories without an owner are only those of folders, so they prove nothing.
func (x *index) rival(rec *record.Record) error {
	e, err := x.entry(rec.Service.Name)
	if err != nil {
		return unreadable(indexFile, err)
	}
	if !strings.Contains(e.Repository, "/") || !strings.Contains(rec.Source.Repository, "/") || e.Repository == rec.Source.Repository {
		return nil
	}
	return fault.BadInputf("the catalogue has a service %s already, from %s", rec.Service.Name, e.Repository).
		WithNext("Give this one another name in idp.yaml.",
			fmt.Sprintf("If the repository has moved to %s, change services.%s.repository in the catalogue's index.json.", rec.Source.Repository, rec.Service.Name))
}

// update gives the index in line with the service and the log, and whether it differs.
func (x *index) update(in Inputs, past history) ([]byte, bool, error) {
	s := in.Service
	e, err := x.entry(s.Name)
	if err != nil {
		return nil, false, err
	}
	e.Name, e.Owner, e.Tier, e.System = s.Name, s.Owner, s.Tier, s.System
	e.Repository, e.Path, e.Entity = in.Record.Source.Repository, in.Record.Source.Path, "catalog/"+s.Name+".yaml"
	if len(past.lines) > 0 {
		e.Environments[in.Record.Environment] = past.index()
	}
	before, err := x.encode()
	if err != nil {
		return nil, false, err
	}
	if x.services[s.Name], err = json.Marshal(e); err != nil {
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
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	err = enc.Encode(x.top)
	return b.Bytes(), err
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
