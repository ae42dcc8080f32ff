package delivery

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/ui"
)

// looking is a stage that looks at the record that a kill would leave at this moment.
type looking struct{ look func() }

func (looking) Declare(*action.Set) {}

func (s looking) Stage(context.Context, *Delivery) (Result, error) {
	s.look()
	return Result{}, nil
}

// TestRecordOfAKilledActionIsNeverAPass reads the record wherever a kill can leave it.
func TestRecordOfAKilledActionIsNeverAPass(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.json")
	d := &Delivery{World: cli.World{Now: time.Now, Stdout: os.Stderr}, RecordPath: path, order: []string{record.StageSAST, record.StageBuild}, Record: record.New(record.Service{}, record.Source{}, record.Run{}, "")}
	d.Board = ui.New(os.Stderr, ui.Options{Quiet: true, Now: time.Now})
	d.faults = map[string]error{}
	d.findings = map[string][]finding.Finding{}
	want := func(stages ...string) {
		t.Helper()
		rec, err := record.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range rec.Stages {
			got = append(got, s.Name+" "+string(s.Outcome))
		}
		if !slices.Equal(got, stages) || rec.Outcome != record.Error {
			t.Errorf("stages %q, outcome %s; want %q", got, rec.Outcome, stages)
		}
	}
	inside := func() { want("sast error", "build error") }
	outer := looking{func() {
		want("sast error")
		if err := d.Execute(t.Context(), record.StageBuild, looking{inside}); err != nil {
			t.Error(err)
		}
		want("sast error", "build passed")
	}}
	if err := d.Execute(t.Context(), record.StageSAST, outer); err != nil {
		t.Error(err)
	}
	want("end error", "sast passed", "build passed")
	if d.Record.Outcome != record.Passed {
		t.Errorf("the record itself is %s", d.Record.Outcome)
	}
}
