package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/org/idp/internal/sast"
)

// benchSAST measures idp sast and gosec on a module, with warm caches and once with an empty build cache.
func benchSAST(ctx context.Context, o options) error {
	gosec, err := peer(ctx, o, "gosec", "github.com/securego/gosec/v2/cmd/gosec", "v"+sast.Version)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "idp-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	m := target{options: o, tmp: tmp, gosec: gosec, dir: o.repo}
	title := o.repo
	if m.dir == "" {
		title = "generated module"
		if m.dir, err = generateModule(ctx, o, o.lines); err != nil {
			return err
		}
	}
	size, err := m.look()
	if err != nil {
		return err
	}
	title += ", " + size
	ours, theirs := m.contenders("")
	if err := measure(ctx, o.runs, ours, theirs); err != nil {
		return err
	}
	if err := m.show("sast: "+title, ours, theirs); err != nil || o.warm {
		return err
	}
	ours, theirs = m.contenders(filepath.Join(tmp, "gocache"))
	if err := measureOnce(ctx, ours, theirs); err != nil {
		return err
	}
	return m.show("sast, build cache empty: "+title, ours, theirs)
}

// target is the module that both scan.
type target struct {
	options
	tmp, gosec, dir string
	outside         []string // folders that ./... does not mean, and gosec would walk into
}

// look tells how much code there is, and finds what is not of the module.
func (m *target) look() (string, error) {
	folders, lines := map[string]bool{}, 0
	err := filepath.WalkDir(m.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.dir, name)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(name, "go.mod"))
			if d.Name() == "testdata" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || noModule == nil {
				m.outside = append(m.outside, "/"+filepath.ToSlash(rel)+"/")
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name) // #nosec G304 G122 -- of the repository that is measured
		folders[filepath.Dir(name)] = true
		lines += strings.Count(string(text), "\n")
		return err
	})
	return fmt.Sprintf("%d lines in %d folders", lines, len(folders)), err
}

// contenders are both programs, on a build cache that is emptied before each run where one is given.
func (m *target) contenders(cache string) (ours, theirs *contender) {
	ours = &contender{name: "idp sast", dir: m.dir, ok: []int{1}, args: []string{m.idp, "sast", "--service", m.dir, "--json", m.report("ours"),
		"--out", filepath.Join(m.tmp, "out"), "--record", filepath.Join(m.tmp, "record.json"), "--fail-on", "none"}}
	theirs = &contender{name: "gosec", dir: m.dir, ok: []int{1}, args: []string{m.gosec, "-quiet", "-no-fail", "-fmt", "json", "-out", m.report("theirs")}}
	for _, dir := range m.outside {
		theirs.args = append(theirs.args, "-exclude-dir", dir)
	}
	theirs.args = append(theirs.args, "./...")
	prepare := func() error {
		err := os.RemoveAll(filepath.Join(m.tmp, "record.json"))
		if cache != "" {
			err = errors.Join(err, os.RemoveAll(cache), os.Mkdir(cache, 0o700))
		}
		return err
	}
	for _, c := range []*contender{ours, theirs} {
		c.prepare = prepare
		if cache != "" {
			c.env = append(os.Environ(), "GOCACHE="+cache)
		}
	}
	return ours, theirs
}

func (m *target) report(whose string) string { return filepath.Join(m.tmp, whose+".json") }

// show prints the figures and what only one of the two finds.
func (m *target) show(title string, ours, theirs *contender) error {
	found, err := m.found()
	if err != nil {
		return err
	}
	wanted, err := m.wanted()
	if err != nil {
		return err
	}
	if err := table(m.out, title, row{ours, len(found)}, row{theirs, len(wanted)}); err != nil {
		return err
	}
	differences(m.options, "gosec", found, wanted)
	return nil
}

// places are findings by rule, file and line, with a number where there are more of them.
type places map[string]string

func (p places) add(rule, file string, line int) {
	for n := 1; ; n++ {
		key := fmt.Sprintf("%s %s:%d %d", rule, file, line, n)
		if _, ok := p[key]; !ok {
			p[key] = key[:strings.LastIndexByte(key, ' ')]
			return
		}
	}
}

// found are ours, but those that a #nosec suppresses, which gosec does not show.
func (m *target) found() (places, error) {
	var report struct {
		Findings []struct {
			Scanner, Rule, File string
			Line                int
			Suppression         *struct{}
		}
	}
	if err := readJSON(m.report("ours"), &report); err != nil {
		return nil, err
	}
	p := places{}
	for _, f := range report.Findings {
		if f.Scanner == "gosec" && f.Suppression == nil {
			p.add(f.Rule, f.File, f.Line)
		}
	}
	return p, nil
}

// wanted are gosec's. What it could not read is told, because its exit code does not tell it.
func (m *target) wanted() (places, error) {
	var report struct {
		Errors map[string][]struct{ Error string } `json:"Golang errors"`
		Issues []struct {
			Rule string `json:"rule_id"`
			File string
			Line string
		}
	}
	if err := readJSON(m.report("theirs"), &report); err != nil {
		return nil, err
	}
	if len(report.Errors) > 0 {
		_, _ = fmt.Fprintf(m.out, "gosec could not read everything: %d files with errors\n", len(report.Errors))
	}
	p := places{}
	for _, i := range report.Issues {
		rel, err := filepath.Rel(m.dir, i.File)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(i.Line, "-")
		line, err := strconv.Atoi(first)
		if err != nil {
			return nil, err
		}
		p.add(i.Rule, filepath.ToSlash(rel), line)
	}
	return p, nil
}
