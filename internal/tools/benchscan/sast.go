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
	b := bench{options: o, tmp: tmp, gosec: gosec, dir: o.repo}
	title := o.repo
	if b.dir == "" {
		title = "generated module"
		if b.dir, err = generateModule(ctx, o, o.lines); err != nil {
			return err
		}
	}
	size, err := b.look()
	if err != nil {
		return err
	}
	title += ", " + size
	ours, theirs := b.contenders("")
	if err := measure(ctx, o.runs, ours, theirs); err != nil {
		return err
	}
	if err := b.show("sast: "+title, ours, theirs); err != nil || o.warm {
		return err
	}
	ours, theirs = b.contenders(filepath.Join(tmp, "gocache"))
	if err := measureOnce(ctx, ours, theirs); err != nil {
		return err
	}
	return b.show("sast, build cache empty: "+title, ours, theirs)
}

// bench is one module.
type bench struct {
	options
	tmp, gosec, dir string
	outside         []string // folders that ./... does not mean, and gosec would walk into
}

// look tells how much code there is, and finds what is not of the module.
func (b *bench) look() (string, error) {
	folders, lines := map[string]bool{}, 0
	err := filepath.WalkDir(b.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.dir, name)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(name, "go.mod"))
			if d.Name() == "testdata" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || noModule == nil {
				b.outside = append(b.outside, "/"+filepath.ToSlash(rel)+"/")
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
func (b *bench) contenders(cache string) (ours, theirs *contender) {
	ours = &contender{name: "idp sast", dir: b.dir, ok: []int{1}, args: []string{b.idp, "sast", "--service", b.dir, "--json", b.report("ours"),
		"--out", filepath.Join(b.tmp, "out"), "--record", filepath.Join(b.tmp, "record.json"), "--fail-on", "none"}}
	theirs = &contender{name: "gosec", dir: b.dir, ok: []int{1}, args: []string{b.gosec, "-quiet", "-no-fail", "-fmt", "json", "-out", b.report("theirs")}}
	for _, dir := range b.outside {
		theirs.args = append(theirs.args, "-exclude-dir", dir)
	}
	theirs.args = append(theirs.args, "./...")
	prepare := func() error {
		err := os.RemoveAll(filepath.Join(b.tmp, "record.json"))
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

func (b *bench) report(whose string) string { return filepath.Join(b.tmp, whose+".json") }

// show prints the figures and what only one of the two finds.
func (b *bench) show(title string, ours, theirs *contender) error {
	found, err := b.found()
	if err != nil {
		return err
	}
	wanted, err := b.wanted()
	if err != nil {
		return err
	}
	if err := table(b.out, title, row{ours, len(found)}, row{theirs, len(wanted)}); err != nil {
		return err
	}
	differences(b.options, "gosec", found, wanted)
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
func (b *bench) found() (places, error) {
	var report struct {
		Findings []struct {
			Scanner, Rule, File string
			Line                int
			Suppression         *struct{}
		}
	}
	if err := readJSON(b.report("ours"), &report); err != nil {
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
func (b *bench) wanted() (places, error) {
	var report struct {
		Errors map[string][]struct{ Error string } `json:"Golang errors"`
		Issues []struct {
			Rule string `json:"rule_id"`
			File string
			Line string
		}
	}
	if err := readJSON(b.report("theirs"), &report); err != nil {
		return nil, err
	}
	if len(report.Errors) > 0 {
		_, _ = fmt.Fprintf(b.out, "gosec could not read everything: %d files with errors\n", len(report.Errors))
	}
	p := places{}
	for _, i := range report.Issues {
		rel, err := filepath.Rel(b.dir, i.File)
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
