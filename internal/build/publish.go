package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// publish writes the layout to the folder tmp, which is on the same file system, and only when all of it is there puts it
// in the place of the last one, then the files beside it.
func publish(ctx context.Context, out, tmp string, img image, files map[string][]byte) error {
	if err := replaceable(filepath.Join(out, LayoutDir)); err != nil {
		return err
	}
	l, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return notWritable(out, err)
	}
	switch content := img.content.(type) {
	case v1.Image:
		err = l.AppendImage(content)
	case v1.ImageIndex:
		err = l.AppendIndex(content)
	}
	if err != nil {
		return notWritable(out, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := replace(filepath.Join(out, LayoutDir), tmp); err != nil {
		return notWritable(out, err)
	}
	for name, data := range files {
		if err := record.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return notWritable(out, err)
		}
	}
	return nil
}

// replaceable refuses a folder that is not an image: in a folder that is not idp's own, it may be someone's code.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if record.Exists(filepath.Join(dir, "oci-layout")) && err == nil {
		return nil
	}
	return fault.BadInputf("%s is in the way: it is not an image, so it is not replaced", dir).
		WithNext("Move it away, or name another output folder: --out DIR")
}

// replace moves the folder with to the place of old, which is back in its place when that fails. There is no way to swap
// folders in one step on all systems, so a kill between the two moves leaves none, never half of one.
func replace(old, with string) error {
	aside := with + "-old"
	err := os.Rename(old, aside)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	had := err == nil
	if err := os.Rename(with, old); err != nil {
		if had {
			return errors.Join(err, os.Rename(aside, old))
		}
		return err
	}
	return nil // aside is in the folder that the caller removes
}
