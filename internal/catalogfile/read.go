package catalogfile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

// maxLine bounds one line of a log: 200 commits are 20 kB.
const maxLine = 1 << 20

var month = regexp.MustCompile(`^\d{4}-\d\d\.jsonl$`)

// IsLog tells whether a file in the folder of an environment is one of its logs.
func IsLog(base string) bool { return month.MatchString(base) }

// ParseLine reads one line of a log. Of what takes a million of them, reading JSON is most; this library, which is to be the
// standard one, takes less than half of the time.
func ParseLine(text []byte) (Line, error) {
	var l Line
	if err := jsonv2.Unmarshal(text, &l); err != nil {
		return l, err
	}
	if l.Schema != LineSchema {
		return l, fmt.Errorf("it has schema %q, this program reads %q", l.Schema, LineSchema)
	}
	return l, nil
}

// Lines calls each with the lines of a log, oldest first. Empty ones are left out; one that cannot be read ends it, and the
// error says which.
func Lines(r io.Reader, each func(*Line) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		text := bytes.TrimSpace(s.Bytes())
		if len(text) == 0 {
			continue
		}
		l, err := ParseLine(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := each(&l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

// Environments are those that the log has a folder of, sorted.
func Environments(catalogue fs.FS) ([]string, error) {
	folders, err := fs.Glob(catalogue, DeliveriesIn+"/*/*")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, folder := range folders {
		if name := path.Base(folder); name != StateName {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Deliveries calls each with every delivery in a catalogue. Their owners are in the form of [Owner]. Those of one service to one environment
// come in the log's order; different ones in any order, and never two at the same time. A log that cannot be read whole, or that has a delivery twice, is
// an error: what is counted from it would be wrong.
func Deliveries(ctx context.Context, catalogue fs.FS, each func(*Line) error) error {
	folders, err := fs.Glob(catalogue, DeliveriesIn+"/*/*")
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	locked := func(l *Line) error {
		mu.Lock()
		defer mu.Unlock()
		return each(l)
	}
	for _, folder := range folders {
		if path.Base(folder) == StateName {
			continue
		}
		g.Go(func() error { return deliveriesOf(ctx, catalogue, folder, locked) })
	}
	return g.Wait()
}

// deliveriesOf reads the months of one service in one environment; ReadDir sorts them.
func deliveriesOf(ctx context.Context, catalogue fs.FS, folder string, each func(*Line) error) error {
	entries, err := fs.ReadDir(catalogue, folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !IsLog(e.Name()) {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := readLog(catalogue, path.Join(folder, e.Name()), each); err != nil {
			return err
		}
	}
	return nil
}

func readLog(catalogue fs.FS, name string, each func(*Line) error) (err error) {
	f, err := catalogue.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	service, environment := path.Base(path.Dir(path.Dir(name))), path.Base(path.Dir(name))
	before := 0
	err = Lines(f, func(l *Line) error {
		if l.Service != service || l.Environment != environment {
			return fmt.Errorf("it has a delivery of %q to %q", l.Service, l.Environment)
		}
		if l.Delivery <= before { // as a merge of two histories leaves it: it would count twice
			return fmt.Errorf("delivery %d stands after delivery %d: it is there twice, or not in its order, as deliveries write it", l.Delivery, before)
		}
		before, l.Owner = l.Delivery, Owner(l.Owner)
		return each(l)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ReadIndex reads index.json, and the state of each service in it, where there is one: the index of an old catalogue has
// the deliveries itself. Owners are in the form of [Owner], however they are written.
func ReadIndex(catalogue fs.FS) (*Index, error) {
	data, err := fs.ReadFile(catalogue, IndexFile)
	if err != nil {
		return nil, err
	}
	var x Index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("%s: %w", IndexFile, err)
	}
	if x.Schema != IndexSchema || x.Services == nil {
		return nil, fmt.Errorf("%s: it has schema %q, this program reads %q", IndexFile, x.Schema, IndexSchema)
	}
	if err := x.readStates(catalogue); err != nil {
		return nil, err
	}
	for name, s := range x.Services {
		s.Owner = Owner(s.Owner)
		x.Services[name] = s
	}
	return &x, nil
}

// readStates reads what changes with a delivery, which is in a file of its own for each service.
func (x *Index) readStates(catalogue fs.FS) error {
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	for _, name := range slices.Collect(maps.Keys(x.Services)) {
		g.Go(func() error {
			s, err := readState(catalogue, name)
			if s == nil || err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			listed, known := x.Services[name], *s
			listed.Environments, known.Environments = nil, nil
			if !reflect.DeepEqual(listed, known) {
				x.Differing = append(x.Differing, name)
			}
			x.Services[name] = *s
			return nil
		})
	}
	err := g.Wait()
	slices.Sort(x.Differing)
	return err
}

// serviceName is what a service that deliveries register may be called. Others are in an index that people wrote.
var serviceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// readState is nil where the service has no such file.
func readState(catalogue fs.FS, name string) (*Service, error) {
	if !serviceName.MatchString(name) {
		return nil, nil
	}
	text, err := fs.ReadFile(catalogue, StateFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := ParseState(text, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", StateFile(name), err)
	}
	return &s.Service, nil
}
