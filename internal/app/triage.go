package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/sarif"
	"github.com/org/idp/internal/triage"
	"github.com/org/idp/internal/waiver"
)

// desk decides which findings of a stage count, from the policy and the files of the service. The compared commit is left
// to the stages: it is looked for only when something would fail.
func (d *delivery) desk(ctx context.Context, stage string, gate policy.Gate, in action.Reports) (triage.Desk, *origin, error) {
	desk := triage.Desk{Waivers: d.rules.Waivers.Rules(), Now: d.world.Now()}
	var err error
	if desk.Rules, err = gate.Rules(stage, in.FailOn); err != nil {
		return desk, nil, err
	}
	if desk.File, err = waiver.Load(d.dir()); err != nil {
		return desk, nil, err
	}
	from := &origin{d: d}
	file := d.inService(finding.BaselineFile)
	switch {
	case in.Baseline == "":
	case isFile(in.Baseline):
		file = in.Baseline
	case d.repo == nil:
		return desk, nil, fault.BadInputf("input baseline: there is no file %s, and no git repository that could have such a ref", in.Baseline)
	default:
		if _, err := d.repo.Resolve(ctx, in.Baseline); err != nil {
			return desk, nil, err
		}
		from.ref = in.Baseline
	}
	// Who names something to compare with wants what is not in it, whatever the policy says. The evidence says so too.
	desk.Rules.NewOnly = desk.Rules.NewOnly || in.Baseline != ""
	desk.Baseline, desk.BaselineShown, err = d.readBaseline(ctx, file)
	return desk, from, err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readBaseline reads a baseline, or SARIF that stands for one; nil where there is no file.
func (d *delivery) readBaseline(ctx context.Context, name string) (*finding.Baseline, string, error) {
	data, err := os.ReadFile(name) // #nosec G304 -- the user's own input, or a fixed name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fault.BadInputf("the baseline cannot be read: %w", err)
	}
	shown := filepath.Base(name) + digestOf(data)
	if !sarif.IsSARIF(data) {
		b, err := finding.ParseBaseline(name, data)
		return b, shown, err
	}
	log, err := sarif.Load(ctx, []string{name}, sarif.Source{Dir: d.dir(), Root: d.root()})
	b := finding.NewBaseline(log.Findings)
	return &b, shown, err
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return " sha256:" + hex.EncodeToString(sum[:])
}

// root is the working tree of the repository; empty outside of one.
func (d *delivery) root() string {
	if d.repo == nil {
		return ""
	}
	return d.repo.Root
}

// origin is the commit that a change began at.
type origin struct {
	d   *delivery
	ref string // empty: the default branch
}

// repo is the repository as seen from the branch that is compared with.
func (o *origin) repo() *gitrepo.Repo {
	if o.ref == "" || o.d.repo == nil {
		return o.d.repo
	}
	r := *o.d.repo
	r.Upstream = o.ref
	return &r
}

// commit is where HEAD left the branch; empty where there is nothing to compare with.
func (o *origin) commit(ctx context.Context) (string, error) {
	repo := o.repo()
	if repo == nil {
		return "", nil
	}
	base, err := repo.MergeBase(ctx)
	switch {
	case err != nil:
		return "", err
	case base != "":
		return base, nil
	case o.ref != "": // HEAD itself, or what HEAD is behind of: what is not committed is the change
		return repo.Commit, nil
	case repo.Upstream == "" || !repo.Shallow:
		return "", nil
	}
	tip, err := repo.Resolve(ctx, repo.Upstream)
	if err == nil && tip == repo.Commit {
		return "", nil
	}
	return "", fault.Undeterminedf("the clone is shallow: it ends before the commit where HEAD left %s", repo.Upstream).
		WithNext("Fetch the rest: git fetch --unshallow origin", "In a workflow: actions/checkout with fetch-depth: 0")
}

// baseline is what the team had recorded where HEAD left the branch: all that is known of what other scanners would have
// found there.
func (o *origin) baseline(ctx context.Context) (*finding.Baseline, string, error) {
	base, err := o.commit(ctx)
	if err != nil {
		return nil, "", err
	}
	data, err := o.d.repo.File(ctx, base, path.Join(o.d.repo.Path, finding.BaselineFile))
	if err != nil {
		return nil, "", err
	}
	if data == nil {
		return nil, "", fault.BadInputf("input baseline: what other scanners would have found at %s is not known: there is no %s", shortHash(base), finding.BaselineFile).
			WithNext("Run the scanner on that commit too, and give what it writes: --baseline base.sarif", "Or record what is there: idp baseline --import 'findings/*.sarif'")
	}
	b, err := finding.ParseBaseline(finding.BaselineFile+" of "+shortHash(base), data)
	return b, finding.BaselineFile + " of " + shortHash(base) + digestOf(data), err
}

// before makes what a desk asks for: scan gives what was found at the commit.
func (o *origin) before(scan func(ctx context.Context, base string, changes []gitrepo.Change, now []finding.Finding) ([]finding.Finding, error)) func(context.Context, []finding.Finding) (*triage.Before, error) {
	return func(ctx context.Context, now []finding.Finding) (*triage.Before, error) {
		base, err := o.commit(ctx)
		if err != nil || base == "" {
			return nil, err
		}
		b := &triage.Before{Commit: base, Renamed: map[string]string{}}
		changes, err := o.d.repo.ChangesSince(ctx, base)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			if c.Old != "" && c.New != "" && c.Old != c.New {
				b.Renamed[o.d.fromService(c.New)] = o.d.fromService(c.Old)
			}
		}
		if b.Waivers, err = o.d.waiversAt(ctx, base); err != nil {
			return nil, err
		}
		b.Findings, err = scan(ctx, base, changes, now)
		return b, err
	}
}

// waiversAt reads the waivers as they were. A file that could not be read then holds none.
func (d *delivery) waiversAt(ctx context.Context, commit string) (*waiver.File, error) {
	data, err := d.repo.File(ctx, commit, path.Join(d.repo.Path, waiver.FileName))
	if err != nil || data == nil {
		return nil, err
	}
	f, err := waiver.Parse(waiver.FileName, data)
	if err != nil {
		return nil, nil //nolint:nilerr // what is wrong with it then is no concern now
	}
	return f, nil
}

// fromService names a file of the repository as the service's folder does.
func (d *delivery) fromService(name string) string {
	if d.repo.Path == "" {
		return name
	}
	if rest, ok := strings.CutPrefix(name, d.repo.Path+"/"); ok {
		return rest
	}
	return strings.Repeat("../", strings.Count(d.repo.Path, "/")+1) + name
}
