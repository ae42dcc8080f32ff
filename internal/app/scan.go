package app

import (
	"context"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sast"
	"github.com/org/idp/internal/secrets"
)

type sastWork struct{ in sast.Inputs }

func (w *sastWork) name() string            { return record.StageSAST }
func (w *sastWork) Declare(s *action.Set)   { w.in.Declare(s) }
func (w *sastWork) reports() action.Reports { return w.in.Reports }

func (w *sastWork) stage(ctx context.Context, d *delivery) (result, error) {
	var err error
	w.in.Dir, w.in.Commit = d.dir(), d.rec.Source.Commit
	if w.in.Threshold, err = threshold(w.in.FailOn, d.rules.SAST.FailOn, w.name()); err != nil {
		return result{}, err
	}
	return resultOf(sast.Run(ctx, w.in, sast.Deps{Progress: d.progress(w.name())}))
}

type secretsWork struct{ in secrets.Inputs }

func (w *secretsWork) name() string            { return record.StageSecrets }
func (w *secretsWork) Declare(s *action.Set)   { w.in.Declare(s) }
func (w *secretsWork) reports() action.Reports { return w.in.Reports }

func (w *secretsWork) stage(ctx context.Context, d *delivery) (result, error) {
	if d.repo == nil {
		return result{}, noRepository(d)
	}
	var err error
	w.in.Repo = d.repo
	if w.in.Threshold, err = threshold(w.in.FailOn, d.rules.Secrets.FailOn, w.name()); err != nil {
		return result{}, err
	}
	return resultOf(secrets.Run(ctx, w.in, secrets.Deps{Progress: d.progress(w.name())}))
}

// threshold takes the input, then the policy. Without either there is no gate, and so no answer.
func threshold(input, fromPolicy, stage string) (finding.Threshold, error) {
	value := input
	if value == "" {
		value = fromPolicy
	}
	if value == "" {
		return finding.Threshold{}, fault.Undeterminedf("the policy does not say what fails %s", stage).
			WithNext("Set " + stage + ": {fail-on: high} in the policy, or give --fail-on")
	}
	return finding.ParseThreshold(value)
}

// noRepository is for a stage that reads history, called outside of one.
func noRepository(d *delivery) error { return d.noRepo }
