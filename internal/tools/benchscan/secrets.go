package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/secrets"
)

const gitleaksModule = "github.com/zricethezav/gitleaks/v8"

// benchSecrets measures idp secrets and gitleaks git, over a whole history and over a pull request.
func benchSecrets(ctx context.Context, o options) error {
	gitleaks, err := peer(ctx, o, "gitleaks", gitleaksModule, "v"+secrets.Version)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "idp-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if o.repo != "" {
		return secretsOf(ctx, o, tmp, gitleaks, o.repo, "whole history of "+o.repo, "all", "--full-history HEAD --diff-filter=tuxdb")
	}
	for _, commits := range []int{5000, 10000} {
		dir, err := generate(ctx, o, commits)
		if err != nil {
			return err
		}
		if err := secretsOf(ctx, o, tmp, gitleaks, dir, fmt.Sprintf("whole history, %d commits", commits), "all", ""); err != nil {
			return err
		}
		if err := secretsOf(ctx, o, tmp, gitleaks, dir, fmt.Sprintf("pull request, %d of %d commits", changeLength, commits), "change", "origin/main..HEAD"); err != nil {
			return err
		}
	}
	return nil
}

// secretsOf runs both on one repository and compares what they find.
func secretsOf(ctx context.Context, o options, tmp, gitleaks, dir, title, history, logOptions string) error {
	ourReport, theirReport := filepath.Join(tmp, "ours.json"), filepath.Join(tmp, "theirs.json")
	ours := &contender{name: "idp secrets", dir: tmp, ok: []int{1}, args: []string{o.idp, "secrets", "--service", dir, "--history", history,
		"--json", ourReport, "--out", filepath.Join(tmp, "out"), "--record", filepath.Join(tmp, "record.json"), "--fail-on", "none"}}
	theirs := &contender{name: "gitleaks git", dir: tmp, args: []string{gitleaks, "git", "--no-banner", "--log-level", "error", "--exit-code", "0",
		"--report-format", "json", "--report-path", theirReport}}
	if logOptions != "" {
		theirs.args = append(theirs.args, "--log-opts", logOptions)
	}
	theirs.args = append(theirs.args, dir)
	ours.prepare = func() error { return os.RemoveAll(filepath.Join(tmp, "record.json")) }
	if err := measure(ctx, o.runs, ours, theirs); err != nil {
		return err
	}
	found, err := ourFindings(ourReport)
	if err != nil {
		return err
	}
	wanted, err := theirFindings(theirReport)
	if err != nil {
		return err
	}
	if err := table(o.out, "secrets: "+title, row{ours, len(found)}, row{theirs, len(wanted)}); err != nil {
		return err
	}
	differences(o, "gitleaks", found, wanted)
	return nil
}

// ourFindings gives the places by fingerprint.
func ourFindings(name string) (map[string]string, error) {
	var report struct {
		Findings []struct {
			Rule, File, Commit, Fingerprint string
			Line                            int
		}
	}
	if err := readJSON(name, &report); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, f := range report.Findings {
		found[f.Fingerprint] = fmt.Sprintf("%s %s:%d in %.7s", f.Rule, f.File, f.Line, f.Commit)
	}
	return found, nil
}

// theirFindings gives the places by our fingerprint: one secret in one file is one finding, whatever the commit.
func theirFindings(name string) (map[string]string, error) {
	var report []struct {
		RuleID, File, Commit, Secret string
		StartLine                    int
	}
	if err := readJSON(name, &report); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, f := range report {
		found[secrets.Fingerprint(f.RuleID, f.File, f.Secret)] = fmt.Sprintf("%s %s:%d in %.7s", f.RuleID, f.File, f.StartLine, f.Commit)
	}
	return found, nil
}

func readJSON(name string, into any) error {
	text, err := os.ReadFile(name) // #nosec G304 -- a file that this program has made
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// differences prints what only one of the two found. Values are never printed.
func differences(o options, peer string, ours, theirs map[string]string) {
	onlyIn := func(a, b map[string]string) []string {
		var list []string
		for _, key := range slices.Sorted(maps.Keys(a)) {
			if _, ok := b[key]; !ok {
				list = append(list, a[key])
			}
		}
		slices.Sort(list)
		return list
	}
	for _, d := range []struct {
		who  string
		list []string
	}{{"only idp finds", onlyIn(ours, theirs)}, {"only " + peer + " finds", onlyIn(theirs, ours)}} {
		_, _ = fmt.Fprintf(o.out, "%s: %d\n", d.who, len(d.list))
		if len(d.list) > 0 {
			_, _ = fmt.Fprintln(o.out, "  "+strings.Join(d.list[:min(len(d.list), 8)], "\n  "))
		}
	}
}
