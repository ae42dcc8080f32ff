package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/mholt/archives"
)

const (
	// innerSeparator stands between an archive and a file in it, as in gitleaks.
	innerSeparator = "!"
	// maxArchive is how many bytes one file of a commit may unpack to, and maxArchiveFiles to how many files: a small archive
	// may hold any amount.
	maxArchive      = 512 << 20
	maxArchiveFiles = 20_000
)

// archiveOf tells from the name, as gitleaks does, whether a file is an archive or compressed.
func archiveOf(ctx context.Context, name string) archives.Format {
	format, _, err := archives.Identify(ctx, name, nil)
	if err != nil {
		return nil
	}
	return format
}

// unpacking is what may still come out of one file.
type unpacking struct {
	left  int64
	files int
}

var errTooMuch = fmt.Errorf("it unpacks to more than %d MiB or %d files", maxArchive>>20, maxArchiveFiles)

// unpack scans what is in an archive, and in those in it as far as depth goes. What cannot be unpacked is a gap: unlike
// gitleaks, which passes over it.
func (s *scan) unpack(ctx context.Context, c change, format archives.Format, content []byte, depth int, u *unpacking) (err error) {
	defer func() {
		if recover() != nil {
			s.gap(c, "it crashes the reader of archives")
			err = nil
		}
	}()
	switch format := format.(type) {
	case archives.Extractor:
		err = format.Extract(ctx, bytes.NewReader(content), func(_ context.Context, f archives.FileInfo) error {
			return s.innerFile(ctx, c, f, depth, u)
		})
	case archives.Decompressor:
		var r io.ReadCloser
		if r, err = format.OpenReader(bytes.NewReader(content)); err == nil {
			err = s.inner(ctx, c, nil, r, depth, u) // gitleaks gives it no name of its own
			_ = r.Close()
		}
	default:
		err = errors.New("archives of this kind cannot be read")
	}
	if err != nil && ctx.Err() == nil {
		s.gap(c, "the archive cannot be read: "+oneLine(err.Error()))
		return nil
	}
	return err
}

func (s *scan) innerFile(ctx context.Context, outer change, f archives.FileInfo, depth int, u *unpacking) error {
	if u.files++; u.files > maxArchiveFiles {
		return errTooMuch
	}
	c, name := outer, path.Clean(strings.ReplaceAll(f.NameInArchive, `\`, "/"))
	c.path, c.file, c.newPath = outer.path+innerSeparator+name, nil, true
	if f.LinkTarget != "" {
		return s.inner(ctx, c, nil, strings.NewReader(f.LinkTarget), depth, u)
	}
	if f.IsDir() || f.Mode()&fs.ModeType != 0 || s.rules.about(name).allowed || s.rules.about(c.path).allowed {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return s.inner(ctx, c, archiveOf(ctx, f.NameInArchive), r, depth, u)
}

// inner scans a file that comes out of an archive; format is not nil where it is one itself.
func (s *scan) inner(ctx context.Context, c change, format archives.Format, r io.Reader, depth int, u *unpacking) error {
	var content bytes.Buffer
	size, err := io.Copy(&content, io.LimitReader(r, min(MaxFileSize, u.left)+1))
	if err != nil {
		return err
	}
	if u.left -= size; u.left < 0 {
		return errTooMuch
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.parents = nil
	if format != nil {
		return s.archive(ctx, c, format, content.Bytes(), size, depth, u)
	}
	text, ok := asText(content.Bytes())
	if !ok || size > MaxFileSize {
		return s.nameOnly(ctx, c, ok, size)
	}
	return s.scanText(ctx, c, text, [][]byte{})
}

// archive opens an archive, or notes that it stays closed.
func (s *scan) archive(ctx context.Context, c change, format archives.Format, content []byte, size int64, depth int, u *unpacking) error {
	if depth <= 0 {
		s.mu.Lock()
		s.closed[c.path] = true
		s.mu.Unlock()
		return s.scanText(ctx, c, nil, [][]byte{})
	}
	if size > MaxFileSize {
		s.gap(c, fmt.Sprintf("an archive of more than the %d MiB that are opened", MaxFileSize>>20))
		return nil
	}
	return s.unpack(ctx, c, format, content, depth-1, u)
}
