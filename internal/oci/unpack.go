package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/idp/internal/fault"
)

// Unpack writes the file system of an image to dir, which must not exist or be empty. Each layer is read whole and
// compared with its digest before any of it is used. Owners, set-user-ID bits and times are not kept; symlinks stay
// inside dir; device files and names that lead out of it are refused. After an error there is no dir.
func (c Client) Unpack(ctx context.Context, img v1.Image, dir string) error {
	host := "of the image"
	if p, ok := img.(pulled); ok {
		host = p.from.Context().RegistryStr()
	}
	layers, err := img.Layers()
	if err != nil {
		return classify(err, "read layers from registry "+host, host)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fault.BadInputf("folder %s is not empty", dir)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil { // #nosec G301 -- an image's files are no secret
		return fault.BadInputf("cannot write to %s: %w", parent, err)
	}
	tmp, err := os.MkdirTemp(parent, ".unpack-*")
	if err != nil {
		return fault.BadInputf("cannot write to %s: %w", parent, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	root := filepath.Join(tmp, "root")
	x, err := newExtractor(root, bounds{bytes: maxBytes, entries: maxEntries})
	if err != nil {
		return err
	}
	for i, layer := range layers {
		if err := c.apply(ctx, x, layer, filepath.Join(tmp, "layer"), host); err != nil {
			return errors.Join(fmtLayer(i, err), x.Close())
		}
	}
	if err := errors.Join(x.Close(), os.RemoveAll(dir)); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// fmtLayer says which layer it was, unless the error is a fault that says all.
func fmtLayer(i int, err error) error {
	var known *fault.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("layer %d: %w", i+1, err)
}

// apply fetches one layer to a file, then extracts it.
func (c Client) apply(ctx context.Context, x *extractor, layer v1.Layer, path, host string) error {
	file, err := os.Create(path) // #nosec G304 -- in a folder made here
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	err = c.retry(ctx, "read a layer from", host, func(ctx context.Context) error { return fetch(ctx, layer, file, x.left.bytes) })
	if err != nil {
		return err
	}
	return x.layer(ctx, file)
}

// fetch writes the uncompressed layer to file, from its start, and compares it with the digest in the configuration.
func fetch(ctx context.Context, layer v1.Layer, file *os.File, limit int64) error {
	want, err := layer.DiffID()
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	in, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	sum := sha256.New()
	// One byte more than allowed tells a layer that is too large from one that just fits.
	n, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(reader{ctx, in}, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return tooLarge()
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.Hex {
		return fault.Undeterminedf("a layer was served as sha256:%s, the image says %s", got, want)
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
