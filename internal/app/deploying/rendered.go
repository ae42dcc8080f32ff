package deploying

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Reachable tells whether something says how to reach a cluster. Whether it answers is another question.
func Reachable(d *delivery.Delivery, in deploy.Cluster) bool {
	return in.Content != "" || len(Kubeconfigs(d, in)) > 0 || d.World.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// rendered compares the manifests with those of the commit where the change branched off, which is what can be said of a
// change without a cluster.
func (w *Plan) rendered(ctx context.Context, d *delivery.Delivery, out action.Result[record.Plan]) (delivery.Result, error) {
	base, err := BranchedOff(ctx, d)
	if fault.KindOf(err) == fault.Skipped {
		err = fault.Skipf("there is no kubeconfig, and %w", err)
	}
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	now, err := w.today(ctx, d)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	before, err := RenderedAt(ctx, d, base)
	note := ""
	if err != nil && fault.KindOf(err) == fault.BadInput {
		note, err = fmt.Sprintf("The manifests of %s cannot be rendered, so all of them are shown as new: %s", delivery.ShortHash(base), fault.Lines(err)[0]), nil
	}
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	changes := renderedChanges(before, now)
	head := fmt.Sprintf("%s since %s · no cluster was asked", apply.Summary(changes), delivery.ShortHash(base))
	text := head + "\n"
	if note != "" {
		text += "\n" + note + "\n"
	}
	out.Evidence.Against, out.Evidence.Changes = base, counted(changes)
	out.Evidence.Diff, err = writeDiff(d, text+body(changes))
	out.Summary = head
	return delivery.ResultOf(out, err)
}

// BranchedOff is the commit to compare with: where the change left the default branch, or HEAD on that branch itself.
func BranchedOff(ctx context.Context, d *delivery.Delivery) (string, error) {
	base, err := (&delivery.Origin{Delivery: d}).Commit(ctx)
	switch {
	case err != nil:
		return "", err
	case base != "":
		return base, nil
	case d.Repo.Upstream == "":
		return "", fault.Skipf("no default branch is known to compare with (git remote set-head origin --auto)")
	}
	return d.Repo.Commit, nil
}

// today is what the service is rendered as now. Where the image is known, it is held against the manifests, too.
func (w *Plan) today(ctx context.Context, d *delivery.Delivery) (manifest.Set, error) {
	artifact := d.Snapshot().Artifact
	image := artifact.Reference()
	if image == "" && artifact.Digest != "" && w.Registry != "" {
		image = w.Registry + "@" + artifact.Digest
	}
	if image != "" {
		if _, err := Manifests(ctx, d, image); err != nil {
			return manifest.Set{}, err
		}
	}
	return Manifests(ctx, d, "")
}

// RenderedAt renders the service as a commit has it, for the same environment and policy. What the commit does not have is
// empty. What it has wrongly is bad input.
func RenderedAt(ctx context.Context, d *delivery.Delivery, commit string) (set manifest.Set, err error) {
	dir, err := os.MkdirTemp("", "idp-base-")
	if err != nil {
		return set, fault.Undeterminedf("there is no room for the files of commit %s: %w", delivery.ShortHash(commit), err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := d.Repo.Export(ctx, commit, dir); err != nil {
		return set, err
	}
	dir = filepath.Join(dir, filepath.FromSlash(d.Repo.Path))
	if !record.Exists(filepath.Join(dir, service.File)) {
		return set, nil
	}
	return renderedIn(ctx, d, dir)
}

func renderedIn(ctx context.Context, d *delivery.Delivery, dir string) (manifest.Set, error) {
	svc, err := service.Load(dir)
	if err != nil {
		return manifest.Set{}, err
	}
	if _, listed := svc.Environments[d.Record.Environment]; !listed && d.Record.Environment != service.Local {
		return manifest.Set{}, nil
	}
	if svc, err = svc.In(d.Record.Environment); err != nil {
		return manifest.Set{}, err
	}
	opts := rendering(d, dir, svc)
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
