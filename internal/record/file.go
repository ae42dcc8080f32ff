package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Read loads a record; the error is fs.ErrNotExist where there is none.
func Read(path string) (*Record, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s is not a delivery record: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s has schema %q, this program reads %q", path, r.Schema, Schema)
	}
	seen := map[string]bool{}
	for _, s := range r.Stages {
		if seen[s.Name] {
			return nil, fmt.Errorf("%s has stage %q twice, so what it came to cannot be told", path, s.Name)
		}
		seen[s.Name] = true
	}
	if r.Stages == nil {
		r.Stages = []Stage{}
	}
	r.settle() // what it says of itself follows from what it holds
	return &r, nil
}

// Exists tells whether there is a file at path; any doubt counts as yes, so that nothing is overwritten unread.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Write replaces the record at path in one step, so that a killed process leaves the last whole record.
func (r *Record) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(data, '\n'), 0o644)
}

// WriteFile replaces a file in one step and makes the folders above it. What a link leads to is replaced, not the link, and
// what is no file, such as /dev/stdout or a pipe, is written to.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() && !info.IsDir() {
			return writeTo(path, data)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- reports are for everyone on the runner to read
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func writeTo(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
