package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/fault"
)

// Bounds of an image: far above what a service needs, far below what fills a disk.
const (
	maxBytes   = 4 << 30
	maxEntries = 500_000
)

type bounds struct {
	bytes   int64
	entries int
}

// Names with a meaning in a layer: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// extractor applies layers to a folder. All access goes through os.Root, which never leaves it.
type extractor struct {
	root *os.Root
	left bounds
}

func newExtractor(dir string, b bounds) (*extractor, error) {
	if err := os.Mkdir(dir, 0o755); err != nil { // #nosec G301 -- an image's files are no secret
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	return &extractor{root: root, left: b}, err
}

func (x *extractor) Close() error { return x.root.Close() }

// layer applies one: first what it takes away from those below, then what it adds, whatever their order in the file.
func (x *extractor) layer(ctx context.Context, file io.ReadSeeker) error {
	if err := x.walk(ctx, file, x.remove); err != nil {
		return err
	}
	return x.walk(ctx, file, x.add)
}

func (x *extractor) walk(ctx context.Context, file io.ReadSeeker, each func(name string, h *tar.Header, r io.Reader) error) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for r := tar.NewReader(reader{ctx, file}); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := local(h.Name)
		if err != nil {
			return err
		}
		if err := each(name, h, r); err != nil {
			return err
		}
	}
}

// local is the clean relative form of a name in a layer, with the system's separators.
func local(name string) (string, error) {
	clean := filepath.FromSlash(path.Clean(strings.TrimLeft(name, "/")))
	if strings.Trim(name, "/") == "" {
		clean = "."
	}
	if !filepath.IsLocal(clean) || strings.ContainsRune(name, 0) {
		return "", fault.Undeterminedf("the image names a file outside of itself, %q, and is not unpacked", name)
	}
	return clean, nil
}

// remove applies a whiteout; other entries are left for add.
func (x *extractor) remove(name string, _ *tar.Header, _ io.Reader) error {
	dir, base := filepath.Split(name)
	if !strings.HasPrefix(base, whiteout) {
		return nil
	}
	dir = filepath.Clean(dir)
	if err := x.ownParents(name); err != nil {
		return err
	}
	if base != opaque {
		hidden := strings.TrimPrefix(base, whiteout)
		if hidden == "" || !filepath.IsLocal(hidden) || hidden == "." {
			return fault.Undeterminedf("the image has the whiteout %q, which names nothing", name)
		}
		return x.root.RemoveAll(filepath.Join(dir, hidden))
	}
	entries, err := fs.ReadDir(x.root.FS(), filepath.ToSlash(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, x.root.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func (x *extractor) add(name string, h *tar.Header, r io.Reader) error {
	if strings.HasPrefix(filepath.Base(name), whiteout) {
		return nil
	}
	if x.left.entries--; x.left.entries < 0 {
		return tooLarge()
	}
	if err := x.ownParents(name); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return x.folder(name, h)
	}
	if name == "." {
		return fault.Undeterminedf("the image has a root that is not a folder")
	}
	// The old entry goes first: writing into it would change every hard link to it, or follow it.
	err := errors.Join(x.root.MkdirAll(filepath.Dir(name), 0o755), x.root.RemoveAll(name))
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return x.file(name, h, r)
	case tar.TypeSymlink:
		return x.symlink(name, h.Linkname)
	case tar.TypeLink:
		return x.link(name, h.Linkname)
	}
	return fault.Undeterminedf("the image holds %s, a device or another special file (type %q), and is not unpacked", name, h.Typeflag)
}

// ownParents refuses a name that passes through a symlink. With that, an entry is where its name says, so a relative
// target computed from the name can't lead out.
func (x *extractor) ownParents(name string) error {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		info, err := x.root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fault.Undeterminedf("the image writes %s through the symlink %s and is not unpacked", name, dir)
		}
	}
	return nil
}

func (x *extractor) folder(name string, h *tar.Header) error {
	info, err := x.root.Lstat(name)
	if err == nil && !info.IsDir() {
		err = x.root.RemoveAll(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := x.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	return x.root.Chmod(name, fs.FileMode(h.Mode&0o777)|0o700) // #nosec G115 -- nine bits
}

func (x *extractor) file(name string, h *tar.Header, r io.Reader) error {
	if x.left.bytes -= h.Size; x.left.bytes < 0 {
		return tooLarge()
	}
	mode := fs.FileMode(h.Mode&0o777) | 0o600 // #nosec G115 -- nine bits: no set-user-ID, no sticky
	out, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(r, h.Size))
	return errors.Join(err, out.Chmod(mode), out.Close()) // Chmod, because creating obeys the umask
}

// symlink makes a link that leads where it would in a container that has this folder as its root.
func (x *extractor) symlink(name, target string) error {
	slash := filepath.ToSlash(name)
	if !path.IsAbs(target) {
		target = path.Join("/", path.Dir(slash), target)
	}
	relative, err := filepath.Rel(filepath.FromSlash("/"+path.Dir(slash)), filepath.FromSlash(path.Clean(target)))
	if err != nil {
		return fmt.Errorf("symlink %s: %w", name, err)
	}
	return x.root.Symlink(relative, name)
}

// link makes a hard link. One to a symlink would move it to where its relative target means something else.
func (x *extractor) link(name, target string) error {
	old, err := local(target)
	if err != nil {
		return err
	}
	if err := x.ownParents(old); err != nil {
		return err
	}
	info, err := x.root.Lstat(old)
	if err != nil {
		return fmt.Errorf("hard link %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return fault.Undeterminedf("the image holds %s, a hard link to %s, which is no regular file", name, old)
	}
	return x.root.Link(old, name)
}

func tooLarge() error {
	return fault.Undeterminedf("the image is too large to unpack: over %d GiB or %d files", int64(maxBytes)>>30, maxEntries)
}
