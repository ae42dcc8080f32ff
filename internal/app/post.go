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

	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/target"
)

// keeping is implemented by work that can leave the service running.
type keeping interface{ keeps() bool }

func (p *pathWork) keeps() bool { return p.keep }

// promise says, before anything is changed, what post has to put in order should this process not come to do so.
func promise(d *delivery.Delivery, a delivery.Action, task delivery.Work) error {
	if !a.Post || !d.Runner.Active() {
		return nil
	}
	if err := d.Write(); err != nil { // from here on the file is of this delivery
		return fault.BadInputf("the record cannot be written: %w", err)
	}
	file, err := filepath.Abs(d.RecordPath)
	if err != nil {
		return err
	}
	if err := d.Remember(a, delivery.StateRecord, file); err != nil {
		return err
	}
	t, ok := delivery.As[delivery.Targeted](task)
	if ok && t.Target() == delivery.TargetKubernetes {
		return promiseCluster(d, a, task)
	}
	if !ok || t.Target() != delivery.TargetLocal {
		return nil
	}
	in := (&deploying.Deploy{}).Local(d, record.StageDeploy).Inputs
	before, err := localtarget.Current(in, localtarget.Deps{Now: d.World.Now})
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(in.StateDir)
	if err != nil {
		return err
	}
	k, ok := delivery.As[keeping](task)
	stop := before == "" && (!ok || !k.keeps())
	return errors.Join(d.Remember(a, delivery.StateLocal, dir), d.Remember(a, delivery.StateBefore, before), d.Remember(a, delivery.StateStop, fmt.Sprint(stop)))
}

// inCluster is what post needs to know of a deploy to Kubernetes, besides the inputs, which a runner gives it again.
type inCluster struct {
	Service, Environment, Namespace, Context, URL string
	Files                                         []string // kubeconfigs, where the inputs give no content of one
	Holder                                        release.Holder
}

// deploys is implemented by work that deploys.
type deploys interface{ Deployment() *deploying.Deploy }

func (p *pathWork) Deployment() *deploying.Deploy { return &p.deploy }

func promiseCluster(d *delivery.Delivery, a delivery.Action, task delivery.Work) error {
	t, ok := delivery.As[deploys](task)
	if !ok || !deploying.Reachable(d, t.Deployment().In.Cluster) {
		return nil
	}
	if p, ok := task.(*pathWork); ok && p.changesNothing(d.Event) {
		return nil
	}
	var files []string
	for _, file := range deploying.Kubeconfigs(d, t.Deployment().In.Cluster) {
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		files = append(files, abs)
	}
	in := inCluster{Files: files, Service: d.Service.Name, Environment: d.Record.Environment, Namespace: deploying.Namespace(d, d.Record.Environment),
		Context: d.Service.Environments[d.Record.Environment].Context, URL: d.Service.Environments[d.Record.Environment].URL, Holder: deploying.Holder(d)}
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return d.Remember(a, delivery.StateCluster, string(data))
}

// post runs when a job ends, after everything else in it. It puts in order what the action of the same step left, and says
// so where the action itself was cut off. It fails only when it cannot put things in order.
func post(ctx context.Context, w cli.World, args []string) error {
	i := -1
	if len(args) == 1 {
		i = slices.IndexFunc(registry, func(a delivery.Action) bool { return a.Name == args[0] && a.Post })
	}
	if i < 0 {
		return fault.BadInputf("idp post takes an action that has something to do after a job: %s", strings.Join(postNames(), ", "))
	}
	r := w.Runner
	if r.State(delivery.StateBegun) == "" {
		return nil
	}
	done, back, err := tidy(ctx, w, r, registry[i])
	for _, line := range done {
		_, _ = fmt.Fprintln(w.Stdout, line)
	}
	if r.State(delivery.StateFinished) != "" {
		return err
	}
	return errors.Join(err, cutOff(ctx, w, args[0], done, back))
}

func postNames() []string {
	var names []string
	for _, a := range registry {
		if a.Post {
			names = append(names, a.Name)
		}
	}
	return names
}

// tidy leaves the target as the action would have, and says what that took.
func tidy(ctx context.Context, w cli.World, r *runner.Runner, a delivery.Action) (done []string, back target.Restored, err error) {
	if r.State(delivery.StateCluster) != "" && r.State(delivery.StateFinished) == "" {
		if back, err = recoverCluster(ctx, w, a, r.State(delivery.StateCluster)); err != nil {
			err = fmt.Errorf("what was live before cannot be put back: %w", err)
		}
		if back.Summary != "" {
			done = append(done, back.Summary)
		}
		return done, back, err
	}
	dir := r.State(delivery.StateLocal)
	if dir == "" {
		return nil, back, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*delivery.CleanupTime)
	defer cancel()
	in := localtarget.Inputs{StateDir: dir, Program: w.Program, Wait: delivery.CleanupTime}
	deps := localtarget.Deps{Now: w.Now}
	if r.State(delivery.StateFinished) == "" {
		if back, err = localtarget.Recover(ctx, in, deps, r.State(delivery.StateBefore)); err != nil {
			err = fmt.Errorf("what was live before cannot be put back: %w", err)
		}
		if back.Summary != "" {
			done = append(done, back.Summary)
		}
	}
	if r.State(delivery.StateStop) != "true" {
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
func recoverCluster(ctx context.Context, w cli.World, a delivery.Action, state string) (back target.Restored, err error) {
	var in inCluster
	if err := json.Unmarshal([]byte(state), &in); err != nil {
		return back, fault.Undeterminedf("the state of the step cannot be read: %w", err)
	}
	set, _, task := a.Prepare()
	err = set.Fill(nil, w.Getenv)
	for _, secret := range set.Secrets() {
		w.Runner.Mask(secret)
	}
	t, ok := delivery.As[deploys](task)
	if err != nil || !ok {
		return back, errors.Join(err, fault.Undeterminedf("the inputs of the step cannot be read"))
	}
	options := kubernetes.Options{Files: in.Files, Context: in.Context, Agent: "idp/" + cli.Version(), Now: w.Now}
	if content := t.Deployment().In.Cluster.Content; content != "" {
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
		Deps:   clustertarget.Deps{Cluster: client, Clock: release.Clock{Now: w.Now, Sleep: delivery.Sleep}},
	}.Recover(ctx, in.Holder.ID)
}

// cutOff tells people and the record that the action did not come to its end.
func cutOff(ctx context.Context, w cli.World, action string, done []string, back target.Restored) error {
	r := w.Runner
	during, recordErr := correct(w, r.State(delivery.StateRecord), back)
	what := fmt.Sprintf("idp %s was cut off%s", action, during)
	if len(done) > 0 {
		what += "; " + strings.Join(done, ", ")
	}
	_, _ = fmt.Fprintln(w.Stdout, what)
	r.Annotate([]runner.Annotation{{Title: "idp " + action, Message: what + ". Whether it would have passed is not known."}})
	ctx, cancel := context.WithTimeout(ctx, delivery.CleanupTime)
	defer cancel()
	return errors.Join(recordErr, delivery.CutOffOnGitHub(ctx, w, "idp "+action+" was cut off"+during), r.Summary("**"+what+".** Whether it would have passed is not known.\n", ""))
}

// correct makes the record say that the delivery was cut off, and gives in words when that was.
func correct(w cli.World, path string, back target.Restored) (during string, err error) {
	if path == "" {
		return " before it had changed anything", nil
	}
	rec, err := record.Read(path)
	if err != nil {
		return "", fault.Undeterminedf("the record of the delivery cannot be read: %w", err)
	}
	var running []string
	for _, s := range rec.Stages {
		if s.Reason == delivery.ReasonCut {
			running = append(running, s.Name)
		}
	}
	during = " between two stages"
	switch {
	case len(running) == 0:
		rec.Put(record.Stage{Name: delivery.StageEnd, Outcome: record.Error, Reason: delivery.ReasonCut, StartedAt: w.Now().UTC()})
	case running[0] != delivery.StageEnd:
		during = " during " + strings.Join(running, ", ")
	}
	if back.Summary != "" {
		delivery.MarkRestored(rec, back)
	}
	if err := rec.Write(path); err != nil {
		return during, fault.Undeterminedf("the record of the delivery cannot be written: %w", err)
	}
	return during, nil
}
