package record

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestWorstIsErrorThenFailedThenPassed(t *testing.T) {
	for name, test := range map[string]struct {
		stages []Outcome
		want   Outcome
	}{
		"nothing":             {nil, Error},
		"only skipped":        {[]Outcome{Skipped, Skipped}, Error},
		"passed":              {[]Outcome{Passed}, Passed},
		"passed and skipped":  {[]Outcome{Passed, Skipped}, Passed},
		"failed":              {[]Outcome{Passed, Failed, Skipped}, Failed},
		"error beats failed":  {[]Outcome{Failed, Error, Passed}, Error},
		"unknown is an error": {[]Outcome{Passed, "green"}, Error},
		"empty is an error":   {[]Outcome{Passed, ""}, Error},
	} {
		var stages []Stage
		for _, o := range test.stages {
			stages = append(stages, Stage{Outcome: o})
		}
		if got := Worst(stages); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func example() *Record {
	return New(Service{Name: "checkout", Owner: "team"}, Source{Repository: "acme/checkout", Commit: strings.Repeat("a", 40)}, Run{ID: "7", Attempt: 1}, "staging")
}

func TestPutReplacesAnEarlierRunOfTheStage(t *testing.T) {
	r := example()
	if r.Outcome != Error {
		t.Errorf("a new record is %s", r.Outcome)
	}
	r.Put(Stage{Name: "sast", Outcome: Failed})
	r.Put(Stage{Name: "build", Outcome: Passed})
	r.Put(Stage{Name: "sast", Outcome: Passed})
	if len(r.Stages) != 2 || r.Outcome != Passed {
		t.Errorf("%+v is %s", r.Stages, r.Outcome)
	}
}

func TestOrder(t *testing.T) {
	r := example()
	for _, name := range []string{"cost", "inputs", "sast", "build"} {
		r.Put(Stage{Name: name})
	}
	r.Order([]string{"sast", "build", "cost"})
	var names []string
	for _, s := range r.Stages {
		names = append(names, s.Name)
	}
	if want := []string{"inputs", "sast", "build", "cost"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
}

// TestKeyTellsDeliveriesApart holds that every part of the key counts, and nothing else does.
func TestKeyTellsDeliveriesApart(t *testing.T) {
	base := example().ID
	changes := map[string]func(*Record){
		"service":     func(r *Record) { r.Service.Name = "x" },
		"repository":  func(r *Record) { r.Source.Repository = "x" },
		"path":        func(r *Record) { r.Source.Path = "x" },
		"commit":      func(r *Record) { r.Source.Commit = "x" },
		"environment": func(r *Record) { r.Environment = "x" },
		"run":         func(r *Record) { r.Run.ID = "x" },
		"attempt":     func(r *Record) { r.Run.Attempt = 2 },
		"digest":      func(r *Record) { r.Artifact.Digest = "x" },
	}
	seen := map[string]string{base: "nothing"}
	for name, change := range changes {
		r := example()
		change(r)
		r.SetArtifact(r.Artifact)
		if other, ok := seen[r.ID]; ok {
			t.Errorf("changing %s gives the same key as changing %s", name, other)
		}
		seen[r.ID] = name
	}
	r := example()
	r.Put(Stage{Name: "sast", Outcome: Passed})
	r.SetArtifact(Artifact{Image: "other.registry/x"})
	if r.ID != base {
		t.Error("a stage or the image's name changes the key")
	}
}

func TestEvidenceOfWhatDidNotPassIsAnError(t *testing.T) {
	r := example()
	r.Put(Stage{Name: "a", Outcome: Passed, Evidence: json.RawMessage(`{"digest":"sha256:1"}`)})
	r.Put(Stage{Name: "b", Outcome: Failed, Reason: "no", Evidence: json.RawMessage(`{"digest":"sha256:1"}`)})
	r.Put(Stage{Name: "c", Outcome: Passed})
	r.Put(Stage{Name: "d", Outcome: Passed, Evidence: json.RawMessage(`[1]`)})
	if e, err := EvidenceOf[Build](r, "a"); err != nil || e.Digest != "sha256:1" {
		t.Errorf("%+v, %v", e, err)
	}
	for _, name := range []string{"b", "c", "d", "absent"} {
		if _, err := EvidenceOf[Build](r, name); err == nil {
			t.Errorf("evidence of stage %s was taken", name)
		}
	}
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "record.json")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) || Exists(path) {
		t.Errorf("an absent record: %v", err)
	}
	r := example()
	r.Put(Stage{Name: "sast", Outcome: Passed})
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || got.ID != r.ID || got.Outcome != Passed || !Exists(path) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRefusesWhatIsNotARecord(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "cut": `{"schema": "idp.deli`, "other": `{"schema": "idp.delivery/v2"}`, "none": `{}`} {
		path := filepath.Join(t.TempDir(), "record.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%s: read as a record", name)
		}
	}
}

// TestReadersNeverSeeHalfAFile writes while others read.
func TestReadersNeverSeeHalfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	r := example()
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := Read(path); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 50 {
		r.Put(Stage{Name: "sast", Outcome: Passed, Reason: strings.Repeat("x", i*1000)})
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWriteFileLeavesTheOldOneWhenItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(blocked, "below"), []byte("new"), 0o600); err == nil {
		t.Error("a file was written below a file")
	}
	if data, err := os.ReadFile(blocked); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
}
