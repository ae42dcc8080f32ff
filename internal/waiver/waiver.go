// Package waiver reads idp-waivers.yaml, in which a team says which findings it lets pass for now, why, and until when.
// What the policy does not allow, what has run out and what waives nothing any more is itself a finding: a list that
// nobody looks after would grow into a gate without a fence.
package waiver

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/strictyaml"
)

// FileName is the file beside idp.yaml.
const FileName = "idp-waivers.yaml"

// Docs says what each key means.
const Docs = "docs/findings.md"

// Waiver lets a finding pass until a day: the one with the fingerprint, or those of a rule in the files of a pattern.
type Waiver struct {
	Fingerprint string `yaml:"fingerprint" jsonschema:"pattern=^[0-9a-f]{32}$" want:"the 32 digits of a finding, as in findings.json"`
	Scanner     string `yaml:"scanner" jsonschema:"required,minLength=1"` // gosec, gitleaks, or the name in the SARIF
	Rule        string `yaml:"rule" jsonschema:"minLength=1"`
	Path        string `yaml:"path" jsonschema:"minLength=1"` // of the file, relative to the service; * and ** in a pattern
	Reason      string `yaml:"reason"`
	Owner       string `yaml:"owner" jsonschema:"required,minLength=1"`
	Expires     string `yaml:"expires" jsonschema:"required,pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" want:"a day, such as 2027-01-31"`

	line int
}

// File is a file of waivers.
type File struct {
	Waivers []Waiver `yaml:"waivers" jsonschema:"required"`
}

// Load reads the file of a service; nil where it has none.
func Load(dir string) (*File, error) {
	name := filepath.Join(dir, FileName)
	data, err := strictyaml.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return Parse(name, data)
}

// Parse reads a file and reports all that is wrong with it together, each problem with its line.
func Parse(name string, data []byte) (*File, error) {
	f := &File{}
	doc := strictyaml.Parse(name, data, f, strictyaml.Next(Docs+" says how findings are waived."))
	for i := range f.Waivers {
		w := &f.Waivers[i]
		at := strictyaml.Path{"waivers", i}
		w.line, _, _ = doc.Position(at)
		switch {
		case doc.Has(append(at, "fingerprint")):
		case w.Rule == "" || w.Path == "":
			doc.Problem(at, "%s: want a fingerprint, or a rule and a path", at)
		default:
			if _, err := path.Match(strings.ReplaceAll(w.Path, "**", "*"), ""); err != nil {
				doc.Wrong(append(at, "path"), "not a pattern that can be read")
			}
		}
		if _, err := time.Parse(time.DateOnly, w.Expires); w.Expires != "" && err != nil {
			doc.Wrong(append(at, "expires"), "there is no such day")
		}
	}
	return f, doc.Err()
}

// matches tells whether the waiver is for the finding itself. One by fingerprint follows a file that was renamed, see
// follows.
func (w Waiver) matches(f finding.Finding) bool {
	if w.Scanner != f.Scanner || w.Rule != "" && w.Rule != f.Rule {
		return false
	}
	if w.Fingerprint != "" {
		return w.Fingerprint == f.Fingerprint
	}
	return Glob(w.Path, f.File)
}

// follows tells whether the finding is what the waiver was for, in a file that was renamed or moved since.
func (w Waiver) follows(f finding.Finding) bool {
	if w.Fingerprint == "" || w.Path == "" || w.Rule == "" || w.Scanner != f.Scanner || w.Rule != f.Rule {
		return false
	}
	return finding.SameContext(w.Fingerprint, f.Fingerprint) &&
		(path.Base(w.Path) == path.Base(f.File) || path.Dir(w.Path) == path.Dir(f.File))
}

// name is what people call the waiver by.
func (w Waiver) name() string {
	if w.Fingerprint != "" {
		return strings.TrimSpace(fmt.Sprintf("%.8s %s %s", w.Fingerprint, w.Rule, w.Path))
	}
	return w.Rule + " in " + w.Path
}

// key tells waivers apart, whatever line they are in.
func (w Waiver) key() string {
	return strings.Join([]string{w.Fingerprint, w.Scanner, w.Rule, w.Path, w.Expires}, "\x00")
}

// Glob matches a path against a pattern: ** stands for any folders, the rest is as in path.Match.
func Glob(pattern, name string) bool {
	return glob(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func glob(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		for i := range len(name) + 1 {
			if glob(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && glob(pattern[1:], name[1:])
}
