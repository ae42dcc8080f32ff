package catalog

import (
	"context"
	"embed"
	"io/fs"
	"path"
	"strings"

	"github.com/org/idp/internal/gitstore"
)

// textFiles are what explains a catalogue in it: README.md and schemas/*.json, and written.txt, which has the ids of all texts of
// them that a version of this program wrote. make generate keeps the schemas and that list.
//
//go:embed texts
var textFiles embed.FS

const (
	readmeFile = "README.md"
	schemasIn  = "schemas"
)

// Texts are the files that explain a catalogue, by path in it, and the ids of those that were ever written.
func Texts() (texts map[string][]byte, written map[string]bool, err error) {
	texts, written = map[string][]byte{}, map[string]bool{}
	err = fs.WalkDir(textFiles, "texts", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := textFiles.ReadFile(name)
		texts[strings.TrimPrefix(name, "texts/")] = data
		return err
	})
	for line := range strings.Lines(string(texts["written.txt"])) {
		id, _, _ := strings.Cut(line, " ")
		written[id] = true
	}
	delete(texts, "written.txt")
	return texts, written, err
}

// explain brings these files up to date. One that a person edited is left alone, and so is one of a later version: neither is a
// text that this version knows. Nothing is fetched as long as they are what they have to be.
func (c *change) explain(ctx context.Context, v view) error {
	texts, written, err := Texts()
	if err != nil {
		return err
	}
	root, err := v.tip.IDs(ctx, "")
	if err != nil {
		return err
	}
	id, there := root[readmeFile]
	if _, begun := root[indexFile]; there && written[id] && id != gitstore.ID(texts[readmeFile]) || !there && !begun {
		c.put(readmeFile, texts[readmeFile], readmeFile)
	}
	schemas := map[string][]byte{}
	for name, text := range texts {
		if path.Dir(name) == schemasIn {
			schemas[path.Base(name)] = text
		}
	}
	if root[schemasIn] == gitstore.FolderID(schemas) {
		return nil
	}
	old, err := v.tip.IDs(ctx, schemasIn)
	if err != nil {
		return err
	}
	for name, text := range schemas {
		if id, there := old[name]; !there || written[id] && id != gitstore.ID(text) {
			c.put(schemasIn+"/"+name, text, schemasIn+"/"+name)
		}
	}
	return nil
}
