// Package local runs releases of a service as supervised processes on this machine. It is the deploy target of a laptop
// and of the demo, with the manners of a real one: releases are unpacked beside each other, one is current, the last good
// one is kept, and whatever moment a deploy is killed at, the next one finds a state that it understands.
//
// Below the root folder of one service in one environment:
//
//	lock                   held by flock while a deploy works
//	state.json             which release is current and which was the last good one
//	releases/NAME/         release.json, rootfs/, home/, tmp/; launch.json while it is wanted; run.json by its supervisor
//	log/NAME.log           what the service wrote
//
// A service is not confined: it runs as the user who deploys, without chroot. What it gets is its image's environment and
// its own, never the caller's.
package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/org/idp/internal/record"
)

// KeepReleases is how many promoted releases stay on disk, besides the current and the last good one.
const KeepReleases = 3

// Target is one service in one environment on this machine. Its methods that change anything expect the caller to hold
// the lock.
type Target struct {
	root string
	now  func() time.Time
}

// State is what the target remembers between deploys.
type State struct {
	Current    string    `json:"current"`  // release that is live; empty: none
	LastGood   string    `json:"lastGood"` // last release whose smoke test passed; empty: none
	History    []string  `json:"history"`  // promoted releases, the newest last
	Supervisor Process   `json:"supervisor"`
	Port       int       `json:"port"`
	URL        string    `json:"url"`
	Updated    time.Time `json:"updated"`
}

// Open names the target below root, which need not exist yet. It is BadInput where this machine's system is not supported.
func Open(root string, now func() time.Time) (*Target, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	if root == "" || now == nil {
		return nil, errors.New("the local target needs a folder and a clock")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return &Target{root: root, now: now}, nil
}

// Exists tells whether anything was ever deployed here.
func (t *Target) Exists() bool {
	_, err := os.Stat(filepath.Join(t.root, "releases"))
	return err == nil
}

// State reads the state; a target that was never deployed to has the zero state.
func (t *Target) State() (State, error) {
	var s State
	err := readJSON(t.statePath(), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	return s, err
}

// Current gives the release that is live by the state, whether or not it runs; nil where there is none.
func (t *Target) Current() (*Release, error) {
	s, err := t.State()
	if err != nil || s.Current == "" {
		return nil, err
	}
	return t.Release(s.Current)
}

// Promote records that r is live now. What was live before stays in the history.
func (t *Target) Promote(r *Release, run Running) error {
	s, err := t.State()
	if err != nil {
		return err
	}
	s.Current, s.Supervisor, s.Port, s.URL = r.Name, run.Supervisor, run.Port, run.URL
	s.History = append(slices.DeleteFunc(s.History, func(n string) bool { return n == r.Name }), r.Name)
	return t.write(s)
}

// MarkGood records that the release passed its smoke test, so that it is what a later failure goes back to. It is an
// error when another release is live by now: a confirmation of something else confirms nothing.
func (t *Target) MarkGood(name string) error {
	s, err := t.State()
	if err != nil {
		return err
	}
	if s.Current != name {
		return fmt.Errorf("release %s is not live, %s is", name, orNone(s.Current))
	}
	s.LastGood = name
	return t.write(s)
}

// Forget takes a release out of what can be gone back to; where it is the live one, nothing is live from now on.
func (t *Target) Forget(name string) error {
	s, err := t.State()
	if err != nil {
		return err
	}
	s.History = slices.DeleteFunc(s.History, func(n string) bool { return n == name })
	if s.LastGood == name {
		s.LastGood = ""
	}
	if s.Current == name {
		s.Current, s.Supervisor, s.Port, s.URL = "", Process{}, 0, ""
	}
	return t.write(s)
}

// Fallback names the release to go back to from the one called name: the last good one, else the one that was promoted
// before it; empty where there is none.
func (s State) Fallback(name string) string {
	if s.LastGood != "" && s.LastGood != name {
		return s.LastGood
	}
	for _, n := range slices.Backward(s.History) {
		if n != name {
			return n
		}
	}
	return ""
}

func (t *Target) write(s State) error {
	s.Updated = t.now().UTC()
	return writeJSON(t.statePath(), s)
}

func (t *Target) statePath() string             { return filepath.Join(t.root, "state.json") }
func (t *Target) releases() string              { return filepath.Join(t.root, "releases") }
func (t *Target) dir(name string) string        { return filepath.Join(t.releases(), name) }
func (t *Target) LogPath(release string) string { return logPath(t.dir(release)) }
func logPath(releaseDir string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(releaseDir)), "log", filepath.Base(releaseDir)+".log")
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path) // #nosec G304 -- paths below the target's own folder
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return record.WriteFile(path, append(data, '\n'), 0o600)
}
