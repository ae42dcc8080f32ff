package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// MaxDefinition is the most that the definition of an API may have, in bytes.
const MaxDefinition = 1 << 20

// Definition reads the definition of an API in the service's folder: text, of a plain file that no link leads out of it to.
func (a API) Definition(dir string) (data []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(filepath.FromSlash(a.File))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a plain file")
	}
	data, err = io.ReadAll(io.LimitReader(f, MaxDefinition+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxDefinition:
		return nil, fmt.Errorf("it has more than %d bytes", MaxDefinition)
	case strings.TrimSpace(string(data)) == "" || !utf8.Valid(data):
		return nil, fmt.Errorf("it is not text")
	}
	return data, nil
}

// apis checks what the service says of its APIs, and that their definitions are there where the folder is known.
func (l *loader) apis() {
	var names []string
	for i, a := range l.APIs {
		p := path{"apis", i, "file"}
		names = append(names, a.Name)
		l.below(p, a.File, "a file", "api/openapi.yaml")
		if l.dir == "" || a.File == "" || !filepath.IsLocal(filepath.FromSlash(a.File)) {
			continue
		}
		if _, err := a.Definition(l.dir); err != nil {
			l.doc.Wrong(p, "cannot be read: "+reason(err))
		}
	}
	l.unique("apis", names)
	names = nil
	for _, r := range l.Resources {
		names = append(names, r.Name)
	}
	l.unique("resources", names)
}

// unique refuses a name that is there twice. Backstage does not tell names apart by their case.
func (l *loader) unique(key string, names []string) {
	first := map[string]bool{}
	for i, name := range names {
		if lower := strings.ToLower(name); name != "" {
			if first[lower] {
				l.doc.Wrong(path{key, i, "name"}, "there is one of that name above")
			}
			first[lower] = true
		}
	}
}
