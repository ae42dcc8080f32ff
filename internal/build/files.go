package build

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// compiled is what the toolchain read beside modules of fixed versions, whose hashes go.sum holds.
type compiled struct {
	files   []string        // absolute
	folders map[string]bool // of packages; true where files below them are embedded
}

// compiledFrom lists the local files of a build: those of packages in the repository, in vendor and in folders that
// replace a module, and what says which modules those are.
func compiledFrom(packages []listed, governing, mode string) compiled {
	c := compiled{folders: map[string]bool{}}
	manifests := []string{governing}
	for _, p := range packages {
		if p.Standard || p.Module.fixed() && mode != vendored {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.SysoFiles, p.EmbedFiles) {
			c.files = append(c.files, filepath.Join(p.Dir, name))
		}
		c.folders[p.Dir] = len(p.EmbedFiles) > 0
		if p.Module != nil && p.Module.GoMod != "" && !p.Module.fixed() {
			manifests = append(manifests, p.Module.GoMod)
		}
		if !p.DepOnly {
			c.there(filepath.Join(p.Dir, "default.pgo")) // go build takes it without being asked
		}
	}
	slices.Sort(manifests)
	for _, m := range slices.Compact(manifests) { // go.mod with go.sum, or go.work with go.work.sum
		c.there(m, filepath.Join(filepath.Dir(m), "go.sum"), m+".sum")
	}
	if mode == vendored {
		c.there(filepath.Join(filepath.Dir(governing), "vendor", "modules.txt"))
	}
	return c
}

func (c *compiled) there(files ...string) {
	for _, f := range files {
		if record.Exists(f) && !slices.Contains(c.files, f) {
			c.files = append(c.files, f)
		}
	}
}

// hold refuses a program that was compiled from anything but the commit that it is said to be. It is called after
// compiling, so that what was changed in between is seen too.
func (c compiled) hold(ctx context.Context, in Inputs, deps Deps) error {
	if in.Dirty {
		return nil
	}
	if deps.Uncommitted == nil {
		return fault.Undeterminedf("whether the program was compiled from commit %.7s cannot be told", in.Commit)
	}
	wrong, err := deps.Uncommitted(ctx, c.files, c.folders)
	if err != nil || len(wrong) == 0 {
		return err
	}
	e := fault.BadInputf("the program would not be that of commit %.7s: %s not as in the commit", in.Commit, countFiles(len(wrong)))
	if len(wrong) > shown {
		wrong = append(wrong[:shown:shown], "…")
	}
	return e.WithDetail(wrong...).WithNext("Commit what the program is made of, or take it away; see also: git check-ignore -v FILE")
}

func countFiles(n int) string {
	if n == 1 {
		return "1 file of it is"
	}
	return finding.Plural(n, "file") + " of it are"
}

// foreign are flags of go build that make it read other code than the module's, or run other programs on the way.
var foreign = []string{"overlay", "toolexec", "modfile", "pgo", "pkgdir", "exec"}

// checkFlags refuses them in GOFLAGS, which may come from the environment or from `go env -w`.
func checkFlags(goflags string) error {
	for _, flag := range strings.Fields(goflags) {
		name, _, _ := strings.Cut(strings.TrimLeft(flag, `'"-`), "=")
		if slices.Contains(foreign, name) {
			return fault.BadInputf("GOFLAGS has -%s, with which the program is not made of the commit alone", name).
				WithNext("Take it out: unset GOFLAGS, or go env -u GOFLAGS where go env -w had set it")
		}
	}
	return nil
}
