// Package sarif reads what other scanners found, from SARIF 2.1.0, as findings with fingerprints of ours. It reads
// strictly: a file that does not say that its scanner came to its end, or that says something this package does not
// understand where it decides, is an error and never an empty list.
package sarif

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// maxBytes of one file. GitHub takes 10 MB compressed.
const maxBytes = 256 << 20

// Source says what the files are about.
type Source struct {
	Dir    string // folder of the service
	Root   string // working tree of the repository; empty outside of one
	Commit string // that has to be named where a file names one; empty where it is not known
}

// Log is what was read.
type Log struct {
	Runs     []record.Import
	Findings []finding.Finding
	Left     []string // what was left out on purpose, and why
	Gaps     []string // what scanners say that they did not see
	broken   int      // runs with a gap
}

// Ended is how many runs came to their end.
func (l *Log) Ended() int { return len(l.Runs) - l.broken }

// Tools are the names of the scanners.
func (l *Log) Tools() []string {
	var names []string
	for _, r := range l.Runs {
		if !slices.Contains(names, r.Tool) {
			names = append(names, r.Tool)
		}
	}
	return names
}

// Complete is nil when every run came to its end.
func (l *Log) Complete() error {
	if len(l.Gaps) == 0 {
		return nil
	}
	return fault.Undeterminedf("%s", l.Gaps[0]).WithDetail(l.Gaps[1:]...).
		WithDetail("A scan that did not see everything is not a pass.").
		WithNext("See what the scanner itself says, and run it again.")
}

// Load reads the files that the patterns name. A pattern that matches nothing is an error: a scanner that never ran has
// not found nothing.
func Load(ctx context.Context, patterns []string, src Source) (*Log, error) {
	log := &Log{}
	var files []string
	for _, pattern := range patterns {
		list, err := filepath.Glob(pattern)
		if err != nil {
			return log, fault.BadInputf("input import: %q is not a pattern: %w", pattern, err)
		}
		if len(list) == 0 {
			return log, fault.Undeterminedf("no file matches %s, so what that scanner found is not known", pattern).
				WithNext("Run the scanner before this step, and let it write SARIF there.")
		}
		for _, name := range list {
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	r := newReader(src, log)
	for _, name := range files {
		if ctx.Err() != nil {
			return log, context.Cause(ctx)
		}
		data, err := readFile(name)
		if err == nil {
			err = r.read(filepath.ToSlash(name), data)
		}
		if err != nil {
			return log, err
		}
	}
	r.finish()
	return log, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return nil, fault.BadInputf("input import: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fault.BadInputf("input import: %w", err)
	}
	if len(data) > maxBytes {
		return nil, fault.Undeterminedf("%s is larger than %d MiB, which is not read", name, maxBytes>>20)
	}
	return data, nil
}

// IsSARIF tells a SARIF file from a baseline by its beginning.
func IsSARIF(data []byte) bool {
	var head struct {
		Runs json.RawMessage `json:"runs"`
	}
	return json.Unmarshal(data, &head) == nil && head.Runs != nil
}

// parse decodes one file.
func parse(name string, data []byte) (*document, error) {
	bad := func(what string) error {
		return fault.Undeterminedf("%s is not SARIF 2.1.0: %s", name, what).
			WithDetail("What cannot be read cannot be said to hold no finding.").
			WithNext("Let the scanner write SARIF 2.1.0, as in semgrep --sarif, trivy --format sarif, eslint -f @microsoft/eslint-formatter-sarif.")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // .NET tools begin with a byte order mark
	if bytes.HasPrefix(data, []byte("\xff\xfe")) {
		return nil, bad("it is UTF-16, as what > of Windows PowerShell writes; name the file to the scanner instead")
	}
	var doc document
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		return nil, bad(position(data, err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("something follows its end")
	}
	switch {
	case doc.Version != "2.1.0":
		return nil, bad(fmt.Sprintf("its version is %.20q", doc.Version))
	case len(doc.Runs) == 0:
		return nil, bad("it has no run, so no scanner says that it ran")
	case len(doc.Inline) > 0:
		return nil, bad("it has inlineExternalProperties, which are not read")
	}
	for i := range doc.Runs {
		r := &doc.Runs[i]
		if strings.TrimSpace(r.Tool.Driver.Name) == "" {
			return nil, bad(fmt.Sprintf("runs[%d] does not name its tool", i))
		}
		if r.Results == nil {
			return nil, bad(fmt.Sprintf("runs[%d] of %s has no results, not even an empty list: it did not scan", i, r.Tool.Driver.Name))
		}
		for _, part := range decisive {
			if r.External[part] != nil {
				return nil, bad(fmt.Sprintf("runs[%d] of %s has %s in other files, which are not read", i, r.Tool.Driver.Name, part))
			}
		}
		for j, res := range *r.Results {
			if err := res.check(r); err != nil {
				return nil, bad(fmt.Sprintf("runs[%d].results[%d]: %v", i, j, err))
			}
		}
	}
	return &doc, nil
}

// position says where in a file a problem is, without quoting it: a file of findings may hold secrets.
func position(data []byte, err error) string {
	offset, what := int64(len(data)), "it breaks off"
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typed):
		offset, what = typed.Offset, fmt.Sprintf("%s is %s, which it must not be", typed.Field, typed.Value)
	case errors.As(err, &syntax) && !strings.Contains(err.Error(), "unexpected end"):
		offset, what = syntax.Offset, "not valid JSON"
	}
	offset = min(max(offset, 0), int64(len(data)))
	return fmt.Sprintf("line %d: %s", 1+bytes.Count(data[:offset], []byte("\n")), what)
}

var (
	// decisive are the parts of a run that a verdict hangs on.
	decisive = []string{"results", "driver", "extensions", "policies", "invocations", "artifacts"}
	kinds    = []string{"", "pass", "open", "informational", "notApplicable", "review", "fail"}
	states   = []string{"", "new", "unchanged", "updated", "absent"}
)

// check refuses what could be taken for less than it is.
func (r result) check(of *run) error {
	if r.Level != nil && !slices.Contains(levels, *r.Level) {
		return fmt.Errorf("level %.20q: one of %s", *r.Level, strings.Join(levels, ", "))
	}
	if !slices.Contains(kinds, r.Kind) {
		return fmt.Errorf("kind %.20q is not one of SARIF's", r.Kind)
	}
	if !slices.Contains(states, r.State) {
		return fmt.Errorf("baselineState %.20q is not one of SARIF's", r.State)
	}
	if _, id, err := of.rule(r); err != nil {
		return err
	} else if id == "" {
		return errors.New("it names no rule")
	}
	if i := r.Provenance.Invocation; i != nil && *i >= len(of.Invocations) {
		return fmt.Errorf("invocation %d of %d", *i, len(of.Invocations))
	}
	for _, l := range append(slices.Clone(r.Locations), location{Physical: physical{Artifact: r.Target}}) {
		if i := l.Physical.Artifact.Index; i != nil && *i >= len(of.Artifacts) && l.Physical.Artifact.URI == "" {
			return fmt.Errorf("artifact %d of %d", *i, len(of.Artifacts))
		}
		if err := l.Physical.Region.check(); err != nil {
			return err
		}
	}
	return nil
}
