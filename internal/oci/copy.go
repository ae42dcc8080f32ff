package oci

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/org/idp/internal/fault"
)

// Save copies HOST/REPOSITORY@DIGEST, an image or an index with all its images, to an OCI layout in the new folder dir.
func (c Client) Save(ctx context.Context, ref, dir string) error {
	from, err := reference(ref)
	if err != nil {
		return err
	}
	return c.retry(ctx, "pull from", from.RegistryStr(), func(ctx context.Context) error {
		served, err := remote.Get(from, c.options(ctx, from.Registry)...)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := copyable(served, ref); err != nil {
			return err
		}
		l, err := layout.Write(dir, empty.Index)
		if err != nil {
			return err
		}
		if served.MediaType.IsIndex() {
			index, err := served.ImageIndex()
			if err != nil {
				return err
			}
			return l.AppendIndex(index)
		}
		img, err := served.Image()
		if err != nil {
			return err
		}
		return l.AppendImage(img)
	})
}

// maxConfig bounds the configuration of an image, in bytes, which is held in memory. Real ones have some ten thousand.
const maxConfig = 4 << 20

// copyable refuses what could not be copied in bounded time and memory, before any of it is: indexes in an index may be the same ones
// again and again, and a manifest may name a configuration of any size.
func copyable(served *remote.Descriptor, ref string) error {
	if !served.MediaType.IsIndex() {
		img, err := served.Image()
		if err != nil {
			return err
		}
		return smallConfig(img, ref)
	}
	index, err := served.ImageIndex()
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if err := onlyImages(manifest, ref); err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		img, err := index.Image(d.Digest)
		if err != nil {
			return err
		}
		if err := smallConfig(img, ref); err != nil {
			return err
		}
	}
	return nil
}

func smallConfig(img v1.Image, ref string) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	if size := manifest.Config.Size; size < 0 || size > maxConfig {
		return fault.BadInputf("image %s has a configuration of %d bytes, %d MiB are allowed", ref, size, maxConfig>>20)
	}
	return nil
}

// CopyFile writes what a file or folder holds to an OCI layout in the new folder dir: an OCI layout, a tar archive of one, or
// what `docker save` writes.
func (c Client) CopyFile(ctx context.Context, from, dir string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fault.BadInputf("image %s: %w", from, err)
	}
	source := from
	if !info.IsDir() {
		source = dir + "-archive"
		defer func() { _ = os.RemoveAll(source) }()
		if err := unarchive(ctx, from, source); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(source, "oci-layout")); err != nil && !info.IsDir() {
		return fromDocker(from, dir)
	}
	found, err := single(source)
	if err != nil {
		return err
	}
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// Every blob is read and compared with its digest on the way.
	if found.index != nil {
		err = l.AppendIndex(found.index)
	} else {
		err = l.AppendImage(found.image)
	}
	if err != nil {
		return fault.BadInputf("image %s cannot be read whole: %w", from, err)
	}
	return nil
}

// unarchive unpacks a tar archive to the new folder dir, as an image's layer is: bounded, and nothing leads out of it.
func unarchive(ctx context.Context, path, dir string) error {
	file, err := os.Open(path) // #nosec G304 -- the user named it
	if err != nil {
		return fault.BadInputf("image %s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	x, err := newExtractor(dir, bounds{bytes: maxBytes, entries: maxEntries})
	if err != nil {
		return err
	}
	if err := errors.Join(x.layer(ctx, file), x.Close()); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fault.BadInputf("image %s is not a tar archive of an image: %w", path, err)
	}
	return nil
}

// fromDocker reads what `docker save` writes where that holds no OCI layout.
func fromDocker(path, dir string) error {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) }) // #nosec G304 -- the user named it
	if err != nil {
		return fault.BadInputf("image %s is neither an OCI layout nor written by docker save: %w", path, err)
	}
	if len(manifest) != 1 {
		return fault.BadInputf("image %s must hold exactly one image, it has %d", path, len(manifest)).
			WithNext("Save one alone: docker save --output FILE IMAGE")
	}
	img, err := tarball.ImageFromPath(path, nil)
	if err == nil {
		var l layout.Path
		if l, err = layout.Write(dir, empty.Index); err == nil {
			err = l.AppendImage(img)
		}
	}
	if err != nil {
		return fault.BadInputf("image %s cannot be read whole: %w", path, err)
	}
	return nil
}

// Replaceable refuses a folder that is not an image: in a folder that is not idp's own, it may be someone's code.
func Replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if _, statErr := os.Stat(filepath.Join(dir, "oci-layout")); statErr == nil && err == nil {
		return nil
	}
	return fault.BadInputf("%s is in the way: it is not an image, so it is not replaced", dir).
		WithNext("Move it away, or name another output folder: --out DIR")
}

// Replace moves the folder with to the place of old, which is back in its place when that fails. There is no way to swap
// folders in one step on all systems, so a kill between the two moves leaves none, never half of one.
func Replace(old, with string) error {
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
