package secrets

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
)

// folder scans every file of a folder that is in no repository, but for those below skip. There is no history, and nothing
// says which files would not be committed.
func (s *scan) folder(ctx context.Context, skip string) *fault.Error {
	group, inner := errgroup.WithContext(ctx)
	files := make(chan change, queueLength)
	group.Go(func() error {
		defer close(files)
		return s.walk(inner, skip, files)
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for c := range files {
				if err := s.scanChange(inner, nil, c); err != nil {
					return err
				}
				s.done.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	gaps := len(s.gaps)
	switch {
	case ctx.Err() != nil:
		return fault.Undeterminedf("stopped after %s: %w", finding.Plural(int(s.done.Load()), "file"), context.Cause(ctx))
	case err != nil:
		return fault.Undeterminedf("%w", err)
	case len(s.paths) == 0 && gaps == 0:
		return fault.Undeterminedf("there is no file in this folder, so nothing was scanned").WithNext("Name another one: --service FOLDER")
	case gaps == 0:
		return nil
	}
	return s.clean(s.incomplete(finding.Plural(gaps, "file") + " not scanned"))
}

// walk hands on the files, and notes what cannot be read. Links are not followed.
func (s *scan) walk(ctx context.Context, skip string, files chan<- change) error {
	return filepath.WalkDir(s.repo.Root, func(name string, entry fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(s.repo.Root, name)
		if relErr != nil {
			return relErr
		}
		c := change{path: filepath.ToSlash(rel), newPath: true}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.gap(c, plain(err).Error())
			return nil
		case entry.IsDir() && name == skip:
			return fs.SkipDir
		case entry.IsDir() && entry.Name() == ".git":
			s.leave(fmt.Sprintf("the folder %s: the history of a repository", printable(c.path)))
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		c.file = s.rules.about(c.path)
		s.paths[c.path] = c.file
		if c.file.allowed {
			return nil
		}
		select {
		case files <- c:
		case <-ctx.Done():
		}
		return nil
	})
}
