package githubfake

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Why a repository takes no SARIF, in GitHub's words, for Repository.ScanningOff.
const (
	AdvancedSecurityOff = "Advanced Security must be enabled for this repository to use code scanning."
	CodeSecurityOff     = "Code Security must be enabled for this repository to use code scanning."
	ScanningNotEnabled  = "Code scanning is not enabled for this repository. Please enable code scanning in the repository settings."
)

// Sarif is an upload that was taken.
type Sarif struct {
	ID, SHA, Ref, Tool string
	Categories         []string // of the runs, by tool: TOOL CATEGORY
	Results            int
	Log                json.RawMessage // decoded
	Status             string          // pending, complete or failed
	Errors             []string
	By                 string
	Created            time.Time
	asked              int
}

// Sarifs are all uploads, oldest first.
func (r *Repository) Sarifs() []Sarif {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Sarif
	for _, u := range r.sarifs {
		all = append(all, *u)
	}
	return all
}

var scanningRoutes = []route{
	{name: "POST /:repo/code-scanning/sarifs", needs: "security-events: write", do: uploadSarif},
	{name: "GET /:repo/code-scanning/sarifs/{sarif_id}", needs: "security-events: read", do: getSarif},
	{name: "GET /:repo/code-scanning/analyses", needs: "security-events: read", do: listAnalyses},
}

// scanningOff is why the repository has no code scanning; empty where it has.
func (r *Repository) scanningOff() string {
	switch {
	case r.ScanningOff != "":
		return r.ScanningOff

	case r.Private && !r.CodeSecurity:
		return CodeSecurityOff
	}
	return ""
}

// maxSarif is of the compressed file. https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/file-too-large
const maxSarif = 10 << 20

func uploadSarif(c *call) answer {
	if off := c.repo.scanningOff(); off != "" {
		return fail(403, off)
	}
	in := struct {
		CommitSHA string `json:"commit_sha"`
		Ref       string
		Sarif     string
		ToolName  string `json:"tool_name"`
	}{}
	c.read(&in)
	packed, err := base64.StdEncoding.DecodeString(in.Sarif)
	if err != nil {
		return fail(400, "sarif is not valid base64")
	}
	if len(packed) > maxSarif {
		return fail(413, "Payload Too Large")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fail(400, "sarif is not valid gzip")
	}
	log, err := io.ReadAll(z)
	if err != nil {
		return fail(400, "sarif is not valid gzip")
	}
	n := c.nextID()
	u := &Sarif{ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n), SHA: in.CommitSHA, Ref: in.Ref, Tool: in.ToolName, Log: log, Status: "pending",
		By: c.token.user.login, Created: c.time()}
	c.repo.process(u)
	c.repo.sarifs = append(c.repo.sarifs, u)
	return answer{status: 202, body: object{"id": u.ID, "url": c.repo.api("/code-scanning/sarifs/%s", u.ID)}}
}

// sarifLog is what of SARIF there are limits for.
type sarifLog struct {
	Version string
	Runs    []sarifRun
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name  string
			Rules []struct{ Properties struct{ Tags []string } }
		}
		Extensions []any
	}
	AutomationDetails struct{ ID string }
	Results           []struct {
		Message   *struct{ Text, ID string }
		Locations []struct {
			PhysicalLocation *struct {
				ArtifactLocation *struct{ URI string }
			}
		}
		CodeFlows []struct {
			ThreadFlows []struct{ Locations []any }
		}
	}
}

// process finds what the upload will end with. The commit must be there and the ref too.
func (r *Repository) process(u *Sarif) {
	reject := func(format string, args ...any) { u.Errors = append(u.Errors, fmt.Sprintf(format, args...)) }
	u.Errors = slices.Clone(r.ScanningErrors)
	var log sarifLog
	if err := json.Unmarshal(u.Log, &log); err != nil {
		reject("Invalid SARIF. %v", err)
		return
	}
	switch {
	case log.Version != "2.1.0":
		reject("Invalid SARIF. The version is %q, not 2.1.0", log.Version)
	case r.resolve(u.Ref) == "":
		reject("ref '%s' not found in this repository", u.Ref)
	case r.commits[u.SHA] == nil:
		reject("commit not found")
	}
	atMost := func(what string, n, limit int) {
		if n > limit {
			reject("rejecting SARIF, as there are more %s than allowed (%d > %d)", what, n, limit)
		}
	}
	atMost("runs", len(log.Runs), 20)
	for i := range log.Runs {
		run := &log.Runs[i]
		u.Results += len(run.Results)
		category := run.Tool.Driver.Name + " " + strings.TrimSuffix(run.AutomationDetails.ID, "/")
		if slices.Contains(u.Categories, category) {
			reject("rejecting SARIF, as there are multiple runs with the same tool and category")
		}
		u.Categories = append(u.Categories, category)
		run.limits(atMost, reject)
	}
}

// limits are those of https://docs.github.com/en/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data.
func (run *sarifRun) limits(atMost func(string, int, int), reject func(string, ...any)) {
	if run.Tool.Driver.Name == "" {
		reject("Invalid SARIF. A run has no tool.driver.name")
	}
	atMost("results per run", len(run.Results), 25_000)
	atMost("rules per run", len(run.Tool.Driver.Rules), 25_000)
	atMost("tool extensions per run", len(run.Tool.Extensions), 100)
	for _, rule := range run.Tool.Driver.Rules {
		atMost("tags per rule", len(rule.Properties.Tags), 20)
	}
	for _, result := range run.Results {
		atMost("locations per result", len(result.Locations), 1000)
		flows := 0
		for _, flow := range result.CodeFlows {
			for _, thread := range flow.ThreadFlows {
				flows += len(thread.Locations)
			}
		}
		atMost("thread flow locations per result", flows, 10_000)
		if result.Message == nil || result.Message.Text+result.Message.ID == "" {
			reject("Invalid SARIF. A result has no message")
		}
		if len(result.Locations) == 0 {
			reject("locationFromSarifResult: expected at least one location")
		} else if at := result.Locations[0].PhysicalLocation; at == nil || at.ArtifactLocation == nil {
			reject("locationFromSarifResult: expected artifact location")
		}
	}
}

// getSarif answers pending as often as the repository says.
func getSarif(c *call) answer {
	for _, u := range c.repo.sarifs {
		if u.ID != c.params["sarif_id"] {
			continue
		}
		u.asked++
		switch {
		case u.asked <= c.repo.ScanningPending:
			return ok(object{"processing_status": "pending"})
		case len(u.Errors) > 0:
			u.Status = "failed"
			return ok(object{"processing_status": "failed", "errors": u.Errors})
		}
		u.Status = "complete"
		return ok(object{"processing_status": "complete", "analyses_url": c.repo.api("/code-scanning/analyses?sarif_id=%s", u.ID)})
	}
	return notFound()
}

func listAnalyses(c *call) answer {
	if off := c.repo.scanningOff(); off != "" {
		return fail(403, off)
	}
	out := []object{}
	for _, u := range slices.Backward(c.repo.sarifs) {
		if u.Status != "complete" || !matches(map[string]string{c.query.Get("ref"): u.Ref, c.query.Get("sarif_id"): u.ID}) {
			continue
		}
		for i, run := range u.Categories {
			tool, category, _ := strings.Cut(run, " ")
			id := 1000*u.Created.Unix() + int64(i)
			out = append(out, object{"id": id, "ref": u.Ref, "commit_sha": u.SHA, "sarif_id": u.ID, "category": category, "analysis_key": category, "environment": "{}",
				"error": "", "warning": "", "created_at": stamp(u.Created), "results_count": u.Results, "url": c.repo.api("/code-scanning/analyses/%d", id),
				"tool": object{"name": tool, "guid": nil, "version": nil}, "deletable": true})
		}
	}
	if len(out) == 0 {
		return fail(404, "no analysis found")
	}
	return page(out)
}
