package catalog

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

const indexFile = catalogfile.IndexFile

// change is what has to be written over one state of the catalogue; nothing when that is up to date.
type change struct {
	files    map[string][]byte // nil takes a file away
	what     []string          // for people
	message  string
	delivery int
	ours     bool // the log holds the very line of this run already
	idx      *index
}

// view is the catalogue as one attempt found it, and what is to be in it.
type view struct {
	tip   *gitstore.Tip
	in    Inputs
	entry catalogfile.Line
	rows  []byte            // what the entry's estimate is made of; nil where that is not known
	old   map[string][]byte // files that belong to the service
}

func (v view) entity() string { return catalogfile.EntitiesIn + "/" + v.in.Service.Name + ".yaml" }

func (v view) state() string { return catalogfile.StateFile(v.in.Service.Name) }

// folder is that of the service's deliveries to the environment.
func (v view) folder() string {
	return catalogfile.DeliveriesIn + "/" + v.in.Service.Name + "/" + v.entry.Environment + "/"
}

// derive compares the catalogue at tip with what it has to be.
func derive(ctx context.Context, tip *gitstore.Tip, in Inputs, entry catalogfile.Line, rows []byte) (change, error) {
	c := change{files: map[string][]byte{}}
	v := view{tip: tip, in: in, entry: entry, rows: rows}
	var err error
	if v.old, err = tip.Read(ctx, v.entity(), v.state(), v.folder()); err != nil {
		return c, err
	}
	before, err := c.register(ctx, v)
	if err != nil {
		return c, err
	}
	after, err := c.entities(ctx, v, before)
	if err != nil {
		return c, err
	}
	past, err := c.log(ctx, v)
	if err != nil {
		return c, err
	}
	after.Environments = maps.Clone(before.Environments)
	if len(past.lines) > 0 {
		if after.Environments == nil {
			after.Environments = map[string]catalogfile.Environment{}
		}
		after.Environments[entry.Environment] = past.index()
	}
	now, err := indented(after)
	if err != nil {
		return c, err
	}
	if !bytes.Equal(now, v.old[v.state()]) {
		c.put(v.state(), now, v.state())
	}
	if len(c.files) > 0 { // not a reason of its own for a commit
		if err := c.explain(ctx, v); err != nil {
			return c, err
		}
	}
	c.message = message(in, entry, c.delivery)
	return c, nil
}

// entities brings those of the service in line, and gives its new state, without deliveries.
func (c *change) entities(ctx context.Context, v view, before catalogfile.State) (catalogfile.State, error) {
	after := catalogfile.State{Schema: catalogfile.StateSchema, Service: facts(v.in)}
	s, err := c.settle(ctx, v, before)
	if err != nil {
		return after, err
	}
	var old catalogfile.Derived
	if before.Derived != nil {
		old = *before.Derived
	}
	component := componentOf(v.in)
	component.SystemBefore = before.System
	for i := range s.things {
		s.things[i].SystemBefore = before.System
	}
	component.Names = []entityfile.List{
		{Key: "providesApis", Kind: "api", Now: s.derived.Provides, Before: old.Provides},
		{Key: "consumesApis", Kind: "api", Now: s.derived.Consumes, Before: old.Consumes},
		{Key: "dependsOn", Now: s.derived.DependsOn, Before: old.DependsOn},
	}
	text, fields, err := entityfile.Edit(v.old[v.entity()], component, s.things, s.gone)
	if err != nil {
		return after, unreadable(v.entity(), err)
	}
	if len(fields) > 0 {
		if v.old[v.entity()] == nil {
			fields = []string{"new"}
		}
		c.put(v.entity(), text, v.entity()+" ("+strings.Join(fields, ", ")+")")
	}
	if err := c.definitions(ctx, v, s, old.Definitions); err != nil {
		return after, err
	}
	if !reflect.DeepEqual(s.derived, catalogfile.Derived{}) {
		after.Derived = &s.derived
	}
	return after, nil
}

// definitions writes those of APIs that are not what they were, and takes away what is no longer provided. Their folder is
// fetched only then.
func (c *change) definitions(ctx context.Context, v view, s settled, before map[string]string) error {
	now := s.derived.Definitions
	if maps.Equal(now, before) {
		return nil
	}
	files := slices.Sorted(maps.Keys(now))
	for _, file := range slices.Sorted(maps.Keys(before)) {
		if _, ok := now[file]; !ok && strings.HasPrefix(file, catalogfile.APIsIn+"/"+v.in.Service.Name+"/") {
			files = append(files, file)
		}
	}
	old, err := v.tip.Read(ctx, files...)
	if err != nil {
		return err
	}
	texts := map[string][]byte{}
	for _, t := range s.things {
		texts[t.File] = t.Text
	}
	for _, file := range files {
		text, wanted := texts[file]
		switch _, there := old[file]; {
		case wanted && !bytes.Equal(text, old[file]):
			c.put(file, text, file)
		case !wanted && there:
			c.put(file, nil, file+" (gone)")
		}
	}
	return nil
}

// register brings the index in line with the facts of the service, and gives what the catalogue said of it before. The index,
// which grows with the catalogue, is read only when the service is new there, or is not what it was.
func (c *change) register(ctx context.Context, v view) (catalogfile.State, error) {
	var before catalogfile.State
	text, stated := v.old[v.state()]
	if stated {
		var err error
		if before, err = catalogfile.ParseState(text, v.in.Service.Name); err != nil {
			return before, unreadable(v.state(), err)
		}
		if err := rival(ctx, before.Service, v.in); err != nil {
			return before, err
		}
		known := before.Service
		known.Environments = nil
		if reflect.DeepEqual(known, facts(v.in)) {
			return before, nil
		}
	}
	idx, err := c.index(ctx, v)
	if err != nil {
		return before, err
	}
	listed, found, err := idx.entry(v.in.Service.Name)
	if err != nil {
		return before, unreadable(indexFile, err)
	}
	if err := rival(ctx, listed, v.in); err != nil {
		return before, err
	}
	if !stated && found { // as catalogues were before there were states
		before.Service = listed
	}
	now, changed, err := idx.list(facts(v.in))
	if err != nil {
		return before, unreadable(indexFile, err)
	}
	if changed {
		c.put(indexFile, now, indexFile)
	}
	return before, nil
}

// index reads index.json, once in an attempt.
func (c *change) index(ctx context.Context, v view) (*index, error) {
	if c.idx != nil {
		return c.idx, nil
	}
	more, err := v.tip.Read(ctx, indexFile, service.File)
	if err != nil {
		return nil, err
	}
	if _, code := more[service.File]; more[indexFile] == nil && v.tip.Commit != "" && (code || sameRepository(v.in)) {
		return nil, fault.BadInputf("the branch %s of %s is no catalogue: it has something else", v.in.Branch, v.in.shown()).
			WithNext("Name a branch for the catalogue alone, which need not be there yet: --catalog-branch catalogue.")
	}
	if c.idx, err = parseIndex(more[indexFile]); err != nil {
		return nil, unreadable(indexFile, err)
	}
	return c.idx, nil
}

// log adds the delivery to its log unless it is there, and gives all of it.
func (c *change) log(ctx context.Context, v view) (history, error) {
	entry := v.entry
	past, err := parseLog(v.old, v.folder())
	if err != nil || !loggable(entry) {
		return past, err
	}
	var known bool
	c.delivery, known, c.ours = past.find(entry)
	if !known {
		if err := c.costs(ctx, v, past.lines); err != nil {
			return past, err
		}
		path := v.folder() + entry.Time.Format("2006-01") + ".jsonl"
		entry.Delivery = c.delivery
		past.lines = append(past.lines, entry)
		c.put(path, appendTo(v.old[path], entry), fmt.Sprintf("%s (delivery %d)", path, c.delivery))
	}
	return past, nil
}

func (c *change) put(path string, data []byte, what string) {
	c.files[path] = data
	c.what = append(c.what, what)
}

func message(in Inputs, entry catalogfile.Line, delivery int) string {
	if delivery == 0 {
		return in.Service.Name + ": register\n"
	}
	text := fmt.Sprintf("%s: delivery %d to %s %s\n\nDelivery: %s\nCommit: %s\n", in.Service.Name, delivery,
		entry.Environment, entry.Outcome, entry.ID, entry.Commit)
	if entry.Run != nil && entry.Run.URL != "" {
		text += "Run: " + entry.Run.URL + "\n"
	}
	return text
}

// unreadable is a file of the catalogue that is not what it has to be. It is never written over: a person has put
// something there, or it is damaged and its history is worth more than our line.
func unreadable(path string, err error) error {
	return fault.BadInputf("%s in the catalogue is not what it has to be: %w", path, err).
		WithNext("Repair it in the catalogue, or restore it from the catalogue's history; it was not written over.")
}

// loggable tells whether there is a delivery: one that deployed or went back, or one that did not come so far because something
// failed. A record without a deploy that only passed its checks is neither.
func loggable(l catalogfile.Line) bool {
	if l.Outcome != record.Passed {
		return true
	}
	return slices.ContainsFunc(l.Stages, func(s catalogfile.Stage) bool {
		return (s.Name == record.StageDeploy || s.Name == record.StageRollback) && s.Outcome == record.Passed
	})
}
