package schema_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/schema"
)

// The schemas that are written into a catalogue are those of the types, and every text that was ever written there is known by its
// id, so that the next version recognises it as nobody's edit.
func TestTextsOfACatalogueAreGenerated(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "catalog", "texts")
	files := map[string]func() ([]byte, error){"schemas/index.json": schema.Index, "schemas/state.json": schema.State, "schemas/line.json": schema.Line,
		"schemas/cost.json": schema.Cost, "README.md": func() ([]byte, error) { return os.ReadFile(filepath.Join(folder, "README.md")) }}
	list, err := os.ReadFile(filepath.Join(folder, "written.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		generate := files[name]
		text, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		file, line := filepath.Join(folder, name), gitstore.ID(text)+" "+name+"\n"
		if *update {
			if !strings.Contains(string(list), line) {
				list = append(list, line...)
			}
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, text) || !strings.Contains(string(list), line) {
			t.Errorf("%s, or its line in written.txt, is not what it has to be; run make generate: %v", name, err)
		}
	}
	if *update {
		if err := os.WriteFile(filepath.Join(folder, "written.txt"), list, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(folder, "schemas"))
	if err != nil || len(entries)+1 != len(files) {
		t.Errorf("schemas has %d files that somebody makes, want %d: %v", len(entries), len(files)-1, err)
	}
}
