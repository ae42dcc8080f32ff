package scanning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/sarif"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/triage"
	"github.com/org/idp/internal/waiver"
)

// desk decides which findings of a stage count, from the policy and the files of the service. The compared commit is left
// to the stages: it is looked for only when something would fail.
func desk(ctx context.Context, d *delivery.Delivery, stage string, gate policy.Gate, in action.Reports) (triage.Desk, *delivery.Origin, error) {
	desk := triage.Desk{Policy: d.Policy.String(), Waivers: d.Rules.Waivers.Rules(), Now: d.World.Now()}
	var err error
	if desk.Rules, err = gate.Rules(stage, in.FailOn); err != nil {
		return desk, nil, err
	}
	if desk.File, err = waiver.Load(d.Dir()); err != nil {
		return desk, nil, err
	}
	from := &delivery.Origin{Delivery: d}
	file := d.InService(finding.BaselineFile)
	switch {
	case in.Baseline == "":
	case isFile(in.Baseline):
		file = in.Baseline
	case d.Repo == nil:
		return desk, nil, fault.BadInputf("input baseline: there is no file %s, and no git repository that could have such a ref", in.Baseline)
	default:
		if _, err := d.Repo.Resolve(ctx, in.Baseline); err != nil {
			return desk, nil, err
		}
		from.Ref = in.Baseline
	}
	// Who names something to compare with wants what is not in it, whatever the policy says. The evidence says so too.
	desk.Rules.NewOnly = desk.Rules.NewOnly || in.Baseline != ""
	desk.Baseline, desk.BaselineShown, err = readBaseline(ctx, d, file, desk.Rules)
	return desk, from, err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readBaseline reads a baseline, or SARIF that stands for one, without what was suppressed there; nil where there is no file.
func readBaseline(ctx context.Context, d *delivery.Delivery, name string, gate finding.Rules) (*finding.Baseline, string, error) {
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
	log, err := sarif.Load(ctx, []string{name}, sarif.Source{Dir: d.Dir(), Root: d.Root()})
	b := finding.NewBaseline(slices.DeleteFunc(log.Findings, func(f finding.Finding) bool {
		return f.Suppression != nil && gate.Accepts(f.Suppression)
	}))
	return &b, shown, err
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return " sha256:" + hex.EncodeToString(sum[:])
}

// baseline is what the team had recorded where HEAD left the branch: all that is known of what other scanners would have
// found there.
func baseline(ctx context.Context, o *delivery.Origin) (*finding.Baseline, string, error) {
	base, err := o.Commit(ctx)
	if err != nil {
		return nil, "", err
	}
	data, err := o.Delivery.Repo.File(ctx, base, path.Join(o.Delivery.Repo.Path, finding.BaselineFile))
	if err != nil {
		return nil, "", err
	}
	if data == nil {
		return nil, "", fault.BadInputf("input baseline: what other scanners would have found at %s is not known: there is no %s", delivery.ShortHash(base), finding.BaselineFile).
			WithNext("Run the scanner on that commit too, and give what it writes: --baseline base.sarif", "Or record what is there: idp baseline --import 'findings/*.sarif'")
	}
	b, err := finding.ParseBaseline(finding.BaselineFile+" of "+delivery.ShortHash(base), data)
	return b, finding.BaselineFile + " of " + delivery.ShortHash(base) + digestOf(data), err
}

// past is the commit that a change began at, as the service sees it.
type past struct {
	commit  string
	changes []gitrepo.Change // since then
	folder  string           // of the service then, in the repository; empty at the root
}

// pastOf tells where the service was then: in another folder where the change has moved the file that makes it a service or a
// module.
func pastOf(repo *gitrepo.Repo, commit string, changes []gitrepo.Change) past {
	p := past{commit, changes, repo.Path}
	for _, name := range []string{"go.mod", service.File} {
		for _, c := range changes {
			if c.New == path.Join(repo.Path, name) && c.Old != c.New && path.Base(c.Old) == name {
				p.folder = strings.TrimPrefix(path.Dir(c.Old), ".")
			}
		}
	}
	return p
}

// before makes what a desk asks for: scan gives what was found then, given what is found now.
func before(o *delivery.Origin, scan func(context.Context, past, []finding.Finding) ([]finding.Finding, error)) func(context.Context, []finding.Finding) (*triage.Before, error) {
	return func(ctx context.Context, now []finding.Finding) (*triage.Before, error) {
		base, err := o.Commit(ctx)
		if err != nil || base == "" {
			return nil, err
		}
		d := o.Delivery
		b := &triage.Before{Commit: base, Renamed: map[string]string{}}
		changes, err := d.Repo.ChangesSince(ctx, base)
		if err != nil {
			return nil, err
		}
		at := pastOf(d.Repo, base, changes)
		for _, c := range changes {
			if now, then := from(d.Repo.Path, c.New), from(at.folder, c.Old); c.Old != "" && c.New != "" && now != then {
				b.Renamed[now] = then
			}
		}
		if b.Waivers, err = waiversAt(ctx, d, at); err != nil {
			return nil, err
		}
		b.Findings, err = scan(ctx, at, now)
		return b, err
	}
}

// waiversAt reads the waivers as they were. A file that could not be read then holds none.
func waiversAt(ctx context.Context, d *delivery.Delivery, at past) (*waiver.File, error) {
	data, err := d.Repo.File(ctx, at.commit, path.Join(at.folder, waiver.FileName))
	if err != nil || data == nil {
		return nil, err
	}
	f, err := waiver.Parse(waiver.FileName, data)
	if err != nil {
		return nil, nil //nolint:nilerr // what is wrong with it then is no concern now
	}
	return f, nil
}

// from names a file of the repository as seen from a folder in it.
func from(folder, name string) string {
	if folder == "" {
		return name
	}
	if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
		return rest
	}
	return strings.Repeat("../", strings.Count(folder, "/")+1) + name
}
