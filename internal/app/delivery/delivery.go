// Package delivery is one run of the program over one service: what it reads before it begins, the stages that it runs, and
// the record, the reports and the runner's files that it leaves. Which stages there are, it does not know.
package delivery

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
	"github.com/org/idp/internal/app/cli"
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

// Options are the inputs of every action.
type Options struct {
	action.Common
	Quiet bool
	Token string // of GitHub; only of actions that show something there
}

// Declare declares them.
func (o *Options) Declare(s *action.Set) {
	o.Common.Declare(s)
	s.Bool(&o.Quiet, action.Input{Name: "quiet", Usage: "Show only what did not pass."})
}

// Delivery is one run of the program over one service.
type Delivery struct {
	World   cli.World
	Options Options
	Runner  *runner.Runner
	Event   runner.Event // what started the run
	Board   *ui.Board

	Repo        *gitrepo.Repo // nil for a bare action outside of a repository
	NoRepo      error         // why it is nil
	Service     *service.Service
	Policy      *policy.Policy
	Rules       policy.Rules // of the environment
	RecordPath  string
	earlier     *record.Record // that an earlier step left there; nil for none
	Begun       time.Time
	order       []string          // of the stages in the record, whichever of them ended first
	files       []report.File     // written for people
	Diff        string            // what a deploy would change, for people; empty where there is no plan
	CostBefore  *record.Cost      // estimate of what the change branched off from, without containers where there was nothing; nil where it is not known
	CostUnknown string            // why it is not; empty where nobody asked
	Live        string            // URL of the service that stays running; empty where none does
	reads       map[string]string // by stage, where to read more
	Token       string            // tells this process from every other; see deploying

	Announcer     *announce.Announcer // nil where nothing is shown on GitHub
	ConnectGitHub func(budget time.Duration) (*github.Client, error)

	mu       sync.Mutex
	Record   *record.Record
	findings map[string][]finding.Finding // by stage
	scans    []record.Stage               // stages of this process that look for findings
	faults   map[string]error             // by stage
	running  map[string]time.Time         // stages that have begun and not ended, and when they began
	Local    embedded
	sigstore Sigstore
}

const (
	// StageStop is the stage of a path that could not stop the service that it had started.
	StageStop = "stop"
	// StageEnd is the stage of a record whose action was cut off between two of its stages.
	StageEnd = "end"
	// ReasonCut is the reason of a stage that the record was left with.
	ReasonCut = "it had begun and did not end: the step was cut off"
)

// Result is what a stage found out, whatever its package.
type Result struct {
	action.Result[any]
}

// ResultOf drops the type of the evidence.
func ResultOf[E any](r action.Result[E], err error) (Result, error) {
	return Result{action.Result[any]{Summary: r.Summary, Tool: r.Tool, Evidence: r.Evidence, Findings: r.Findings}}, err
}

// Execute runs one stage and appends it to the record, whatever it came to.
func (d *Delivery) Execute(ctx context.Context, name string, s Stage) error {
	d.Board.Start(name)
	started := d.started(name)
	res, err := guarded(ctx, d, s)
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fault.Undeterminedf("%w", context.Cause(ctx)) // a child that died of the same signal is not the reason
	}
	entry := record.Stage{Name: name, Summary: res.Summary, StartedAt: started.UTC(),
		DurationMS: d.World.Now().Sub(started).Milliseconds()}
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
func (d *Delivery) started(name string) time.Time {
	now := d.World.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		d.running = map[string]time.Time{}
	}
	d.running[name] = now.UTC()
	_ = d.Write()
	return now
}

// Write replaces the record. Until the action has ended, the file says of what runs that it did not end: what a killed
// process leaves is never read as a pass.
func (d *Delivery) Write() error {
	rec := d.Record.Clone()
	for _, s := range d.pending() {
		rec.Put(s)
	}
	rec.Order(d.order)
	return rec.Write(d.RecordPath)
}

// pending are the stages that a record is left with when its process is killed now.
func (d *Delivery) pending() []record.Stage {
	stage := record.Stage{Name: StageEnd, Outcome: record.Error, Reason: ReasonCut, StartedAt: d.Begun.UTC()}
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
func guarded(ctx context.Context, d *Delivery, s Stage) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Undeterminedf("idp itself broke: %v", p).
				WithDetail(strings.Split(string(debug.Stack()), "\n")...).
				WithNext("This is a defect of idp; please report it with the lines above.")
		}
	}()
	return s.Stage(ctx, d)
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
func (d *Delivery) put(s record.Stage, findings []finding.Finding, err error) error {
	d.mu.Lock()
	d.Record.Put(s)
	d.Record.Order(d.order)
	delete(d.running, s.Name)
	d.findings[s.Name] = findings
	if s.Tool != nil && (s.Name == record.StageSAST || s.Name == record.StageSecrets || s.Name == record.StageGate) {
		d.scans = append(d.scans, s)
	}
	if err != nil {
		d.faults[s.Name] = err
	}
	writeErr := d.Write()
	d.mu.Unlock()
	if fault.KindOf(err) == fault.Undetermined && err != nil {
		s.Reason = "could not be determined: " + s.Reason
	}
	d.Board.Done(s)
	if writeErr != nil {
		return fault.BadInputf("the record cannot be written: %w", writeErr)
	}
	return nil
}

// Skip appends a stage that was not reached; the lines above say why already, so it is not shown.
func (d *Delivery) Skip(name, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Record.Put(record.Stage{Name: name, Outcome: record.Skipped, Reason: reason, StartedAt: d.World.Now().UTC()})
}

// Snapshot is the record as it stands, for a stage to read.
func (d *Delivery) Snapshot() *record.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Record.Clone()
}

// SetArtifact names the image in the record. What an earlier step of the delivery said of another image is over.
func (d *Delivery) SetArtifact(a record.Artifact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.Record.Artifact
	if old.Digest != "" && old.Digest != a.Digest {
		d.Record.Drop(record.StageBuild, record.StageSign, record.StageVerify, record.StageDeploy, record.StageSmoke, record.StageAttest,
			record.StageCatalog, record.StageEvents, record.StageNotify)
		d.Record.Previous = nil
	}
	if a.Image == "" && old.Digest == a.Digest {
		a.Image = old.Image
	}
	d.Record.SetArtifact(a)
}

// Progress shows what a stage does now.
func (d *Delivery) Progress(stage string) action.Progress {
	return func(what string) { d.Board.Update(stage, what) }
}

// Dir is the service's folder, out a path in the output folder.
func (d *Delivery) Dir() string { return d.Options.Service }

// Out is a file in the output folder.
func (d *Delivery) Out(parts ...string) string {
	return filepath.Join(slices.Concat([]string{d.Options.Out}, parts)...)
}

// InService is a path in the service's folder.
func (d *Delivery) InService(path string) string {
	return filepath.Join(d.Dir(), filepath.FromSlash(path))
}

// Wrote names a file of a stage for the summary.
func (d *Delivery) Wrote(stage, path, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads[stage] = path
	if file := (report.File{Path: path, What: what}); !slices.Contains(d.files, file) {
		d.files = append(d.files, file)
	}
}

// MakeOut makes the output folder and keeps git from seeing it. In a folder that has something in it already, such as the
// service's own, a .gitignore would hide what others put there.
func MakeOut(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- reports are for everyone on the runner to read
		return Unwritable(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Unwritable(dir, err)
	}
	probe := filepath.Join(dir, ".gitignore")
	if len(entries) > 0 {
		probe = filepath.Join(dir, ".writable")
		defer func() { _ = os.Remove(probe) }()
	}
	if err := record.WriteFile(probe, []byte("*\n"), 0o644); err != nil {
		return Unwritable(dir, err)
	}
	return nil
}

// Unwritable is the error of an output folder that cannot be written to.
func Unwritable(dir string, err error) error {
	return fault.BadInputf("the output folder %s cannot be written: %w", dir, err).
		WithNext("Give another one: --out FOLDER")
}
