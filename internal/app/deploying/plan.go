package deploying

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
)

// Plan says what a deploy would change, and changes nothing.
type Plan struct {
	own      Deploy
	Of       *Deploy // of the same path; nil alone
	Registry string  // that the image would be pushed to; empty alone
}

func (w *Plan) Name() string { return record.StagePlan }

func (w *Plan) deploy() *Deploy {
	if w.Of != nil {
		return w.Of
	}
	return &w.own
}

func (w *Plan) Target() string { return w.deploy().In.Target }

// Declare declares what a plan takes alone: the same target, reached the same way.
func (w *Plan) Declare(s *action.Set) { w.own.In.DeclarePlan(s) }

const (
	againstCluster = "cluster"
	diffFile       = "plan.diff"
)

func (w *Plan) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	if err := ForgetDiff(d); err != nil {
		return delivery.Result{}, err
	}
	out := action.Result[record.Plan]{Tool: record.Tool{Name: "idp", Version: cli.Version()}}
	out.Evidence = record.Plan{Target: w.deploy().In.Target, Against: againstCluster}
	if w.Target() != delivery.TargetKubernetes {
		return delivery.ResultOf(out, fault.Skipf("target %s has nothing to compare with", w.Target()))
	}
	if !Reachable(d, w.deploy().In.Cluster) {
		return w.rendered(ctx, d, out)
	}
	t, err := w.Open(ctx, d)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	planned, err := t.Plan(ctx)
	out.Evidence.Live = planned.Live
	if planned.Changes != nil {
		version := versions(planned, t.Inputs)
		text := version.diff(planned.Changes)
		file, writeErr := writeDiff(d, text)
		if writeErr != nil {
			return delivery.ResultOf(out, writeErr)
		}
		out.Evidence.Changes, out.Evidence.Diff = counted(planned.Changes), file
		out.Summary, _, _ = strings.Cut(text, "\n")
	}
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	w.ask(ctx, d, &out, planned.Live)
	return delivery.ResultOf(out, ctx.Err())
}

// Open is the target with what would be deployed. An image that is not pushed yet is named as it would be; without one the
// manifests are compared as they are with the image that is live.
func (w *Plan) Open(ctx context.Context, d *delivery.Delivery) (clustertarget.Target, error) {
	t, err := w.deploy().History(d, w.Name())
	if err != nil {
		return t, err
	}
	if t.Image == "" && t.Digest != "" && w.Registry != "" {
		t.Image = w.Registry + "@" + t.Digest
	}
	if t.Image == "" {
		live, err := t.Live(ctx)
		if err != nil {
			return t, err
		}
		if live != nil {
			t.Image, t.Digest = live.Image, live.Digest
		}
	}
	set, err := Manifests(ctx, d, t.Image)
	t.Set = set.Unstructured()
	return t, err
}

// ask tells what the guards would say now. A plan is made for later, so that they would refuse it now is worth a warning.
func (w *Plan) ask(ctx context.Context, d *delivery.Delivery, out *action.Result[record.Plan], live *record.Deployment) {
	if err := w.deploy().guards(d)(ctx, live); err != nil && fault.KindOf(err) != fault.Skipped { // what waits is among the answers
		out.Evidence.Guards = append(out.Evidence.Guards, record.Guard{Answer: guard.Warned, Text: "would be refused now: " + fault.Lines(err)[0]})
	}
	out.Evidence.Guards = append(w.deploy().answers, out.Evidence.Guards...)
	for _, g := range out.Evidence.Guards {
		if g.Answer != guard.Clear {
			out.Summary += " · " + g.Text
		}
	}
}

func counted(changes []apply.Change) map[string]int {
	n := map[string]int{}
	for _, c := range changes {
		n[c.Action]++
	}
	return n
}

// writeDiff leaves the difference for people: in a file, and in the summary.
func writeDiff(d *delivery.Delivery, text string) (file string, err error) {
	d.Diff, file = text, d.Out(diffFile)
	if err := record.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", delivery.Unwritable(d.Options.Out, err)
	}
	d.Wrote(record.StagePlan, file, "what a deploy would change")
	return file, nil
}

// ForgetDiff removes the difference that an earlier plan left: where this one has none, nobody must take it for its own.
func ForgetDiff(d *delivery.Delivery) error {
	if err := os.Remove(d.Out(diffFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return delivery.Unwritable(d.Options.Out, err)
	}
	return nil
}

// change of the version that is in every object: told once, it keeps nobody from seeing the rest.
type versionChange struct{ from, to []string }

func versions(planned clustertarget.Planned, in clustertarget.Inputs) versionChange {
	if planned.Live == nil {
		return versionChange{}
	}
	return versionChange{from: []string{planned.LiveImage, planned.Live.Digest, planned.Live.Commit}, to: []string{in.Image, in.Digest, in.Commit}}
}

// diff is the text of a plan: a headline, and every object that changes in more than its version.
func (v versionChange) diff(changes []apply.Change) string {
	head := apply.Summary(changes)
	if len(v.from) == 0 {
		return head + "\n" + body(changes)
	}
	if v.from[1] != v.to[1] && v.to[1] != "" {
		head += fmt.Sprintf(" · image %s → %s", record.ShortDigest(v.from[1]), record.ShortDigest(v.to[1]))
	}
	if v.from[2] != v.to[2] {
		head += fmt.Sprintf(" · commit %s → %s", delivery.ShortHash(v.from[2]), delivery.ShortHash(v.to[2]))
	}
	var rest []apply.Change
	only := 0
	for _, c := range changes {
		if c.Action == apply.Update && c.Refused == "" {
			c.Before = v.as(c.Before)
			if len(strings.Split(strings.TrimSpace(body([]apply.Change{c})), "\n")) < 2 {
				only++
				continue
			}
		}
		rest = append(rest, c)
	}
	if only > 0 {
		head += fmt.Sprintf("\n\nof which %d only by their version", only)
	}
	return head + "\n" + body(rest)
}

// body is a diff without its headline.
func body(changes []apply.Change) string {
	_, text, _ := strings.Cut(apply.Diff(changes), "\n")
	return text
}

// as is an object with the new version in place of the old one.
func (v versionChange) as(o *kubernetes.Object) *kubernetes.Object {
	o = o.DeepCopy()
	o.Object, _ = v.replaced(o.Object).(map[string]any)
	return o
}

func (v versionChange) replaced(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = v.replaced(item)
		}
	case []any:
		for i, item := range value {
			value[i] = v.replaced(item)
		}
	case string:
		for i, old := range v.from {
			if old != "" && v.to[i] != "" && value == old {
				return v.to[i]
			}
		}
	}
	return value
}
