package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/target"
)

// What an action leaves in the state of its step for the part that runs after the job.
const (
	stateBegun    = "begun"    // "true" as soon as there was a step at all
	stateRecord   = "record"   // file of the delivery record, once it is of this delivery
	stateLocal    = "local"    // state folder of the local target; not set for another target
	stateBefore   = "before"   // release that ran there before
	stateStop     = "stop"     // "true" when what runs there is to end with the job
	stateGitHub   = "github"   // what was begun on GitHub, as JSON
	stateFinished = "finished" // "true" when the action came to its own end, whatever that was
)

// remember keeps a value for post. Only actions with a post have a use for it.
func (d *delivery) remember(a Action, name, value string) error {
	if !a.post {
		return nil
	}
	if err := d.runner.SaveState(name, value); err != nil {
		return fault.Undeterminedf("the runner's files cannot be written: %w", err)
	}
	return nil
}

// keeping is implemented by work that can leave the service running.
type keeping interface{ keeps() bool }

func (p *pathWork) keeps() bool { return p.keep }

// promise says, before anything is changed, what post has to put in order should this process not come to do so.
func (d *delivery) promise(a Action, task work) error {
	if !a.post || !d.runner.Active() {
		return nil
	}
	if err := d.write(); err != nil { // from here on the file is of this delivery
		return fault.BadInputf("the record cannot be written: %w", err)
	}
	file, err := filepath.Abs(d.recordPath)
	if err != nil {
		return err
	}
	if err := d.remember(a, stateRecord, file); err != nil {
		return err
	}
	t, ok := as[targeted](task)
	if !ok || t.target() != targetLocal {
		return nil
	}
	in := (&deployWork{}).local(d, record.StageDeploy).Inputs
	before, err := localtarget.Current(in, localtarget.Deps{Now: d.world.Now})
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(in.StateDir)
	if err != nil {
		return err
	}
	k, ok := as[keeping](task)
	stop := before == "" && (!ok || !k.keeps())
	return errors.Join(d.remember(a, stateLocal, dir), d.remember(a, stateBefore, before), d.remember(a, stateStop, fmt.Sprint(stop)))
}

// post runs when a job ends, after everything else in it. It puts in order what the action of the same step left, and says
// so where the action itself was cut off. It fails only when it cannot put things in order.
func post(ctx context.Context, w World, args []string) error {
	i := -1
	if len(args) == 1 {
		i = slices.IndexFunc(registry, func(a Action) bool { return a.Name == args[0] && a.post })
	}
	if i < 0 {
		return fault.BadInputf("idp post takes an action that has something to do after a job: %s", strings.Join(postNames(), ", "))
	}
	r := w.runner
	if r.State(stateBegun) == "" {
		return nil
	}
	done, back, err := tidy(ctx, w, r)
	for _, line := range done {
		_, _ = fmt.Fprintln(w.Stdout, line)
	}
	if r.State(stateFinished) != "" {
		return err
	}
	return errors.Join(err, cutOff(ctx, w, args[0], done, back))
}

func postNames() []string {
	var names []string
	for _, a := range registry {
		if a.post {
			names = append(names, a.Name)
		}
	}
	return names
}

// tidy leaves the local target as the action would have, and says what that took.
func tidy(ctx context.Context, w World, r *runner.Runner) (done []string, back target.Restored, err error) {
	dir := r.State(stateLocal)
	if dir == "" {
		return nil, back, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*cleanupTime)
	defer cancel()
	in := localtarget.Inputs{StateDir: dir, Program: w.Program, Wait: cleanupTime}
	deps := localtarget.Deps{Now: w.Now}
	if r.State(stateFinished) == "" {
		if back, err = localtarget.Recover(ctx, in, deps, r.State(stateBefore)); err != nil {
			err = fmt.Errorf("what was live before cannot be put back: %w", err)
		}
		if back.Summary != "" {
			done = append(done, back.Summary)
		}
	}
	if r.State(stateStop) != "true" {
		return done, back, err
	}
	stopped, stopErr := localtarget.Stop(ctx, in, deps)
	for _, name := range stopped {
		done = append(done, "stopped "+name)
	}
	if stopErr != nil {
		err = errors.Join(err, fmt.Errorf("what the step started cannot be stopped: %w", stopErr))
	}
	return done, back, err
}

// cutOff tells people and the record that the action did not come to its end.
func cutOff(ctx context.Context, w World, action string, done []string, back target.Restored) error {
	r := w.runner
	during, recordErr := correct(w, r.State(stateRecord), back)
	what := fmt.Sprintf("idp %s was cut off%s", action, during)
	if len(done) > 0 {
		what += "; " + strings.Join(done, ", ")
	}
	_, _ = fmt.Fprintln(w.Stdout, what)
	r.Annotate([]runner.Annotation{{Title: "idp " + action, Message: what + ". Whether it would have passed is not known."}})
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	return errors.Join(recordErr, cutOffOnGitHub(ctx, w, "idp "+action+" was cut off"+during), r.Summary("**"+what+".** Whether it would have passed is not known.\n", ""))
}

// correct makes the record say that the delivery was cut off, and gives in words when that was.
func correct(w World, path string, back target.Restored) (during string, err error) {
	if path == "" {
		return " before it had changed anything", nil
	}
	rec, err := record.Read(path)
	if err != nil {
		return "", fault.Undeterminedf("the record of the delivery cannot be read: %w", err)
	}
	var running []string
	for _, s := range rec.Stages {
		if s.Reason == reasonCut {
			running = append(running, s.Name)
		}
	}
	during = " between two stages"
	switch {
	case len(running) == 0:
		rec.Put(record.Stage{Name: stageEnd, Outcome: record.Error, Reason: reasonCut, StartedAt: w.Now().UTC()})
	case running[0] != stageEnd:
		during = " during " + strings.Join(running, ", ")
	}
	if back.Summary != "" {
		markRestored(rec, back)
	}
	if err := rec.Write(path); err != nil {
		return during, fault.Undeterminedf("the record of the delivery cannot be written: %w", err)
	}
	return during, nil
}
