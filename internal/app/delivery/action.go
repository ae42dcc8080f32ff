package delivery

import (
	"context"
	"errors"
	"slices"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/fault"
)

// Action is one entry of the suite: `uses: org/idp/NAME@v1`, and `idp NAME`.
type Action struct {
	Name    string
	Does    string // one sentence for help and action.yml
	Outputs []action.Output
	New     func() Work
	// Reads is in the place of New in an action that makes no delivery and keeps no record: it reads, and says what it found.
	Reads func() Reading
	// Bare actions work in any folder: without idp.yaml and, where they need no history, without git.
	Bare bool
	// Shows is what of it can be seen on GitHub.
	Shows announce.Shows
	// Asks tells that it asks GitHub, and shows nothing there.
	Asks bool
	// Alone is what `idp NAME IMAGE` does, for an image of anyone and outside of any service.
	Alone func(context.Context, cli.World, []string) error
	// Post is that something is run when the job ends, however the action ended: see post.go of package app.
	Post bool
}

// PathName is the name of the action that is the whole path.
const PathName = "path"

func (a Action) isPath() bool { return a.Name == PathName }

// Work is one call of an action: its inputs, and what it does with them.
type Work interface {
	Declare(*action.Set)
	// Run appends what it found out to the delivery. Its error decides the exit code and has been shown to the person.
	Run(context.Context, *Delivery) error
}

// Reading is one call of an action that only reads.
type Reading interface {
	Declare(*action.Set)
	Read(context.Context, cli.World) error
	// values are those of the action's outputs by name; empty while they are not known.
	Values() map[string]string
}

// Stage is the work of one stage.
type Stage interface {
	Declare(*action.Set)
	// Stage does the work; Execute times it, classifies the error and writes the record.
	Stage(context.Context, *Delivery) (Result, error)
}

// single is an action that is one stage.
type single struct {
	name string
	Stage
}

func (s single) Run(ctx context.Context, d *Delivery) error {
	a, ok := s.Stage.(appending)
	if !ok {
		return d.Execute(ctx, s.name, s.Stage)
	}
	after := a.After()
	if err := after.Ready(ctx, d); err != nil {
		return d.Reject(ctx, err) // found before anything is changed
	}
	err := d.Execute(ctx, s.name, s.Stage)
	if err != nil && fault.KindOf(err) != fault.Failed {
		return err
	}
	if _, before := d.Snapshot().Stage(after.Name()); before && !after.Signs(ctx, d) {
		return err // an earlier step could sign, and what it came to stands
	}
	said := d.Execute(ctx, after.Name(), after)
	if err != nil && (said == nil || fault.KindOf(said) != fault.Undetermined) {
		return err
	}
	return said
}

// appending is implemented by stages after which something is to be said of the image.
type appending interface{ After() Following }

// Following is the stage that says it.
type Following interface {
	Stage
	Name() string
	Ready(context.Context, *Delivery) error      // what is wrong with what it signs with
	Signs(ctx context.Context, d *Delivery) bool // there is something to sign with
}

// As finds what the work can do besides, whether it is a path or a single stage.
func As[T any](w Work) (T, bool) {
	if s, ok := w.(single); ok {
		t, ok := s.Stage.(T)
		return t, ok
	}
	t, ok := w.(T)
	return t, ok
}

// named is a stage that knows its name in the record.
type named[T any] interface {
	*T
	Stage
	Name() string
}

// Only makes the action of a single stage with fresh inputs.
func Only[T any, P named[T]]() Work {
	s := P(new(T))
	return single{s.Name(), s}
}

// Inputs declares everything that the action takes.
func (a Action) Inputs() *action.Set {
	if a.Reads != nil {
		set := &action.Set{}
		a.Reads().Declare(set)
		return set
	}
	set, _, _ := a.Prepare()
	return set
}

// AllOutputs declares everything that the action gives.
func (a Action) AllOutputs() []action.Output {
	if a.Reads != nil {
		return a.Outputs
	}
	return slices.Concat(commonOutputs, a.Outputs)
}

// Read runs an action that only reads.
func (a Action) Read(ctx context.Context, w cli.World, args []string) error {
	set, r := &action.Set{}, a.Reads()
	r.Declare(set)
	if err := cli.Fill(w, a.Name, set, args); err != nil {
		return err
	}
	err := r.Read(ctx, w)
	var lost []error
	for _, o := range a.Outputs {
		lost = append(lost, w.Runner.Output(o.Name, r.Values()[o.Name]))
	}
	if e := errors.Join(lost...); e != nil {
		err = errors.Join(err, fault.Undeterminedf("the runner's files cannot be written: %w", e))
	}
	return err
}

// Prepare makes one call of the action: its declared inputs and where they go.
func (a Action) Prepare() (*action.Set, *Options, Work) {
	set, opts, w := &action.Set{}, &Options{}, a.New()
	opts.Declare(set)
	if a.Shows != announce.Nothing || a.Asks {
		declareToken(set, &opts.Token)
	}
	w.Declare(set)
	return set, opts, w
}
