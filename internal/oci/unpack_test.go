package oci_test

import (
	"archive/tar"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
)

func file(name, text string, mode int64) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Uname: text}
}

func folder(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}
}

func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}
}

func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

// tree lists what is below dir: mode and text, or the target.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			all[rel] = "-> " + filepath.ToSlash(to)
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all[rel] = info.Mode().String() + " " + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	img := imageOf(t,
		layerOf(t,
			folder("./"), folder("app/"), file("app/hello", "v1", 0o4755), file("/abs", "a", 0o644), file("gone", "x", 0o644),
			folder("d/"), file("d/old", "x", 0o600), folder("d/sub/"), file("d/sub/old", "x", 0o600), file("wasdir/x", "x", 0o644),
			file("first", "one", 0o644), hardlink("second", "first"), symlink("bin/sh", "/app/hello"), symlink("up", "../../../etc/passwd"), folder("tmp/")),
		layerOf(t,
			// The opaque mark comes after what its own layer adds, and must leave that.
			file("d/new", "n", 0o600), file("d/.wh..wh..opq", "", 0), file(".wh.gone", "", 0),
			file("app/hello", "v2", 0o755), file("wasdir", "now a file", 0o644), file("first", "changed", 0o644), file("bin/sh", "own", 0o755)))
	for name, source := range map[string]func(t *testing.T) v1.Image{
		"from memory": func(*testing.T) v1.Image { return img },
		"from a registry": func(t *testing.T) v1.Image {
			repo := serve(t).Host() + "/a"
			d, err := push(t.Context(), oci.Client{}, saved(t, img), repo)
			if err != nil {
				t.Fatal(err)
			}
			pulled, err := oci.Client{}.Pull(t.Context(), repo+"@"+d)
			if err != nil {
				t.Fatal(err)
			}
			return pulled
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "new", "root")
			if err := (oci.Client{}).Unpack(t.Context(), source(t), dir); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"app/hello": "-rwxr-xr-x v2", "abs": "-rw-r--r-- a", "d/new": "-rw------- n", "wasdir": "-rw-r--r-- now a file",
				"first": "-rw-r--r-- changed", "second": "-rw-r--r-- one", "bin/sh": "-rwxr-xr-x own", "up": "-> etc/passwd",
			}
			if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if left, err := os.ReadDir(filepath.Join(parent, "new")); err != nil || len(left) != 1 {
				t.Errorf("beside it: %v, %v", left, err)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		layers [][]tar.Header
		words  string
	}{
		"a name that leads out":         {[][]tar.Header{{file("../evil", "x", 0o644)}}, "outside"},
		"one hidden in the middle":      {[][]tar.Header{{file("a/../../evil", "x", 0o644)}}, "outside"},
		"through a symlink":             {[][]tar.Header{{symlink("a", "/etc"), file("a/evil", "x", 0o644)}}, "through the symlink a"},
		"through one of a lower layer":  {[][]tar.Header{{symlink("a", "../..")}, {file("a/b/evil", "x", 0o644)}}, "through the symlink a"},
		"a whiteout through a symlink":  {[][]tar.Header{{symlink("a", "/etc")}, {file("a/.wh.passwd", "", 0)}}, "through the symlink a"},
		"a whiteout of the parent":      {[][]tar.Header{{file("a/.wh...", "", 0)}}, "whiteout"},
		"a hard link that leads out":    {[][]tar.Header{{hardlink("a", "../../etc/passwd")}}, "outside"},
		"a hard link to a symlink":      {[][]tar.Header{{symlink("d/e/x", "/etc"), hardlink("y", "d/e/x")}}, "hard link"},
		"a hard link through a symlink": {[][]tar.Header{{symlink("a", "/"), hardlink("y", "a/etc/passwd")}}, "through the symlink a"},
		"a hard link to nothing":        {[][]tar.Header{{hardlink("y", "none")}}, "hard link y"},
		"a device":                      {[][]tar.Header{{{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}}}, "dev/sda"},
		"a character device":            {[][]tar.Header{{{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}}, "device"},
		"a pipe":                        {[][]tar.Header{{{Name: "p", Typeflag: tar.TypeFifo}}}, "special file"},
		"a root that is a symlink":      {[][]tar.Header{{symlink(".", "/etc")}}, "root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var layers []v1.Layer
			for _, headers := range c.layers {
				layers = append(layers, layerOf(t, headers...))
			}
			parent := t.TempDir()
			err := oci.Client{}.Unpack(t.Context(), imageOf(t, layers...), filepath.Join(parent, "root"))
			fails(t, err, fault.Undetermined, c.words)
			if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestUnpackIntoAFolderInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, oci.Client{}.Unpack(t.Context(), anImage(t), dir), fault.BadInput, "not empty")
}

// A registry that changes a layer is found out before any of the layer is used.
func TestUnpackComparesLayers(t *testing.T) {
	t.Parallel()
	img := imageOf(t, layerOf(t, file("a", "genuine", 0o644)))
	var forged atomic.Bool
	host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if forged.Load() && strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = w.Write([]byte("forged"))
			return true
		}
		return false
	})
	var waits int
	c := impatient(&waits)
	d, err := push(t.Context(), c, saved(t, img), host+"/a")
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := c.Pull(t.Context(), host+"/a@"+d)
	if err != nil {
		t.Fatal(err)
	}
	forged.Store(true)
	dir := filepath.Join(t.TempDir(), "root")
	fails(t, c.Unpack(t.Context(), pulled, dir), fault.Undetermined, host)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is there: %v", err)
	}
}

func TestUnpackCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	parent := t.TempDir()
	err := oci.Client{}.Unpack(ctx, anImage(t), filepath.Join(parent, "root"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
