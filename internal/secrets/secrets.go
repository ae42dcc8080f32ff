// Package secrets looks for secrets with the rules of gitleaks, in the commits of the change and in the working tree, and
// proves that it saw all of them.
//
// What is scanned is the whole repository, not only the service's folder: whoever can read one pushed commit can read
// all of it. The history is read here and not by gitleaks, whose git source reports no leaks when git dies half-way, and
// sees nothing that a merge resolution introduced:
//
//   - git rev-list says which commits there are to see, from the merge-base with the default branch to HEAD; all that HEAD
//     reaches where there is no merge-base, as on the default branch itself, or where the whole history is asked for;
//   - git diff-tree says which files each of them changed, by object name. This is plumbing: configuration and
//     .gitattributes do not change its answer. Of a merge it names the files that differ from every parent;
//   - git cat-file gives the objects, and the lines that a commit added are found here, so that no attribute, diff driver,
//     text conversion or file name can hide any.
//
// The index and the working tree, untracked files that are not ignored included, are read the same way, and so are files
// that git was told not to look at. What a shallow clone lacks of the commits is fetched first. Submodules are other
// repositories and are not followed.
//
// gitleaks' rules decide, with what it decodes (base64, hexadecimal, percent and Unicode escapes, five times over). But
// nearly all text cannot match any rule, and a [prefilter] finds that out at a small part of the cost, by what every match
// of a rule has to look like: so gitleaks itself reads only what the prefilter leaves, and finds there what it would find
// in all of it.
//
// Binary files (a NUL in the first 8,000 bytes, as git has it, and not UTF-16 or UTF-32 with a byte order mark) are checked by name
// only. Archives stay closed unless archive-depth opens them. A text above [MaxFileSize], and an archive that was to be
// opened and cannot be, is a gap, so the answer is undetermined unless an allowlist in .gitleaks.toml covers its path. There
// is no other rule for generated and vendored files: what gitleaks' allowlist names (lock files, node_modules, vendored Go
// modules, images, minified libraries) is left out and counted.
//
// Memory: each worker, of which there are as many as processors, holds the versions of one file that it compares (at most
// MaxFileSize each, and what is decoded of them), and 8 MiB of earlier ones.
//
// Severity: a token of a known provider, or a rule of one's own, is critical; a rule that knows the place but not the form
// of a secret (generic-api-key and the like), and half of a credential (a client ID), is high.
package secrets

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/triage"
)

// Version is that of the gitleaks module whose rules are built in.
const Version = "8.30.1"

// MaxFileSize is the size in bytes above which a text file is not scanned, which leaves the answer undetermined.
const MaxFileSize = 32 << 20

const scanner = "gitleaks"

// The values of the input history.
const (
	HistoryChange = "change"
	HistoryAll    = "all"
)

// Inputs is what the stage takes.
type Inputs struct {
	action.Reports
	History      string
	ArchiveDepth int

	// The app fills in the rest.

	Repo   *gitrepo.Repo // nil: Dir is in none, and all its files are scanned
	Dir    string        // looked at only without a repository
	Out    string        // folder in Dir that is not scanned: what this program has written
	Triage triage.Desk   // decides which findings count
}

// Declare declares what users may set.
func (in *Inputs) Declare(s *action.Set) {
	in.Reports.Declare(s)
	s.String(&in.History, action.Input{Name: "history", Default: HistoryChange, OneOf: []string{HistoryChange, HistoryAll}, Example: HistoryAll,
		Usage: "Commits to scan: those since HEAD left the default branch, or all. Without a default branch, and on it, all are scanned. A folder in no repository has none: its files are scanned."})
	s.Int(&in.ArchiveDepth, action.Input{Name: "archive-depth", Default: "0", Example: "1",
		Usage: "How many archives deep files are looked for (zip, tar, gz, xz, 7z and others, by their names). At 0, as in gitleaks, archives stay closed and are counted."})
}

// Deps is what the stage needs from outside; the zero value works.
type Deps struct {
	Progress action.Progress
}

// Outputs is what the stage gives back.
type Outputs = action.Result[record.Scan]

// Run scans, and holds what it found against the threshold. It is undetermined unless every expected commit and the whole
// working tree were seen.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: record.Tool{Name: scanner, Version: Version}}
	out.Evidence = record.Scan{Coverage: record.Coverage{Unit: "commits"}, New: finding.Counts{}, Known: finding.Counts{},
		Policy: in.Triage.Policy, FailOn: in.Triage.Rules.FailOn.String()}
	if in.History != "" && in.History != HistoryChange && in.History != HistoryAll {
		return out, fault.BadInputf("input history: %q is not one of %s, %s", in.History, HistoryChange, HistoryAll)
	}
	s, gap, err := in.scan(ctx, deps.Progress)
	if err != nil {
		return out, err
	}
	out.Evidence.Commit, out.Evidence.Coverage = s.repo.Commit, s.coverage()
	found := triage.Scan{Findings: s.findings(ctx), Scanners: []string{scanner}, Noun: "secret", Complete: gap == nil, Whole: in.whole(ctx), Anywhere: true}
	if !found.Whole {
		found.Gone = s.gone
	}
	settled, gate := in.Triage.Settle(ctx, found)
	out.Findings = settled.Findings
	settled.Evidence(&out.Evidence)
	if gap != nil {
		return out, withFindings(gap, out.Findings)
	}
	c := out.Evidence.Coverage
	seen := finding.Plural(c.Scanned, "commit") + ", " + finding.Plural(c.Files, "file") + ", working tree"
	if in.Repo == nil {
		seen = finding.Plural(c.Files, "file") + ", no history"
	}
	out.Summary = seen + " · " + settled.Summary("secret")
	return out, advise(gate, in.Triage)
}

// scan looks at everything there is to see; the fault is what it could not see.
func (in Inputs) scan(ctx context.Context, progress action.Progress) (*scan, *fault.Error, error) {
	if in.Repo == nil {
		rules, err := loadRules(in.Dir, strict(in.Triage.Rules))
		if err != nil {
			return nil, nil, err
		}
		s := newScan(&gitrepo.Repo{Root: in.Dir}, rules, progress)
		s.archiveDepth = in.ArchiveDepth
		return s, s.folder(ctx, in.Out), nil
	}
	rules, commits, err := prepare(ctx, in, progress)
	if err != nil {
		return nil, nil, err
	}
	s := newScan(in.Repo, rules, progress)
	s.archiveDepth = in.ArchiveDepth
	return s, s.run(ctx, commits), nil
}

// strict tells that the policy lets nothing pass that a team has suppressed, so neither what [ConfigFile] would.
func strict(gate finding.Rules) bool { return gate.Suppressions == finding.Refuse }

// prepare loads the rules while git lists the commits, as each takes a good part of what the scan of a small change takes.
func prepare(ctx context.Context, in Inputs, progress action.Progress) (rules, listing, error) {
	ctx, cancel := context.WithCancel(ctx)
	commits := make(chan listing, 1)
	go func() { commits <- commitsOf(ctx, in.Repo, in.History, progress) }()
	r, err := loadRules(in.Repo.Root, strict(in.Triage.Rules))
	if err != nil {
		cancel()
	}
	l := <-commits // also to leave no git behind
	cancel()
	return r, l, err
}

// whole tells whether the whole history was asked for, or is, because HEAD left no other branch.
func (in Inputs) whole(ctx context.Context) bool {
	if in.History == HistoryAll || in.Repo == nil {
		return true
	}
	base, err := in.Repo.MergeBase(ctx)
	return err == nil && base == ""
}

// gone tells of a file, as the service's folder names it, that the working tree has it no more.
func (s *scan) gone(name string) bool {
	_, err := os.Lstat(filepath.Join(s.repo.Dir(), filepath.FromSlash(name)))
	return errors.Is(err, fs.ErrNotExist)
}

// withFindings shows what an incomplete scan did find: it needs acting on whatever else is there.
func withFindings(gap *fault.Error, all []finding.Finding) error {
	var findings []finding.Finding
	for _, f := range all {
		if f.Suppression == nil && f.Scanner == scanner {
			findings = append(findings, f)
		}
	}
	if len(findings) > 0 {
		gap = gap.WithDetail("", "It did find "+finding.Plural(len(findings), "secret")+":").WithDetail(finding.Describe(findings, 10)...)
	}
	return gap
}

// advise names the mark where no waiver would count.
func advise(err error, desk triage.Desk) error {
	if e, ok := err.(*fault.Error); ok && e.Kind == fault.Failed && desk.Waivers.MaxDays == 0 && desk.Rules.Suppressions != finding.Refuse {
		return e.WithNext("False alarm? End the line with " + allowMark + " -- and the reason, or add an allowlist to " + ConfigFile + ".")
	}
	return err
}

// oneLine keeps the first line of what a tool said.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(s)
}
