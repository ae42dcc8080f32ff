package build

import (
	"context"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

// publish writes the layout to the folder tmp, which is on the same file system, and only when all of it is there puts it
// in the place of the last one, then the files beside it.
func publish(ctx context.Context, out, tmp string, img image, files map[string][]byte) error {
	if err := oci.Replaceable(filepath.Join(out, LayoutDir)); err != nil {
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
	if err := oci.Replace(filepath.Join(out, LayoutDir), tmp); err != nil {
		return notWritable(out, err)
	}
	for name, data := range files {
		if err := record.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return notWritable(out, err)
		}
	}
	return nil
}
