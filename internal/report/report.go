// Package report renders a delivery for people and for other tools. Every form is made from the same record and findings.
package report

import (
	"encoding/json"
	"io"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Report is what is rendered.
type Report struct {
	Record   *record.Record
	Scans    []record.Stage // the scanning stages of this process, with their tool; a SARIF run each
	Findings []finding.Finding
	Files    []File // what was written beside the report
	Diff     string // what a deploy would change; empty where there is no plan
	Code     string // URL of the service's folder at the commit, with a slash at its end; empty: places are not links

	CostBefore  *record.Cost // the estimate of what the change began with, without containers where that was nothing; nil where it is not known
	CostUnknown string       // why it is not; empty where nobody asked
	Notes       []string     // what else a person should know, a sentence each
}

// File is a file that was written for people to read.
type File struct {
	Path, What string
}

// Formatter writes a report in one form.
type Formatter interface {
	Format(w io.Writer, r Report) error
}

// JSON writes the findings as a JSON object.
type JSON struct{}

// Format implements Formatter.
func (JSON) Format(w io.Writer, r Report) error {
	findings := r.Findings
	if findings == nil {
		findings = []finding.Finding{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"schema": "idp.findings/v1", "findings": findings})
}
