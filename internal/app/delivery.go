package app

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/ui"
)

// options are the inputs of every action.
type options struct {
	action.Common
	Quiet bool
	Token string // of GitHub; only of actions that show something there
}

// Declare declares them.
func (o *options) Declare(s *action.Set) {
	o.Common.Declare(s)
	s.Bool(&o.Quiet, action.Input{Name: "quiet", Usage: "Show only what did not pass."})
}

// delivery is one run of the program over one service.
type delivery struct {
	world  World
	opts   options
	runner *runner.Runner
	event  runner.Event // what started the run
	board  *ui.Board

	repo       *gitrepo.Repo // nil for a bare action outside of a repository
	noRepo     error         // why it is nil
	svc        *service.Service
	policy     *policy.Policy
	rules      policy.Rules // of the environment
	recordPath string
	earlier    *record.Record // that an earlier step left there; nil for none
	begun      time.Time
	files      []report.File     // written for people
	diff       string            // what a deploy would change, for people; empty where there is no plan
	costBefore *record.Cost      // estimate of what the change branched off from; nil where it is not known
	live       string            // URL of the service that stays running; empty where none does
	reads      map[string]string // by stage, where to read more
	token      string            // tells this process from every other; see holder

	announcer     *announce.Announcer // nil where nothing is shown on GitHub
	connectGitHub func(budget time.Duration) (*github.Client, error)

	mu       sync.Mutex
	rec      *record.Record
	findings map[string][]finding.Finding // by stage
	scans    []record.Stage               // stages of this process that look for findings
	faults   map[string]error             // by stage
	running  map[string]time.Time         // stages that have begun and not ended, and when they began
	local    embedded
	sigstore sigstore
}

const (
	// stageStop is the stage of a path that could not stop the service that it had started.
	stageStop = "stop"
	// stageEnd is the stage of a record whose action was cut off between two of its stages.
	stageEnd = "end"
	// reasonCut is the reason of a stage that the record was left with.
	reasonCut = "it had begun and did not end: the step was cut off"
)

// result is what a stage found out, whatever its package.
type result struct {
	action.Result[any]
}

// resultOf drops the type of the evidence.
func resultOf[E any](r action.Result[E], err error) (result, error) {
	return result{action.Result[any]{Summary: r.Summary, Tool: r.Tool, Evidence: r.Evidence, Findings: r.Findings}}, err
}

// execute runs one stage and appends it to the record, whatever it came to.
func (d *delivery) execute(ctx context.Context, name string, s stage) error {
	d.board.Start(name)
	started := d.started(name)
	res, err := guarded(ctx, d, s)
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fault.Undeterminedf("%w", context.Cause(ctx)) // a child that died of the same signal is not the reason
	}
	entry := record.Stage{Name: name, Summary: res.Summary, StartedAt: started.UTC(),
		DurationMS: d.world.Now().Sub(started).Milliseconds()}
	if res.Tool.Name != "" {
		entry.Tool = &res.Tool
	}
	if res.Evidence != nil {
		data, encodeErr := json.Marshal(res.Evidence)
		if encodeErr != nil && err == nil {
			err = fault.Undeterminedf("the evidence cannot be encoded: %w", encodeErr)
		}
		entry.Evidence = data
	}
	entry.Outcome = outcomeOf(err)
	if err != nil {
		lines := fault.Lines(err)
		entry.Reason, entry.Detail = lines[0], lines[1:]
	}
	return errors.Join(err, d.put(entry, res.Findings, err))
}

// started notes that a stage has begun. That it cannot be written is said when the stage ends.
func (d *delivery) started(name string) time.Time {
	now := d.world.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		d.running = map[string]time.Time{}
	}
	d.running[name] = now.UTC()
	_ = d.write()
	return now
}

// write replaces the record. Until the action has ended, the file says of what runs that it did not end: what a killed
// process leaves is never read as a pass.
func (d *delivery) write() error {
	rec := d.rec.Clone()
	for _, s := range d.pending() {
		rec.Put(s)
	}
	rec.Order(stageOrder())
	return rec.Write(d.recordPath)
}

// pending are the stages that a record is left with when its process is killed now.
func (d *delivery) pending() []record.Stage {
	stage := record.Stage{Name: stageEnd, Outcome: record.Error, Reason: reasonCut, StartedAt: d.begun.UTC()}
	if len(d.running) == 0 {
		return []record.Stage{stage}
	}
	var list []record.Stage
	for name, started := range d.running {
		stage.Name, stage.StartedAt = name, started
		list = append(list, stage)
	}
	return list
}

// guarded keeps a panic in one stage from taking the record of the others with it.
func guarded(ctx context.Context, d *delivery, s stage) (res result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Undeterminedf("idp itself broke: %v", p).
				WithDetail(strings.Split(string(debug.Stack()), "\n")...).
				WithNext("This is a defect of idp; please report it with the lines above.")
		}
	}()
	return s.stage(ctx, d)
}

func outcomeOf(err error) record.Outcome {
	if err == nil {
		return record.Passed
	}
	switch fault.KindOf(err) {
	case fault.Failed:
		return record.Failed
	case fault.Skipped:
		return record.Skipped
	}
	return record.Error
}

// put appends a stage, shows it and writes the record, so that a killed process leaves what was known.
func (d *delivery) put(s record.Stage, findings []finding.Finding, err error) error {
	d.mu.Lock()
	d.rec.Put(s)
	d.rec.Order(stageOrder())
	delete(d.running, s.Name)
	d.findings[s.Name] = findings
	if s.Tool != nil && (s.Name == record.StageSAST || s.Name == record.StageSecrets || s.Name == record.StageGate) {
		d.scans = append(d.scans, s)
	}
	if err != nil {
		d.faults[s.Name] = err
	}
	writeErr := d.write()
	d.mu.Unlock()
	if fault.KindOf(err) == fault.Undetermined && err != nil {
		s.Reason = "could not be determined: " + s.Reason
	}
	d.board.Done(s)
	if writeErr != nil {
		return fault.BadInputf("the record cannot be written: %w", writeErr)
	}
	return nil
}

// skip appends a stage that was not reached; the lines above say why already, so it is not shown.
func (d *delivery) skip(name, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rec.Put(record.Stage{Name: name, Outcome: record.Skipped, Reason: reason, StartedAt: d.world.Now().UTC()})
}

// snapshot is the record as it stands, for a stage to read.
func (d *delivery) snapshot() *record.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rec.Clone()
}

// setArtifact names the image in the record. What an earlier step of the delivery said of another image is over.
func (d *delivery) setArtifact(a record.Artifact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.rec.Artifact
	if old.Digest != "" && old.Digest != a.Digest {
		d.rec.Drop(record.StageBuild, record.StageSign, record.StageVerify, record.StageDeploy, record.StageSmoke, record.StageAttest,
			record.StageCatalog, record.StageEvents, record.StageNotify)
		d.rec.Previous = nil
	}
	if a.Image == "" && old.Digest == a.Digest {
		a.Image = old.Image
	}
	d.rec.SetArtifact(a)
}

// progress shows what a stage does now.
func (d *delivery) progress(stage string) action.Progress {
	return func(what string) { d.board.Update(stage, what) }
}

// dir is the service's folder, out a path in the output folder.
func (d *delivery) dir() string { return d.opts.Service }
func (d *delivery) out(parts ...string) string {
	return filepath.Join(slices.Concat([]string{d.opts.Out}, parts)...)
}

// inService is a path in the service's folder.
func (d *delivery) inService(path string) string {
	return filepath.Join(d.dir(), filepath.FromSlash(path))
}

// wrote names a file of a stage for the summary.
func (d *delivery) wrote(stage, path, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads[stage] = path
	if file := (report.File{Path: path, What: what}); !slices.Contains(d.files, file) {
		d.files = append(d.files, file)
	}
}

// makeOut makes the output folder and keeps git from seeing it. In a folder that has something in it already, such as the
// service's own, a .gitignore would hide what others put there.
func makeOut(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- reports are for everyone on the runner to read
		return unwritable(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return unwritable(dir, err)
	}
	probe := filepath.Join(dir, ".gitignore")
	if len(entries) > 0 {
		probe = filepath.Join(dir, ".writable")
		defer func() { _ = os.Remove(probe) }()
	}
	if err := record.WriteFile(probe, []byte("*\n"), 0o644); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

func unwritable(dir string, err error) error {
	return fault.BadInputf("the output folder %s cannot be written: %w", dir, err).
		WithNext("Give another one: --out FOLDER")
}
