package finding

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
)

// BaselineFile is the name of the baseline beside idp.yaml.
const BaselineFile = "idp-baseline.json"

const baselineSchema = "idp.baseline/v1"

// Baseline lists findings that a team has decided to live with for now. It holds nothing of the code.
type Baseline struct {
	Schema   string  `json:"schema"`
	Findings []Entry `json:"findings"`
}

// Entry is one finding of a baseline.
type Entry struct {
	Path        string `json:"path"`
	Rule        string `json:"rule"`
	Scanner     string `json:"scanner"`
	Scope       string `json:"scope,omitempty"`
	Fingerprint string `json:"fingerprint"`
}

// NewBaseline makes a baseline of findings.
func NewBaseline(findings []Finding) Baseline {
	b := Baseline{Schema: baselineSchema, Findings: []Entry{}}
	for _, f := range findings {
		b.Findings = append(b.Findings, Entry{f.File, f.Rule, f.Scanner, f.Scope, f.Fingerprint})
	}
	return b.Sorted()
}

// Sorted puts the entries into their order, each once.
func (b Baseline) Sorted() Baseline {
	b.Schema = baselineSchema
	b.Findings = slices.Clone(b.Findings)
	slices.SortFunc(b.Findings, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Scanner, y.Scanner), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	b.Findings = slices.Compact(b.Findings)
	return b
}

// ReadBaseline reads a file; nil where there is none.
func ReadBaseline(path string) (*Baseline, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the path is the caller's own input
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.BadInputf("the baseline cannot be read: %w", err)
	}
	return ParseBaseline(path, data)
}

// ParseBaseline reads a baseline strictly: one that says something else than it seems to would let findings pass.
func ParseBaseline(file string, data []byte) (*Baseline, error) {
	var b Baseline
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	bad := func(format string, args ...any) error {
		return fault.BadInputf("%s: %w", file, fmt.Errorf(format, args...)).WithNext("Write it anew: idp baseline")
	}
	if err := dec.Decode(&b); err != nil {
		return nil, bad("not a baseline: %w", err)
	}
	if dec.More() {
		return nil, bad("something follows the baseline")
	}
	if b.Schema != baselineSchema {
		return nil, bad("its schema is %.40q, this program reads %q", b.Schema, baselineSchema)
	}
	for i, e := range b.Findings {
		if e.Scanner == "" || e.Rule == "" || !IsFingerprint(e.Fingerprint) {
			return nil, bad("finding %d lacks a scanner, a rule or a whole fingerprint", i+1)
		}
	}
	return &b, nil
}

// IsFingerprint tells whether a text is a whole fingerprint.
func IsFingerprint(s string) bool {
	return len(s) == 2*half && strings.Trim(s, "0123456789abcdef") == ""
}

// Encode gives the file's bytes: the same for the same findings, an entry a line, so that changes are easy to review.
func (b Baseline) Encode() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n  \"schema\": %q,\n  \"findings\": [", b.Schema)
	for i, e := range b.Findings {
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		out.Write(bytes.TrimSpace(line.Bytes()))
	}
	if len(b.Findings) > 0 {
		out.WriteString("\n  ")
	}
	out.WriteString("]\n}\n")
	return out.Bytes(), nil
}

// Of are the entries of some scanners, as findings to match with.
func (b Baseline) Of(scanners ...string) []Finding {
	var list []Finding
	for _, e := range b.Findings {
		if slices.Contains(scanners, e.Scanner) {
			list = append(list, Finding{Scanner: e.Scanner, Rule: e.Rule, File: e.Path, Scope: e.Scope, Fingerprint: e.Fingerprint})
		}
	}
	return list
}
