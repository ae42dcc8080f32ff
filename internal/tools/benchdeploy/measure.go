package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/record"
)

// sample is one deploy.
type sample struct {
	whole   time.Duration // from the start of the first process to the end of the last
	stage   time.Duration // of ours: from reading the inputs to the end of the rollout
	healthy time.Duration // from the first change in the cluster until the version is healthy
}

// ours deploys a version with idp.
func (b *comparison) ours(ctx context.Context, version int) (sample, error) {
	s, code, text, err := b.deploy(ctx, version)
	if err == nil && code != 0 {
		err = fmt.Errorf("idp deploy: exit code %d\n%s", code, text)
	}
	if err != nil {
		return s, err
	}
	rec, err := readRecord(filepath.Join(b.dir, "out", "record.json"))
	if err != nil {
		return s, err
	}
	stage, ok := rec.Stage(record.StageDeploy)
	var evidence record.Deploy
	if err := json.Unmarshal(stage.Evidence, &evidence); !ok || err != nil || !evidence.Changed {
		return s, fmt.Errorf("the record does not tell of a deploy that changed something: %w\n%s", err, text)
	}
	s.stage = time.Duration(stage.DurationMS) * time.Millisecond
	s.healthy = time.Duration(evidence.HealthyMS) * time.Millisecond
	return s, b.keepManifests(version)
}

func readRecord(path string) (rec record.Record, err error) {
	data, err := os.ReadFile(path) // #nosec G304 -- of our own folder
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	return rec, err
}

// keepManifests keeps what idp rendered, for kubectl's namespace.
func (b *comparison) keepManifests(version int) error {
	text, err := os.ReadFile(filepath.Join(b.dir, "out", "manifests.yaml")) // #nosec G304
	if err != nil {
		return err
	}
	return b.write(b.rendered(version), strings.ReplaceAll(string(text), spaceOurs, spaceTheirs))
}

func (b *comparison) rendered(version int) string { return fmt.Sprintf("manifests-%d.yaml", version) }

// theirs deploys a version with kubectl.
func (b *comparison) theirs(ctx context.Context, version int) (s sample, err error) {
	begun := time.Now()
	if err := b.kubectl(ctx, "apply", "-n", spaceTheirs, "-f", filepath.Join(b.dir, b.rendered(version))); err != nil {
		return s, err
	}
	applied := time.Now()
	err = b.kubectl(ctx, "rollout", "status", "deployment/hello", "-n", spaceTheirs, "--timeout", "2m")
	return sample{whole: time.Since(begun), healthy: time.Since(applied)}, err
}

func (b *comparison) kubectl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput() // #nosec G204 -- fixed commands
	if err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// failing deploys a version of which the rendered manifests have one text replaced, so that it fails for a reason.
func (b *comparison) failing(ctx context.Context, name, from, to, reason string) (sample, error) {
	const live = 0
	if _, code, said, err := b.deploy(ctx, live); err != nil || code != 0 {
		return sample{}, fmt.Errorf("exit code %d: %w\n%s", code, err, said)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, b.rendered(live))) // #nosec G304
	if err != nil {
		return sample{}, err
	}
	image, _, _ := strings.Cut(b.images[live].reference, "@") // the digest is that of the version, which idp puts in
	good := strings.NewReplacer(spaceTheirs, spaceOurs, b.images[live].reference, image).Replace(string(text))
	bad := strings.Replace(good, from, to, 1)
	if bad == good {
		return sample{}, fmt.Errorf("the manifests do not have %q", from)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(b.dir, "service", "k8s"), 0o700), b.write("service/k8s/all.yaml", bad)); err != nil {
		return sample{}, err
	}
	if err := b.release(ctx, name, "deploy: {manifests: k8s}\n"); err != nil {
		return sample{}, err
	}
	s, code, said, err := b.deploy(ctx, len(b.images)-1)
	if err == nil && (code != 1 || !strings.Contains(said, reason)) {
		err = fmt.Errorf("it did not fail with %s: exit code %d\n%s", reason, code, said)
	}
	return s, err
}

// deploy runs idp, and gives its exit code and what it said.
func (b *comparison) deploy(ctx context.Context, version int) (s sample, code int, said string, err error) {
	if _, err := b.git(ctx, "checkout", "-qf", b.images[version].commit); err != nil {
		return s, 0, "", err
	}
	out := filepath.Join(b.dir, "out")
	if err := os.RemoveAll(out); err != nil {
		return s, 0, "", err
	}
	cmd := b.command(ctx, out, "deploy", "--image", b.images[version].reference, "--target", "kubernetes", "--wait", "2m",
		"--key", filepath.Join(b.dir, "key.pub"))
	begun := time.Now()
	text, err := cmd.CombinedOutput()
	s.whole = time.Since(begun)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return s, exit.ExitCode(), string(text), nil
	}
	return s, 0, string(text), err
}
