package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	releaseFile = "release.json"
	launchFile  = "launch.json"
	runFile     = "run.json"
	// staging marks a folder that is still being unpacked; a name never starts with a dot.
	staging = ".staging-"
	// keepLogs is how many logs of releases that are gone stay, for whoever looks into a failed deploy later.
	keepLogs = 10
)

// Meta is what a release is made of.
type Meta struct {
	Reference  string            `json:"reference,omitempty"` // IMAGE@DIGEST where it was taken from
	Digest     string            `json:"digest"`
	Commit     string            `json:"commit"`
	Entrypoint []string          `json:"entrypoint"` // the image's entrypoint and command
	ImageEnv   []string          `json:"imageEnv"`   // NAME=VALUE
	WorkDir    string            `json:"workDir"`    // in the image
	Env        map[string]string `json:"env"`        // the service's, over the image's
	Health     string            `json:"health"`     // path that answers 200
}

// Same tells whether two releases would run the same program in the same way. What the image says is in its digest.
func (m Meta) Same(digest, commit, health string, env map[string]string) bool {
	return m.Digest == digest && m.Commit == commit && m.Health == health && maps.Equal(m.Env, env)
}

// Release is an unpacked image with its configuration.
type Release struct {
	Meta
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	dir     string
}

// Stage unpacks an image beside the live release without touching it. The release exists only when it is whole: it is
// unpacked under another name and renamed.
func (t *Target) Stage(ctx context.Context, meta Meta, unpack func(ctx context.Context, dir string) error) (*Release, error) {
	name, err := t.nextName(meta.Digest)
	if err != nil {
		return nil, err
	}
	tmp := filepath.Join(t.releases(), staging+name)
	defer func() { _ = removeAll(tmp) }() // gone already when all went well
	for _, d := range []string{"rootfs", "home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(tmp, d), 0o700); err != nil {
			return nil, err
		}
	}
	if err := unpack(ctx, filepath.Join(tmp, "rootfs")); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", meta.Digest, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &Release{Meta: meta, Name: name, Created: t.now().UTC(), dir: t.dir(name)}
	if err := writeJSON(filepath.Join(tmp, releaseFile), r); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, r.dir); err != nil {
		return nil, err
	}
	if err := r.Runnable(); err != nil {
		return nil, errors.Join(err, removeAll(r.dir))
	}
	return r, nil
}

// Release reads a release; the error is fs.ErrNotExist where it is gone.
func (t *Target) Release(name string) (*Release, error) { return readRelease(t.dir(name)) }

func readRelease(dir string) (*Release, error) {
	var r Release
	if err := readJSON(filepath.Join(dir, releaseFile), &r); err != nil {
		return nil, err
	}
	r.dir = dir
	return &r, nil
}

// Heal brings the target into a state that a deploy can build on, whatever moment the last one was killed at: what is
// half unpacked goes, what runs without being live is stopped, and a state that names a lost release forgets it.
func (t *Target) Heal(ctx context.Context) error {
	if err := os.MkdirAll(t.releases(), 0o700); err != nil {
		return err
	}
	s, err := t.State()
	if err != nil {
		return err
	}
	if err := t.forgetLost(&s); err != nil {
		return err
	}
	names, err := t.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == s.Current {
			continue
		}
		if err := t.Stop(ctx, name, 0); err != nil {
			return err
		}
	}
	return t.Prune(KeepReleases)
}

func (t *Target) forgetLost(s *State) error {
	lost := func(name string) bool {
		_, err := t.Release(name)
		return err != nil
	}
	before := *s
	s.History = slices.DeleteFunc(slices.Clone(s.History), lost)
	if s.LastGood != "" && lost(s.LastGood) {
		s.LastGood = ""
	}
	if s.Current != "" && lost(s.Current) {
		s.Current, s.Supervisor, s.Port, s.URL = "", Process{}, 0, ""
	}
	if s.Current == before.Current && s.LastGood == before.LastGood && len(s.History) == len(before.History) {
		return nil
	}
	return t.write(*s)
}

// Prune removes every release that is neither live, nor the last good one, nor among the newest keep that were promoted,
// and the logs of all but the newest that are gone. What still runs is left: Heal stops it first.
func (t *Target) Prune(keep int) error {
	s, err := t.State()
	if err != nil {
		return err
	}
	kept := append([]string{s.Current, s.LastGood}, s.History[max(0, len(s.History)-keep):]...)
	entries, err := os.ReadDir(t.releases())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(kept, e.Name()) || t.Alive(e.Name()) {
			continue
		}
		if err := removeAll(t.dir(e.Name())); err != nil {
			return err
		}
	}
	s.History = s.History[max(0, len(s.History)-keep):]
	if err := t.write(s); err != nil {
		return err
	}
	return t.pruneLogs()
}

func (t *Target) pruneLogs() error {
	names, err := t.logNames()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { _, err := os.Stat(t.dir(n)); return err == nil })
	for _, name := range names[:max(0, len(names)-keepLogs)] {
		for _, suffix := range []string{"", ".1"} {
			if err := os.Remove(t.LogPath(name) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// names lists the releases, the oldest first.
func (t *Target) names() ([]string, error) {
	entries, err := os.ReadDir(t.releases())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, byNumber)
	return names, nil
}

func (t *Target) logNames() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(t.root, "log", "*.log"))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(p), ".log")
	}
	slices.SortFunc(names, byNumber)
	return names, nil
}

// nextName numbers the releases on, so that names, and logs with them, tell which came later.
func (t *Target) nextName(digest string) (string, error) {
	hex := strings.TrimPrefix(digest, "sha256:")
	if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is not a sha256 digest", digest)
	}
	names, err := t.names()
	if err != nil {
		return "", err
	}
	logs, err := t.logNames()
	if err != nil {
		return "", err
	}
	last := 0
	for _, n := range append(names, logs...) {
		last = max(last, number(n))
	}
	return fmt.Sprintf("%s-%d", hex[:12], last+1), nil
}

func byNumber(a, b string) int { return number(a) - number(b) }

func number(name string) int {
	n, _ := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:]) // a foreign name counts as the oldest
	return n
}

// removeAll also removes folders that the image made read-only.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o700) // #nosec G302 -- a folder on its way out
		}
		return nil
	})
	return os.RemoveAll(path)
}
