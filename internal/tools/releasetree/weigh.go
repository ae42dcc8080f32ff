package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// weigh prints what the tree weighs, and fails when its tarball is over the limit in bytes; 0 is no limit. The digest it
// prints is over every name, mode and byte of the tree, so two trees with the same one are the same.
func (t tree) weigh(w io.Writer, limit int64) error {
	var size counter
	digest := sha256.New()
	zip := gzip.NewWriter(&size)
	archive := tar.NewWriter(io.MultiWriter(zip, digest))
	files := 0
	err := filepath.WalkDir(t.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		if name := d.Name(); strings.HasPrefix(name, "idp-") {
			_, _ = fmt.Fprintf(w, "%s: %.1f MB\n", name, float64(info.Size())/1e6)
		}
		name, err := filepath.Rel(t.dir, file)
		if err != nil {
			return err
		}
		return add(archive, file, filepath.ToSlash(name), info)
	})
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "release tree: %d files, %.1f MB as a gzipped tarball, sha256:%x\n", files, float64(size)/1e6, digest.Sum(nil))
	if limit > 0 && int64(size) > limit {
		return fmt.Errorf("the tarball is over its limit of %.0f MB", float64(limit)/1e6)
	}
	return nil
}

// add writes what a tarball of a commit would have of the file: neither times nor owners.
func add(archive *tar.Writer, file, name string, info fs.FileInfo) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()}); err != nil {
		return err
	}
	f, err := os.Open(file) // #nosec G304 -- a file of the tree
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(archive, f)
	return err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
