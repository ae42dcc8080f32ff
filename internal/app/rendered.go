package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// reachable tells whether something says how to reach a cluster. Whether it answers is another question.
func (d *delivery) reachable(in deploy.Cluster) bool {
	return in.Content != "" || len(d.kubeconfigs(in)) > 0 || d.world.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// rendered compares the manifests with those of the commit where the change branched off, which is what can be said of a
// change without a cluster.
func (w *planWork) rendered(ctx context.Context, d *delivery, out action.Result[record.Plan]) (result, error) {
	base, err := d.branchedOff(ctx)
	if err != nil {
		return resultOf(out, err)
	}
	now, err := w.today(ctx, d)
	if err != nil {
		return resultOf(out, err)
	}
	before, note, err := d.renderedAt(ctx, base)
	if err != nil {
		return resultOf(out, err)
	}
	changes := renderedChanges(before, now)
	head := fmt.Sprintf("%s since %s · no cluster was asked", apply.Summary(changes), shortHash(base))
	text := head + "\n"
	if note != "" {
		text += "\n" + note + "\n"
	}
	out.Evidence.Against, out.Evidence.Changes = base, counted(changes)
	out.Evidence.Diff, err = d.writeDiff(text + body(changes))
	out.Summary = head
	return resultOf(out, err)
}

// branchedOff is the commit to compare with: where the change left the default branch, or HEAD on that branch itself.
func (d *delivery) branchedOff(ctx context.Context) (string, error) {
	base, err := (&origin{d: d}).commit(ctx)
	switch {
	case err != nil:
		return "", err
	case base != "":
		return base, nil
	case d.repo.Upstream == "":
		return "", fault.Skipf("there is no kubeconfig, and no default branch is known to compare with (git remote set-head origin --auto)")
	}
	return d.repo.Commit, nil
}

// today is what the service is rendered as now. Where the image is known, it is held against the manifests, too.
func (w *planWork) today(ctx context.Context, d *delivery) (manifest.Set, error) {
	artifact := d.snapshot().Artifact
	image := artifact.Reference()
	if image == "" && artifact.Digest != "" && w.registry != "" {
		image = w.registry + "@" + artifact.Digest
	}
	if image != "" {
		if _, err := d.manifests(ctx, image); err != nil {
			return manifest.Set{}, err
		}
	}
	return d.manifests(ctx, "")
}

// renderedAt renders the service as a commit has it, for the same environment and policy. What the commit does not have is
// empty; so is what it has wrongly, and the note says so.
func (d *delivery) renderedAt(ctx context.Context, commit string) (set manifest.Set, note string, err error) {
	dir, err := os.MkdirTemp("", "idp-base-")
	if err != nil {
		return set, "", fault.Undeterminedf("there is no room for the files of commit %s: %w", shortHash(commit), err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := d.repo.Export(ctx, commit, dir); err != nil {
		return set, "", err
	}
	dir = filepath.Join(dir, filepath.FromSlash(d.repo.Path))
	if !record.Exists(filepath.Join(dir, service.File)) {
		return set, "", nil
	}
	set, err = d.renderedIn(ctx, dir)
	if err != nil && fault.KindOf(err) == fault.BadInput {
		return manifest.Set{}, fmt.Sprintf("The manifests of %s cannot be rendered, so all of them are shown as new: %s", shortHash(commit), fault.Lines(err)[0]), nil
	}
	return set, "", err
}

func (d *delivery) renderedIn(ctx context.Context, dir string) (manifest.Set, error) {
	svc, err := service.Load(dir)
	if err != nil {
		return manifest.Set{}, err
	}
	if _, listed := svc.Environments[d.rec.Environment]; !listed && d.rec.Environment != service.Local {
		return manifest.Set{}, nil
	}
	if svc, err = svc.In(d.rec.Environment); err != nil {
		return manifest.Set{}, err
	}
	opts := d.rendering(dir, svc)
	return manifest.Load(ctx, svc, opts)
}

// renderedChanges is what one set makes of another.
func renderedChanges(before, now manifest.Set) (changes []apply.Change) {
	old := before.Unstructured()
	taken := make([]bool, len(old))
	for _, o := range now.Unstructured() {
		change := apply.Change{Ref: kubernetes.RefOf(&o), Action: apply.Create, After: &o}
		for i := range old {
			if taken[i] || !kubernetes.RefOf(&old[i]).Same(change.Ref) {
				continue
			}
			taken[i] = true
			change.Before, change.Action = &old[i], apply.Update
			if equality.Semantic.DeepEqual(old[i].Object, o.Object) {
				change.Action = apply.Unchanged
			}
		}
		changes = append(changes, change)
	}
	for i := range old {
		if !taken[i] {
			changes = append(changes, apply.Change{Ref: kubernetes.RefOf(&old[i]), Action: apply.Pruned, Before: &old[i]})
		}
	}
	return changes
}
