// Package cataloguetest holds the files of a catalogue against the JSON Schemas that are in the same catalogue, by another
// implementation than the one that made them.
package cataloguetest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Check reads every file of a catalogue. It gives how many things each schema was held to, and everything that is wrong: a file
// of which it is not known what it has to be, too. Entities and definitions of APIs are not ours, so their forms are Backstage's.
func Check(catalogue fs.FS) (held map[string]int, err error) {
	held = map[string]int{}
	var wrong []error
	err = fs.WalkDir(catalogue, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, docs, err := documents(catalogue, file)
		if err != nil || name == "" {
			wrong = append(wrong, err)
			return nil
		}
		schema, err := Schema(catalogue, name)
		if err != nil {
			return err
		}
		for i, doc := range docs {
			held[name]++
			if err := schema.Validate(doc); err != nil {
				wrong = append(wrong, fmt.Errorf("%s, %d: %w", file, i+1, err))
			}
		}
		return nil
	})
	return held, errors.Join(err, errors.Join(wrong...))
}

// Schema is schemas/NAME.json of a catalogue.
func Schema(catalogue fs.FS, name string) (*jsonschema.Schema, error) {
	text, err := fs.ReadFile(catalogue, "schemas/"+name+".json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	at := "mem:///" + name // a bare name would be of the folder that this runs in, whatever that is called
	if err := c.AddResource(at, doc); err != nil {
		return nil, err
	}
	return c.Compile(at)
}

// documents is what a file has, and the schema that it is of; none for what has none.
func documents(catalogue fs.FS, file string) (schema string, docs []any, err error) {
	text, err := fs.ReadFile(catalogue, file)
	if err != nil {
		return "", nil, err
	}
	parts := strings.Split(file, "/")
	switch {
	case file == "README.md", parts[0] == "catalog", parts[0] == "apis":
		return "", nil, nil
	case parts[0] == "schemas" && len(parts) == 2:
		_, err := Schema(catalogue, strings.TrimSuffix(parts[1], ".json"))
		return "", nil, err
	case file == "index.json":
		schema = "index"
		docs, err = whole(text)
	case parts[0] == "deliveries" && len(parts) == 3 && parts[2] == "state.json":
		schema = "state"
		docs, err = whole(text)
	case parts[0] == "deliveries" && len(parts) == 4 && path.Ext(file) == ".jsonl":
		schema = "line"
		for line := range strings.Lines(string(text)) {
			doc, err := whole([]byte(line))
			if err != nil {
				return "", nil, err
			}
			docs = append(docs, doc...)
		}
	case parts[0] == "cost" && len(parts) == 4 && path.Ext(file) == ".csv":
		schema = "cost"
		docs, err = rows(text)
	default:
		err = fmt.Errorf("%s: nobody says what it is", file)
	}
	if err == nil && len(docs) == 0 {
		err = fmt.Errorf("%s: there is nothing in it", file)
	}
	return schema, docs, err
}

func whole(text []byte) ([]any, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	return []any{doc}, err
}

// rows are objects of a table's columns.
func rows(text []byte) (docs []any, err error) {
	table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, cells := range table[1:] {
		row := map[string]any{}
		for i, column := range table[0] {
			row[column] = cells[i]
		}
		if !json.Valid([]byte(row["Tags"].(string))) {
			return nil, errors.New("the tags of a row are no JSON")
		}
		docs = append(docs, row)
	}
	return docs, nil
}
