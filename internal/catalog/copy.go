package catalog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/fault"
)

// replaceable tells whether the folder may be replaced: when it is absent, empty, or a copy that we made.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, indexFile)); err == nil { // #nosec G304 -- the app's own output folder
			_, err = parseIndex(data)
		}
	}
	if err != nil {
		return fault.BadInputf("folder %s is in the way: it is not a copy of a catalogue, so it is not replaced", dir).
			WithNext("Move it away, or choose another output folder with --out.")
	}
	return nil
}
