package manifest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
)

// Limits of what a rendering reads and gives. The largest manifests in use, bundles of custom resource definitions, have
// about 5 MiB.
const (
	maxFile  = 8 << 20  // bytes of one file
	maxBytes = 32 << 20 // of all files, aliases of YAML written out; and of what is rendered
	maxReads = 5_000    // a kustomization may read the same file again and again
)

// tree is a folder that nothing leads out of: no "..", no absolute path, no link. It bounds what is read, and knows it.
type tree struct {
	ctx   context.Context //nolint:containedctx // libraries that read through a tree take none
	root  *os.Root
	files map[string]bool
	bytes int
	reads int
}

func openTree(ctx context.Context, dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.BadInputf("cannot read the manifests: %w", err)
	}
	return &tree{ctx: ctx, root: root, files: map[string]bool{}}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// read gives a file by its path in the tree, with slashes.
func (t *tree) read(name string) ([]byte, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, context.Cause(t.ctx)
	}
	if t.reads++; t.reads > maxReads {
		return nil, fault.BadInputf("more than %d files are read, at last %s", maxReads, name)
	}
	info, err := t.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would never end
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a file")}
	}
	file, err := t.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fault.BadInputf("%s is larger than %d MiB", name, maxFile>>20)
	}
	if t.bytes += expanded(data); t.bytes > maxBytes {
		return nil, fault.BadInputf("the manifests are larger than %d MiB, at last %s", maxBytes>>20, name)
	}
	t.files[name] = true
	return data, nil
}

// is tells what there is at a path.
func (t *tree) is(name string) (exists, dir bool) {
	info, err := t.root.Stat(filepath.FromSlash(name))
	return err == nil, err == nil && info.IsDir()
}

// walk calls visit with every file below a folder, in the order of their names. A link to a folder is not followed.
func (t *tree) walk(dir string, visit func(name string, info fs.DirEntry) error) error {
	return fs.WalkDir(t.root.FS(), path.Clean(dir), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case t.ctx.Err() != nil:
			return context.Cause(t.ctx)
		case entry.IsDir():
			return nil
		}
		return visit(name, entry)
	})
}

// copy writes a folder of the tree to dir, which has to be there. Links become what they lead to.
func (t *tree) copy(from, dir string) error {
	return t.walk(from, func(name string, _ fs.DirEntry) error {
		if _, isDir := t.is(name); isDir {
			return fault.BadInputf("%s is a link to a folder, which is not followed", name).WithNext("Put the folder itself there.")
		}
		data, err := t.read(name)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(from)), "/")
		if path.Clean(from) == "." {
			rel = name
		}
		target := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// names are the files that were read.
func (t *tree) names() []string {
	var names []string
	for name := range t.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// expanded is the size of a file with every alias of YAML written out, at most a little over maxBytes: a few hundred bytes
// of aliases can mean gigabytes. What is not YAML counts as it is; whoever reads it as YAML says so.
func expanded(data []byte) int {
	if !bytes.ContainsRune(data, '&') || !bytes.ContainsRune(data, '*') {
		return len(data)
	}
	total := 0
	for dec := yaml.NewDecoder(bytes.NewReader(data)); total <= maxBytes; {
		var doc yaml.Node
		if dec.Decode(&doc) != nil {
			break // also at the end
		}
		total += weight(&doc, map[*yaml.Node]int{}, 0)
	}
	return max(total, len(data))
}

// weight is what a node comes to, at most a little over maxBytes; known has what was weighed before.
func weight(n *yaml.Node, known map[*yaml.Node]int, depth int) int {
	if n == nil {
		return 0
	}
	if w, ok := known[n]; ok {
		return w
	}
	known[n] = maxBytes + 1 // an anchor that holds itself has no end
	w := len(n.Value) + depth + 2
	if n.Kind == yaml.AliasNode {
		w = weight(n.Alias, known, depth)
	}
	for _, child := range n.Content {
		if w += weight(child, known, depth+1); w > maxBytes {
			break
		}
	}
	known[n] = w
	return w
}
