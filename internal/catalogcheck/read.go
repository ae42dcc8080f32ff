package catalogcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/idp/internal/catalogfile"
)

// The most that is read of one file, in bytes.
const (
	largest     = 1 << 20 // of entities
	longestLine = 1 << 20 // at the end of a log
)

// check is one run.
type check struct {
	in       Inputs
	index    *catalogfile.Index
	oldest   time.Time // a delivery before is stale
	entities []entity
	findings []Finding
}

func (c *check) found(rule Rule, file string, line int, format string, args ...any) {
	c.findings = append(c.findings, Finding{Rule: rule, File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// part is what was read of one file or folder, so that many are read at once and each finding still has its place.
type part struct {
	entities []entity
	findings []Finding
}

// read reads every file of entities.
func (c *check) read(ctx context.Context) error {
	files, err := c.list()
	if err != nil {
		return err
	}
	parts, err := each(ctx, files, func(file string) part {
		entities, err := c.load(file)
		if err != nil {
			return part{findings: []Finding{unreadable(file, err)}}
		}
		return part{entities: entities}
	})
	for _, p := range parts {
		c.entities = append(c.entities, p.entities...)
		c.findings = append(c.findings, p.findings...)
	}
	return err
}

// each does the work on every name, as many at a time as there are processors, and gives what it came to in their order.
func each(ctx context.Context, names []string, work func(string) part) ([]part, error) {
	parts := make([]part, len(names))
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(names); i += workers {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				parts[i] = work(names[i])
			}
			return nil
		})
	}
	return parts, g.Wait()
}

func unreadable(file string, err error) Finding {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // it names the file again
	}
	f := Finding{Rule: Unreadable, File: file, Message: strings.ReplaceAll(err.Error(), "\n", " ")}
	var at lineError
	if errors.As(err, &at) {
		f.Line = at.line
	}
	return f
}

// list finds the files of entities. A link is not followed, so what is behind it is not checked, and that is said.
func (c *check) list() ([]string, error) {
	var files []string
	err := fs.WalkDir(c.in.Files, catalogfile.EntitiesIn, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == catalogfile.EntitiesIn:
			return nil // then the services are missed one by one
		case err != nil:
			c.findings = append(c.findings, unreadable(name, err))
		case d.IsDir():
		case !d.Type().IsRegular():
			c.found(Unreadable, name, 0, "it is not a plain file")
		case slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)):
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

func (c *check) load(file string) ([]entity, error) {
	data, err := c.bytes(file, largest)
	if err != nil {
		return nil, err
	}
	return parse(file, data)
}

// bytes reads a file of at most limit bytes.
func (c *check) bytes(file string, limit int64) (data []byte, err error) {
	err = c.open(file, func(f fs.File, size int64) error {
		if size > limit {
			return fmt.Errorf("it has more than %d bytes", limit)
		}
		data = make([]byte, size)
		_, err := io.ReadFull(f, data)
		return err
	})
	return data, err
}

// tail reads the last limit bytes of a file, or all of it.
func (c *check) tail(file string, limit int64) (data []byte, err error) {
	err = c.open(file, func(f fs.File, size int64) error {
		if s, ok := f.(io.Seeker); ok && size > limit {
			if _, err := s.Seek(-limit, io.SeekEnd); err != nil {
				return err
			}
			size = limit
		}
		data = make([]byte, size)
		_, err := io.ReadFull(f, data)
		return err
	})
	return data, err
}

func (c *check) open(file string, read func(f fs.File, size int64) error) error {
	f, err := c.in.Files.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return read(f, info.Size())
}
