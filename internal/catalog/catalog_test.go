package catalog

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

const (
	commitA = "4f1c2ab0000000000000000000000000000000aa"
	digestA = "sha256:9d0c00000000000000000000000000000000000000000000000000000000e1aa"
)

func testDeps() Deps {
	return Deps{Now: time.Now, Sleep: func(ctx context.Context, d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d / 5):
			return nil
		}
	}}
}

func checkout() *service.Service {
	return &service.Service{Name: "checkout", Owner: "team-payments", Description: "Takes the money.", Tier: 1, System: "shop",
		Runbook: "https://wiki.example.com/checkout", SLA: 99.9,
		Dashboards: []service.Link{{Title: "Traffic", URL: "https://grafana.example.com/d/checkout"}}}
}

// delivered is the record of a delivery of svc by the given run; run "" is one outside CI.
func delivered(t *testing.T, svc *service.Service, run, commit, digest string, outcome record.Outcome) *record.Record {
	t.Helper()
	rec := record.New(record.Service{Name: svc.Name, Owner: svc.Owner, Tier: svc.Tier},
		record.Source{Repository: "acme/" + svc.Name, Commit: commit, Ref: "refs/heads/main"},
		record.Run{ID: run, Attempt: 1, URL: "https://github.com/acme/checkout/actions/runs/" + run}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/" + svc.Name, Digest: digest})
	put := func(name string, o record.Outcome, evidence any) {
		data, err := json.Marshal(evidence)
		if err != nil {
			t.Fatal(err)
		}
		rec.Put(record.Stage{Name: name, Outcome: o, Evidence: data, DurationMS: 1400})
	}
	put(record.StageCost, record.Passed, record.Cost{Currency: "USD", Min: 11.4, Max: 34.2})
	put(record.StageDeploy, outcome, record.Deploy{Release: "r1", Digest: digest, Changed: true})
	return rec
}

func bare(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "catalog.git")
	if err := gitstore.CreateBare(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func inputs(t *testing.T, url string) Inputs {
	t.Helper()
	svc := checkout()
	return Inputs{URL: url, Branch: "main", Service: svc, Origin: "https://github.com/acme/checkout.git",
		Record: delivered(t, svc, "100", commitA, digestA, record.Passed)}
}

// git runs git for the test itself, away from the configuration of whoever runs it.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=ann", "-c", "user.email=ann@example.com",
		"-c", "commit.gpgSign=false"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// edit commits files to the catalogue as a person would.
func edit(t *testing.T, url string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "clone", "--quiet", url, "work")
	dir = filepath.Join(dir, "work")
	git(t, dir, "checkout", "--quiet", "-B", "main")
	for path, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, full); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", "--all")
	git(t, dir, "commit", "--quiet", "--message", "by hand")
	git(t, dir, "push", "--quiet", "origin", "HEAD:main")
}

// show gives a file of the catalogue.
func show(t *testing.T, url, path string) string {
	t.Helper()
	return git(t, url, "show", "main:"+path)
}

func commits(t *testing.T, url string) int {
	t.Helper()
	return strings.Count(git(t, url, "log", "--format=%H", "main"), "\n")
}

// logLines gives the deliveries in all months of a log.
func logLines(t *testing.T, url, folder string) []catalogfile.Line {
	t.Helper()
	var all []catalogfile.Line
	for path := range strings.FieldsSeq(git(t, url, "ls-tree", "-r", "--name-only", "main", folder+"/")) {
		if !strings.HasSuffix(path, ".jsonl") {
			continue
		}
		for text := range strings.Lines(show(t, url, path)) {
			var l catalogfile.Line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			all = append(all, l)
		}
	}
	return all
}

func TestFirstDeliveryIntoAnEmptyRepository(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Checkout = filepath.Join(t.TempDir(), "out", "catalog")
	out, err := Run(t.Context(), in, testDeps())
	if err != nil {
		t.Fatal(err)
	}
	if out.Summary != "component checkout, delivery 1" || !out.Evidence.Changed || out.Evidence.Delivery != 1 ||
		out.Evidence.Component != "checkout" || out.Evidence.URL != in.URL || out.Tool.Name != "git" {
		t.Errorf("%+v", out)
	}
	if tip := strings.TrimSpace(git(t, in.URL, "rev-parse", "main")); tip != out.Evidence.Commit {
		t.Errorf("evidence names commit %s, the catalogue is at %s", out.Evidence.Commit, tip)
	}
	const want = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: checkout
  description: Takes the money.
  labels:
    idp/tier: "1"
  annotations:
    idp/slo-availability: "99.9"
    backstage.io/source-location: url:https://github.com/acme/checkout/
    github.com/project-slug: acme/checkout
  links:
    - url: https://wiki.example.com/checkout
      title: Runbook
      type: runbook
    - url: https://grafana.example.com/d/checkout
      title: Traffic
      type: dashboard
spec:
  type: service
  lifecycle: production
  owner: team-payments
  system: shop
`
	if got := show(t, in.URL, "catalog/checkout.yaml"); got != want {
		t.Errorf("entity:\n%s", got)
	}
	lines := logLines(t, in.URL, "deliveries/checkout/staging")
	if len(lines) != 1 || lines[0].ID != in.Record.ID || lines[0].Outcome != record.Passed || lines[0].Cost.Max != 34.2 ||
		lines[0].Run.ID != "100" || lines[0].Stages[1].DurationMS != 1400 {
		t.Errorf("log: %+v", lines)
	}
	for _, file := range []string{"index.json", "README.md", "catalog/checkout.yaml"} {
		if data, err := os.ReadFile(filepath.Join(in.Checkout, file)); err != nil || string(data) != show(t, in.URL, file) {
			t.Errorf("copy of %s: %v", file, err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(in.Checkout))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the copy: %v %v", left, err)
	}
}
