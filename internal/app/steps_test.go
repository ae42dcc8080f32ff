//go:build unix

package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
)

// TestStepsShareOneRecord runs the actions as steps of one job, with inputs as the runner hands them over: each goes on
// with the record of those before it. The job of another commit begins a new one.
func TestStepsShareOneRecord(t *testing.T) {
	t.Parallel()
	j := newJob(t, "push", nil)
	j.setenv("INPUT_SERVICE", "svc")
	j.setenv("INPUT_POLICY", "") // an input that the workflow does not give is an empty one
	file := j.path("tmp", "idp", "record.json")
	var stages []string
	for _, step := range []struct{ action, summary string }{{"sast", "gosec"}, {"secrets", "1 commit"}, {"build", "modules in the SBOM"}} {
		e := j.step(step.action)
		j.want(e, 0, step.summary)
		stages = append(stages, step.action+" passed")
		rec := j.recordAt(file)
		if got := outcomes(rec); !slices.Equal(got, stages) || rec.Outcome != record.Passed {
			t.Errorf("after %s the record is %s: %v", step.action, rec.Outcome, got)
		}
		if e.outputs["record"] != file || e.outputs["outcome"] != "passed" || !strings.Contains(e.summary, step.summary) {
			t.Errorf("%s gives %v\n%s", step.action, e.outputs, e.summary)
		}
		if step.action == "build" && (e.outputs["digest"] == "" || e.outputs["digest"] != rec.Artifact.Digest) {
			t.Errorf("digest %q, in the record %q", e.outputs["digest"], rec.Artifact.Digest)
		}
	}
	rec := j.recordAt(file)
	if rec.Run.ID != "77" || rec.Run.Event != "push" || rec.Source.Repository != "acme/plain" || rec.Source.Commit != j.git("rev-parse", "HEAD") {
		t.Errorf("run %+v, source %+v", rec.Run, rec.Source)
	}

	secret := "token = \"ghp_" + strings.Repeat("aB3dE6gH9", 4) + "\"\n"
	j.commit(map[string]string{"notes.txt": secret})
	j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
	e := j.step("secrets")
	j.want(e, 1)
	if got := outcomes(j.recordAt(file)); !slices.Equal(got, []string{"secrets failed"}) || e.outputs["outcome"] != "failed" {
		t.Errorf("of another commit: %v, outputs %v", got, e.outputs)
	}
	if !e.annotated("1 new secret") || strings.Contains(e.text+e.summary, "aB3dE6gH9aB3") {
		t.Errorf("commands %v, or the secret is shown:\n%s\n%s", e.log.Commands, e.text, e.summary)
	}
}
