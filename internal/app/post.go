package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
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
	stateCluster  = "cluster"  // where in a cluster it deploys, and as who; not set for another target
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
	if ok && t.target() == targetKubernetes {
		return d.promiseCluster(a, task)
	}
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

// inCluster is what post needs to know of a deploy to Kubernetes, besides the inputs, which a runner gives it again.
type inCluster struct {
	Service, Environment, Namespace, Context, URL string
	Files                                         []string // kubeconfigs, where the inputs give no content of one
	Holder                                        release.Holder
}

// deploying is implemented by work that deploys.
type deploying interface{ deployment() *deployWork }

func (p *pathWork) deployment() *deployWork   { return &p.deploy }
func (w *deployWork) deployment() *deployWork { return w }

func (d *delivery) promiseCluster(a Action, task work) error {
	t, ok := as[deploying](task)
	if !ok || !d.reachable(t.deployment().in.Cluster) {
		return nil
	}
	if p, ok := task.(*pathWork); ok {
		if plan, _, err := planned(d.event, p.given); err != nil || plan {
			return nil // it changes nothing
		}
	}
	var files []string
	for _, file := range d.kubeconfigs(t.deployment().in.Cluster) {
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		files = append(files, abs)
	}
	in := inCluster{Files: files, Service: d.svc.Name, Environment: d.rec.Environment, Namespace: d.namespace(d.rec.Environment),
		Context: d.svc.Environments[d.rec.Environment].Context, URL: d.svc.Environments[d.rec.Environment].URL, Holder: d.holder()}
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return d.remember(a, stateCluster, string(data))
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
	done, back, err := tidy(ctx, w, r, registry[i])
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

// tidy leaves the target as the action would have, and says what that took.
func tidy(ctx context.Context, w World, r *runner.Runner, a Action) (done []string, back target.Restored, err error) {
	if r.State(stateCluster) != "" && r.State(stateFinished) == "" {
		if back, err = recoverCluster(ctx, w, a, r.State(stateCluster)); err != nil {
			err = fmt.Errorf("what was live before cannot be put back: %w", err)
		}
		if back.Summary != "" {
			done = append(done, back.Summary)
		}
		return done, back, err
	}
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

// A runner ends what follows a cancelled job after some minutes. The lock of a process that was killed is free after 10 s.
const (
	recoverTime = 4 * time.Minute
	recoverWait = time.Minute
)

// recoverCluster puts in order what a deploy to a cluster left. The runner gives the inputs of the action again.
func recoverCluster(ctx context.Context, w World, a Action, state string) (back target.Restored, err error) {
	var in inCluster
	if err := json.Unmarshal([]byte(state), &in); err != nil {
		return back, fault.Undeterminedf("the state of the step cannot be read: %w", err)
	}
	set, _, task := a.prepare()
	err = set.Fill(nil, w.Getenv)
	for _, secret := range set.Secrets() {
		w.runner.Mask(secret)
	}
	t, ok := as[deploying](task)
	if err != nil || !ok {
		return back, errors.Join(err, fault.Undeterminedf("the inputs of the step cannot be read"))
	}
	options := kubernetes.Options{Files: in.Files, Context: in.Context, Agent: "idp/" + Version()}
	if content := t.deployment().in.Cluster.Content; content != "" {
		options.Files, options.Data = nil, []byte(content)
	}
	client, err := kubernetes.Connect(options)
	if err != nil {
		return back, err
	}
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	own := in.Holder
	own.ID += "/post"
	return clustertarget.Target{
		Inputs: clustertarget.Inputs{Wait: recoverWait, Service: in.Service, Environment: in.Environment, Namespace: in.Namespace, URL: in.URL, Holder: own},
		Deps:   clustertarget.Deps{Cluster: client, Clock: release.Clock{Now: w.Now, Sleep: sleep}},
	}.Recover(ctx, in.Holder.ID)
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
