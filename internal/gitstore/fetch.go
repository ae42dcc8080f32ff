package gitstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/org/idp/internal/proc"
)

// Tip is the newest commit of the branch; Commit is empty where there is no such branch yet.
type Tip struct {
	Commit string
	// Sent tells that an earlier round has sent its commit, and the server may have taken it.
	Sent bool

	root  string // its folder
	store *Store
}

// PathError is a path of the catalogue at which there is something else than there has to be.
type PathError struct {
	Path string
	Err  error
}

func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *PathError) Unwrap() error { return e.Err }

// fetch gives the tip of the branch. The commit and its folder are two requests: "tree:1" asks for both, but servers may allow
// no depth of folders other than 0 (uploadpackfilter.tree.maxDepth).
func (s *Store) fetch(ctx context.Context) (*Tip, error) {
	const tip = "refs/idp/tip"
	filter := "--filter=tree:0" // the commit alone
	if s.o.Whole {
		filter = "--no-filter"
	}
	_, err := s.git(ctx, nil, "fetch", "--quiet", "--depth=1", "--no-tags", filter, remoteName, "+"+s.ref+":"+tip)
	var e *proc.Error
	if errors.As(err, &e) && strings.Contains(e.Stderr, "couldn't find remote ref") {
		return &Tip{store: s}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := s.objects.get(tip + "^{commit}")
	if err != nil {
		return nil, err
	}
	root, _, ok := strings.Cut(strings.TrimPrefix(string(c.data), "tree "), "\n")
	if !ok {
		return nil, errors.New("git cat-file: the tip of the catalogue is no commit")
	}
	if _, err := s.objects.get(root); errors.Is(err, errAbsent) {
		if err := s.have(ctx, missing{ids: []string{root}, shallow: true}); err != nil {
			return nil, err
		}
	}
	return &Tip{Commit: c.id, root: root, store: s}, nil
}

// missing are the objects that a reading needs and that are not there.
type missing struct {
	ids     []string
	shallow bool // a folder among them has many folders of others
}

// Read gives the files at the given paths, by path; absent ones are left out. A path that ends in a slash stands for the files
// of a folder. Anything but a plain file, and anything but a folder on the way there, is a *PathError.
//
// What is below different folders of the root is fetched side by side: a folder with the names of all services takes a server of
// 10,000 some 20 ms to compress, as long as several other requests take.
func (t *Tip) Read(ctx context.Context, paths ...string) (map[string][]byte, error) {
	groups := map[string][]string{}
	for _, path := range paths {
		top, _, folder := strings.Cut(path, "/")
		if !folder {
			top = ""
		}
		groups[top] = append(groups[top], path)
	}
	files := map[string][]byte{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for _, group := range groups {
		g.Go(func() error {
			found, err := t.gather(ctx, func(files map[string][]byte, need *missing) error {
				for _, path := range group {
					if err := t.look(path, files, need); err != nil {
						return err
					}
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(files, found)
			return err
		})
	}
	return files, g.Wait()
}

// All gives the files below a folder of the root, at any depth. Links and what else is no file are left out.
func (t *Tip) All(ctx context.Context, folder string) (map[string][]byte, error) {
	return t.gather(ctx, func(files map[string][]byte, need *missing) error {
		root, err := t.store.objects.get(t.root)
		if err != nil {
			return err
		}
		e, there := find(root.data, folder)
		if !there || e.mode != folderMode {
			return nil
		}
		return t.below(e.id, folder+"/", files, need)
	})
}

func (t *Tip) below(id, at string, files map[string][]byte, need *missing) error {
	tree, err := t.store.objects.get(id)
	if errors.Is(err, errAbsent) {
		need.ids = append(need.ids, id)
		return nil
	}
	if err != nil {
		return err
	}
	for e := range entries(tree.data) {
		switch {
		case e.mode == folderMode:
			err = t.below(e.id, at+e.name+"/", files, need)
		case e.plain():
			err = t.file(e, at+e.name, files, need)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// IDs are those of what is in the root, or in a folder of it, by name; none where that is not there.
func (t *Tip) IDs(ctx context.Context, folder string) (map[string]string, error) {
	ids := map[string]string{}
	_, err := t.gather(ctx, func(_ map[string][]byte, need *missing) error {
		id := t.root
		for _, name := range []string{folder, ""} {
			tree, err := t.store.objects.get(id)
			if errors.Is(err, errAbsent) {
				need.ids, need.shallow = []string{id}, true
				return nil
			}
			if err != nil {
				return err
			}
			if name == "" {
				for e := range entries(tree.data) {
					ids[e.name] = e.id
				}
				return nil
			}
			e, there := find(tree.data, name)
			if !there {
				return nil
			}
			if e.mode != folderMode {
				return &PathError{name, errors.New("it is not a folder")}
			}
			id = e.id
		}
		return nil
	})
	return ids, err
}

// gather calls look, which gives files and notes what is not there for them, until nothing is missing.
func (t *Tip) gather(ctx context.Context, look func(map[string][]byte, *missing) error) (map[string][]byte, error) {
	var last missing
	for {
		files, need := map[string][]byte{}, missing{}
		if t.root != "" {
			if err := look(files, &need); err != nil {
				return nil, err
			}
		}
		switch {
		case len(need.ids) == 0:
			return files, nil
		case slices.Equal(need.ids, last.ids):
			return nil, fmt.Errorf("git fetch: the catalogue did not send %s", need.ids[0])
		}
		if err := t.store.have(ctx, need); err != nil {
			return nil, err
		}
		last = need
	}
}

// look goes along a path as far as its objects are there: the files are given, what is not there is noted.
func (t *Tip) look(path string, files map[string][]byte, need *missing) error {
	id, at, depth := t.root, "", 0
	for rest := path; ; depth++ {
		tree, err := t.store.objects.get(id)
		if errors.Is(err, errAbsent) {
			need.ids, need.shallow = append(need.ids, id), need.shallow || depth < 2
			return nil
		}
		if err != nil {
			return err
		}
		if rest == "" {
			for e := range entries(tree.data) {
				if err := t.file(e, at+e.name, files, need); err != nil {
					return err
				}
			}
			return nil
		}
		name, more, folder := strings.Cut(rest, "/")
		e, there := find(tree.data, name)
		if !there {
			return nil
		}
		if !folder {
			return t.file(e, path, files, need)
		}
		if at += name; e.mode != folderMode {
			return &PathError{at, errors.New("it is not a folder")}
		}
		id, at, rest = e.id, at+"/", more
	}
}

func (t *Tip) file(e entry, path string, files map[string][]byte, need *missing) error {
	if !e.plain() {
		return &PathError{path, errors.New("it is not a plain file")}
	}
	blob, err := t.store.objects.get(e.id)
	var large *sizeError
	switch {
	case errors.Is(err, errAbsent):
		need.ids = append(need.ids, e.id)
		return nil
	case errors.As(err, &large):
		return &PathError{path, err}
	case err != nil:
		return err
	}
	files[path] = blob.data
	return nil
}

// have fetches objects. A folder near the top comes without what is in it, since it has the names of all services; one below comes
// with its folders, which are of one service, so that they need no request of their own.
func (s *Store) have(ctx context.Context, need missing) error {
	filter := "--filter=blob:none"
	if need.shallow {
		filter = "--filter=tree:0"
	}
	ids := slices.Sorted(maps.Keys(setOf(need.ids)))
	_, err := s.git(ctx, strings.NewReader(strings.Join(ids, "\n")+"\n"), "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet",
		"--no-tags", "--no-write-fetch-head", filter, "--stdin", remoteName)
	return err
}

func setOf(ids []string) map[string]bool {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}
