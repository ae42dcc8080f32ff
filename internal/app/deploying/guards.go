package deploying

import (
	"context"
	"fmt"

	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
)

// guards asks, once nobody else can deploy, whether this may be deployed now. What they answered is kept in w.answers.
func (w *Deploy) guards(d *delivery.Delivery) func(context.Context, *record.Deployment) error {
	return func(ctx context.Context, live *record.Deployment) error {
		w.answers = nil
		for _, ask := range []func(context.Context, *delivery.Delivery, *record.Deployment) (guard.Decision, error){w.frozen, w.inOrder, w.approved, w.undoes} {
			answer, err := ask(ctx, d, live)
			if err == nil || answer.Answer == guard.Waits {
				w.answers = append(w.answers, record.Guard(answer))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *Deploy) frozen(_ context.Context, d *delivery.Delivery, _ *record.Deployment) (guard.Decision, error) {
	windows, err := d.Rules.Windows()
	if err != nil {
		return guard.Decision{}, err
	}
	return guard.Freeze(d.World.Now(), d.Record.Environment, windows, w.In.Override)
}

func (w *Deploy) inOrder(ctx context.Context, d *delivery.Delivery, _ *record.Deployment) (guard.Decision, error) {
	after, err := d.Rules.After.Guard()
	if err != nil {
		return guard.Decision{}, err
	}
	var earlier guard.History
	if after.Environment != "" && w.In.Target == delivery.TargetKubernetes {
		if earlier, err = w.historyOf(ctx, d, after.Environment); err != nil {
			return guard.Decision{}, fmt.Errorf("what is deployed in %s cannot be found out: %w", after.Environment, err)
		}
	}
	return guard.Order(d.World.Now(), d.Record.Environment, d.Record.Artifact.Digest, after, earlier)
}

// historyOf reads what was deployed in another environment, from the cluster that it is in.
func (w *Deploy) historyOf(ctx context.Context, d *delivery.Delivery, environment string) (guard.History, error) {
	if _, ok := d.Service.Environments[environment]; !ok {
		return guard.History{}, fault.BadInputf("the policy wants it in %s first, and idp.yaml has no environment of that name", environment)
	}
	client, err := Connect(d, w.In.Cluster, environment, nil)
	if err != nil {
		return guard.History{}, err
	}
	list, err := release.History{Cluster: client, Namespace: Namespace(d, environment), Service: d.Service.Name, Now: d.World.Now}.List(ctx)
	if err != nil {
		return guard.History{}, err
	}
	history := guard.History{Known: true}
	for _, r := range list {
		if r.Environment == environment {
			history.Releases = append(history.Releases, guard.Release{Digest: r.Digest, State: string(r.State), Healthy: r.Healthy, Awaits: r.Tested && r.State == release.Live})
		}
	}
	return history, nil
}

func (w *Deploy) approved(ctx context.Context, d *delivery.Delivery, _ *record.Deployment) (guard.Decision, error) {
	rule, err := d.Rules.Approve.Guard()
	if err != nil {
		return guard.Decision{}, err
	}
	var consent guard.Consent
	if rule.By != "" {
		if consent, err = d.Consent(ctx, rule); err != nil {
			return guard.Decision{}, err
		}
	}
	return guard.Approved(d.World.Now(), d.Record.Environment, rule, consent)
}

func (w *Deploy) undoes(ctx context.Context, d *delivery.Delivery, live *record.Deployment) (guard.Decision, error) {
	lost := guard.Lost{Known: true}
	if live != nil && live.Commit != "" && live.Commit != d.Record.Source.Commit {
		commits, known, err := d.Repo.Behind(ctx, live.Commit)
		if err != nil {
			return guard.Decision{}, err
		}
		lost.Known, lost.Commits = known, commits
		if !known {
			lost.Why = "commit " + delivery.ShortHash(live.Commit) + ", which is live, is not in this clone, which is whole: its branch may have been rewritten or deleted"
			if d.Repo.Shallow {
				lost.Why = "commit " + delivery.ShortHash(live.Commit) + ", which is live, is not in this clone; fetch it: git fetch --unshallow origin"
			}
		}
	}
	return guard.Undo(d.Rules.Deploy.UndoRule(), d.Record.Environment, lost)
}

// warnings are what the guards let pass and people should know.
func (w *Deploy) warnings() (texts []string) {
	for _, a := range w.answers {
		switch a.Answer {
		case guard.Clear:
		case guard.Overridden:
			texts = append(texts, a.Text+"; overridden: "+a.Reason)
		default:
			texts = append(texts, a.Text)
		}
	}
	return texts
}
