package catalog

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/catalogfile"
)

// seen is where the catalogue has entities that a service is about to write or to take away. It is asked for only when what
// the service stands for has changed, since it needs every file of entities.
type seen struct {
	in      map[string]string // file by reference; the service's own file is not looked at
	text    map[string][]byte // of that file
	named   map[string]bool   // references that other files name
	unclear map[string]bool   // references that a file may have which cannot be read
	there   map[string]bool   // files
}

// scan looks for entities, by their references, in all files below catalog/ but the service's own.
func (v view) scan(ctx context.Context, refs []string) (seen, error) {
	found := seen{map[string]string{}, map[string][]byte{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	refs, err := v.shared(ctx, refs, found)
	if err != nil || len(refs) == 0 {
		return found, err
	}
	files, err := v.tip.All(ctx, catalogfile.EntitiesIn)
	if err != nil {
		return found, err
	}
	for path, data := range files {
		if path == v.entity() || !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
			continue
		}
		found.file(path, data, refs)
	}
	return found, nil
}

// shared looks for teams and systems where deliveries write them, and gives the references that are left: a service that is new
// in a known team needs no look at all of the catalogue.
func (v view) shared(ctx context.Context, refs []string, found seen) (left []string, err error) {
	var paths []string
	for _, ref := range refs {
		for kind, folder := range map[string]string{"group": catalogfile.GroupsIn, "system": catalogfile.SystemsIn} {
			if strings.HasPrefix(ref, kind+":default/") {
				paths = append(paths, sharedFile(folder, nameOf(ref)))
			}
		}
	}
	files, err := v.tip.Read(ctx, paths...)
	if err != nil {
		return nil, err
	}
	for path, data := range files {
		found.file(path, data, refs)
	}
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return found.in[ref] != "" }), nil
}

func nameOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// file looks for references in one file. One that cannot be read is for its owners to mend; until then nothing is written
// that it may have.
func (s seen) file(path string, data []byte, refs []string) {
	s.there[path] = true
	lower := bytes.ToLower(data)
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !bytes.Contains(lower, []byte(nameOf(ref))) })
	if len(refs) == 0 {
		return
	}
	docs, err := entityfile.Documents(data)
	for _, doc := range docs {
		h, headErr := entityfile.HeadOf(doc.Content[0])
		if headErr != nil {
			err = headErr
			continue
		}
		if slices.Contains(refs, h.Ref()) {
			s.in[h.Ref()], s.text[h.Ref()] = path, data
		}
		for _, ref := range refs {
			if ref != h.Ref() && mentions(entityfile.Value(doc.Content[0], "spec"), ref) {
				s.named[ref] = true
			}
		}
	}
	if err != nil {
		for _, ref := range refs {
			s.unclear[ref] = true
		}
	}
}

// mentions tells whether any text in a spec may be a reference to the entity; which kind a field means when it names none does
// not matter here, as it is asked only to leave alone what may be needed.
func mentions(n *yaml.Node, ref string) bool {
	if n == nil {
		return false
	}
	kind, _, _ := strings.Cut(ref, ":")
	if got, ok := catalogfile.Ref(n.Value, kind, "default"); n.Kind == yaml.ScalarNode && ok && got == ref {
		return true
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return mentions(c, ref) })
}
