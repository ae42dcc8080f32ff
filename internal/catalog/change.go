package catalog

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/record"
)

const (
	indexFile  = catalogfile.IndexFile
	readmeFile = "README.md"
)

// change is what has to be written over one state of the catalogue; nothing when that is up to date.
type change struct {
	files    map[string][]byte
	what     []string // for people
	message  string
	delivery int
	ours     bool // the log holds the very line of this run already
}

// derive compares the catalogue at tip with what it has to be.
func derive(ctx context.Context, tip *gitstore.Tip, in Inputs, entry catalogfile.Line) (change, error) {
	c := change{files: map[string][]byte{}}
	entity := "catalog/" + in.Service.Name + ".yaml"
	folder := "deliveries/" + in.Service.Name + "/" + entry.Environment + "/"
	old, err := tip.Read(ctx, entity, catalogfile.StateFile(in.Service.Name), folder)
	if err != nil {
		return c, err
	}
	before, err := c.register(ctx, tip, in, old)
	if err != nil {
		return c, err
	}
	text, fields, err := editEntity(old[entity], componentOf(in))
	if err != nil {
		return c, unreadable(entity, err)
	}
	if len(fields) > 0 {
		if old[entity] == nil {
			fields = []string{"new"}
		}
		c.put(entity, text, entity+" ("+strings.Join(fields, ", ")+")")
	}
	past, err := c.log(old, folder, entry)
	if err != nil {
		return c, err
	}
	after := facts(in)
	after.Environments = maps.Clone(before.Environments)
	if len(past.lines) > 0 {
		if after.Environments == nil {
			after.Environments = map[string]catalogfile.Environment{}
		}
		after.Environments[entry.Environment] = past.index()
	}
	file := catalogfile.StateFile(in.Service.Name)
	now, err := state(after)
	if err != nil {
		return c, err
	}
	if !bytes.Equal(now, old[file]) {
		c.put(file, now, file)
	}
	c.message = message(in, entry, c.delivery)
	return c, nil
}

// register brings the index in line with the facts of the service, and gives what the catalogue said of it before. The index,
// which grows with the catalogue, is read only when the service is new there, or is not what it was.
func (c *change) register(ctx context.Context, tip *gitstore.Tip, in Inputs, old map[string][]byte) (catalogfile.Service, error) {
	var before catalogfile.Service
	file := catalogfile.StateFile(in.Service.Name)
	if text, ok := old[file]; ok {
		var err error
		if before, err = catalogfile.ParseState(text, in.Service.Name); err != nil {
			return before, unreadable(file, err)
		}
		if err := rival(before, in.Record); err != nil {
			return before, err
		}
		known := before
		known.Environments = nil
		if reflect.DeepEqual(known, facts(in)) {
			return before, nil
		}
	}
	more, err := tip.Read(ctx, indexFile, readmeFile)
	if err != nil {
		return before, err
	}
	idx, err := parseIndex(more[indexFile])
	if err != nil {
		return before, unreadable(indexFile, err)
	}
	listed, found, err := idx.entry(in.Service.Name)
	if err != nil {
		return before, unreadable(indexFile, err)
	}
	if err := rival(listed, in.Record); err != nil {
		return before, err
	}
	if _, ok := old[file]; !ok && found { // as catalogues were before there were states
		before = listed
	}
	text, changed, err := idx.list(facts(in))
	if err != nil {
		return before, unreadable(indexFile, err)
	}
	if changed {
		c.put(indexFile, text, indexFile)
	}
	if more[readmeFile] == nil && more[indexFile] == nil {
		c.put(readmeFile, []byte(readme), readmeFile)
	}
	return before, nil
}

// log adds the delivery to its log unless it is there, and gives all of it.
func (c *change) log(old map[string][]byte, folder string, entry catalogfile.Line) (history, error) {
	past, err := parseLog(old, folder)
	if err != nil || !loggable(entry) {
		return past, err
	}
	var known bool
	c.delivery, known, c.ours = past.find(entry)
	if !known {
		path := folder + entry.Time.Format("2006-01") + ".jsonl"
		entry.Delivery = c.delivery
		past.lines = append(past.lines, entry)
		c.put(path, appendTo(old[path], entry), fmt.Sprintf("%s (delivery %d)", path, c.delivery))
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

const readme = `# Service catalogue

Written by the delivery of each service; people and portals read it.

* ` + "`catalog/SERVICE.yaml`" + `: the service as a Backstage entity. Edit what you like: a delivery only sets the name,
  the description, owner, system and lifecycle, the label idp/tier, the annotations idp/slo-availability,
  backstage.io/source-location and github.com/project-slug, and the links to runbook and dashboards. All of these come
  from the service's idp.yaml, so change them there.
* ` + "`index.json`" + `: every service with its owner, its repository and its entity.
* ` + "`deliveries/SERVICE/state.json`" + `: the same of one service, and per environment the latest delivery and the latest that passed.
* ` + "`deliveries/SERVICE/ENVIRONMENT/YEAR-MONTH.jsonl`" + `: every delivery, one JSON object a line, oldest first, failed
  ones and rollbacks by hand too.

Point Backstage at it with a location of type url that ends in /catalog/*.yaml.
`
