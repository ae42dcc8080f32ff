package testrun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one of go test -json; see go doc test2json.
type event struct {
	Time    time.Time
	Action  string
	Package string
	Test    string
}

// goTest is one test, or a whole package, and what became of it: with -count a test runs more than once.
type goTest struct {
	open   bool
	result result
}

type goKey struct{ pkg, test string }

// events reads all of them. A package or a test that began and did not end was cut off.
func (r *run) events(in io.Reader) error {
	seen := map[goKey]*goTest{}
	var order []goKey
	for d := json.NewDecoder(in); ; {
		var e event
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("at byte %d it is no event of go test -json: %w", d.InputOffset(), err)
		}
		r.ended(e.Time)
		if e.Package == "" {
			continue // of a build, which the package's own event tells of
		}
		if strings.HasPrefix(e.Test, "Benchmark") {
			continue // it tests nothing, and has no end in the events; one that breaks fails its package
		}
		key := goKey{e.Package, e.Test}
		t := seen[key]
		if t == nil {
			t = &goTest{open: true, result: passed}
			seen[key], order = t, append(order, key)
		}
		t.see(e.Action)
	}
	return r.close(seen, order)
}

func (t *goTest) see(action string) {
	switch action {
	case "start", "run":
		t.open = true
	case "pass":
		t.open = false
	case "skip":
		t.open, t.result = false, max(t.result, skipped)
	case "fail":
		t.open, t.result = false, failed
	}
}

// close counts the tests. Tests that have subtests are counted as well, as go test does; a package counts only where it fails
// without a test that does, as when it does not compile.
func (r *run) close(seen map[goKey]*goTest, order []goKey) error {
	if !slices.ContainsFunc(order, func(k goKey) bool { return k.test == "" }) {
		return errors.New("it has no package that came to its end")
	}
	broken := map[string]bool{}
	for _, key := range order {
		t := seen[key]
		if t.open && !failedAlready(seen, key) {
			return fmt.Errorf("%s %s did not end", key.pkg, key.test)
		}
		if t.open {
			t.result = failed // its package was torn down under it
		}
		if key.test == "" {
			continue
		}
		broken[key.pkg] = broken[key.pkg] || t.result == failed
		if err := r.add(key.pkg, key.test, t.result); err != nil {
			return err
		}
	}
	for _, key := range order {
		if key.test == "" && seen[key].result == failed && !broken[key.pkg] {
			if err := r.add(key.pkg, "", failed); err != nil {
				return err
			}
		}
	}
	return nil
}

// failedAlready tells whether the whole package is known to have failed, as after a panic or a timeout, which end the tests that
// run without a word of each.
func failedAlready(seen map[goKey]*goTest, key goKey) bool {
	p := seen[goKey{pkg: key.pkg}]
	return key.test != "" && p != nil && !p.open && p.result == failed
}
