package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/org/idp/internal/proc"
)

// limit is the most that is read of one file of the catalogue, in bytes.
const limit = 64 << 20

// entry is one name in a folder of the catalogue.
type entry struct{ mode, kind, object, name string }

// read gives the files at the given paths of the commit, by path; absent ones are left out. A path that ends in a slash
// stands for the files of a folder. Anything but a plain file is an error, and so is anything but a folder on the way there.
// Only what lies on the way is fetched, one depth of folders at a time: no file that belongs to others.
func (r *repo) read(ctx context.Context, tip string, paths ...string) (map[string][]byte, error) {
	blobs := map[string]string{} // object by path
	folders := map[string]string{}
	if tip != "" {
		folders[""] = tip + "^{tree}"
	}
	for len(folders) > 0 {
		next := map[string]string{}
		var need []string
		for _, folder := range slices.Sorted(maps.Keys(folders)) {
			entries, err := r.list(ctx, folders[folder], within(folder, paths))
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				path := folder + e.name
				need = append(need, e.object)
				switch {
				case slices.Contains(paths, path) || slices.Contains(paths, folder):
					if e.kind != "blob" || e.mode == "120000" {
						return nil, unreadable(path, errors.New("it is not a plain file"))
					}
					blobs[path] = e.object
				case e.kind != "tree":
					return nil, unreadable(path, errors.New("it is not a folder"))
				default:
					next[path+"/"] = e.object
				}
			}
		}
		if err := r.have(ctx, need); err != nil {
			return nil, err
		}
		folders = next
	}
	return r.contents(ctx, blobs)
}

// within are the names in a folder that lead to any of the paths; none for all names.
func within(folder string, paths []string) []string {
	var names []string
	for _, path := range paths {
		rest, ok := strings.CutPrefix(path, folder)
		switch name, _, _ := strings.Cut(rest, "/"); {
		case !ok:
		case rest == "":
			return nil
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names
}

// list reads a folder of which the object is there: all of it, or the given names.
func (r *repo) list(ctx context.Context, tree string, names []string) ([]entry, error) {
	out, err := r.git(ctx, nil, append([]string{"ls-tree", "-z", "--full-tree", tree, "--"}, names...)...)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		meta, name, _ := strings.Cut(line, "\t")
		if f := strings.Fields(meta); len(f) == 3 {
			entries = append(entries, entry{f[0], f[1], f[2], name})
		}
	}
	return entries, nil
}

// have fetches objects, of folders without what is in them. git asks for none that is there already, as all are where the
// server does not leave out what it is asked to.
func (r *repo) have(ctx context.Context, objects []string) error {
	if len(objects) == 0 || r.whole {
		return nil
	}
	_, err := r.git(ctx, strings.NewReader(strings.Join(objects, "\n")+"\n"), "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet",
		"--no-tags", "--no-write-fetch-head", "--filter=tree:0", "--stdin", remoteName)
	return err
}

// contents reads files of which the objects are there.
func (r *repo) contents(ctx context.Context, blobs map[string]string) (map[string][]byte, error) {
	files := map[string][]byte{}
	if len(blobs) == 0 {
		return files, nil
	}
	paths := slices.Sorted(maps.Keys(blobs))
	var ask strings.Builder
	for _, path := range paths {
		ask.WriteString(blobs[path] + "\n")
	}
	sizes, err := r.git(ctx, strings.NewReader(ask.String()), "cat-file", "--batch-check=%(objectsize)")
	if err != nil {
		return nil, err
	}
	for i, size := range strings.Fields(sizes) {
		if n, err := strconv.Atoi(size); err != nil || n > limit {
			return nil, unreadable(paths[i], fmt.Errorf("%s bytes are more than any file of a catalogue has", size))
		}
	}
	out, err := proc.Run(ctx, proc.Command{Dir: r.dir, Env: r.env, Name: "git", Args: []string{"cat-file", "--batch=%(objectsize)"}, Stdin: strings.NewReader(ask.String())})
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		n, err := strconv.Atoi(string(head))
		if err != nil || n+1 > len(rest) {
			return nil, fmt.Errorf("git cat-file: it ended before %s did", path)
		}
		files[path], out = rest[:n:n], rest[n+1:]
	}
	return files, nil
}

// commit writes files over the tree of tip and gives the new commit, which is on no branch. What is written over was read
// before, so it is a file, or is not there.
func (r *repo) commit(ctx context.Context, tip string, files map[string][]byte, message string) (string, error) {
	const ref = "refs/idp/new"
	var b bytes.Buffer
	fmt.Fprintf(&b, "reset %s\n\ncommit %s\ncommitter idp <idp@localhost> 0 +0000\ndata 0\n", ref, ref)
	parent := []string{}
	if tip != "" {
		fmt.Fprintf(&b, "from %s\n", tip)
		parent = []string{"-p", tip}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n", path, len(files[path]))
		b.Write(files[path])
		b.WriteByte('\n')
	}
	b.WriteString("done\n")
	if _, err := r.git(ctx, &b, "fast-import", "--quiet", "--force", "--done", "--date-format=raw"); err != nil {
		return "", err
	}
	return r.git(ctx, strings.NewReader(message), append([]string{"commit-tree", ref + "^{tree}"}, parent...)...)
}
