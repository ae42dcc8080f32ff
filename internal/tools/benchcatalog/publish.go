package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/org/idp/internal/catalog"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// publishTarget is how much longer a delivery may take in the large catalogue than in one of ten services.
const publishTarget = 1.3

// publishing measures deliveries of a service that both catalogues have, in turns, so that both meet the same machine.
func publishing(ctx context.Context, stdout io.Writer, large string, services, runs int) error {
	small, err := os.MkdirTemp("", "idp-benchcatalog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(small) }()
	if err := generate(small, 10, time.Now()); err != nil {
		return err
	}
	var took [2][]time.Duration
	urls := [2]string{}
	for i, dir := range []string{small, large} {
		if urls[i], err = served(ctx, dir); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(urls[i]) }()
	}
	for n := range runs*3 + 1 {
		for i, url := range urls {
			begun := time.Now()
			if err := deliver(ctx, url, n); err != nil {
				return err
			}
			if n > 0 {
				took[i] = append(took[i], time.Since(begun))
			}
		}
	}
	_, err = fmt.Fprintf(stdout, "a delivery into a catalogue of 10 services: median %s; of %d: median %s; %.2f times (target %.1f for 10000)\n",
		median(took[0]), services, median(took[1]), float64(median(took[1]))/float64(median(took[0])), publishTarget)
	return err
}

// served makes the bare repository of a catalogue as a server keeps it: in one pack.
func served(ctx context.Context, dir string) (string, error) {
	bare := dir + ".git"
	for _, args := range [][]string{
		{"-C", dir, "init", "--quiet", "--initial-branch=main"}, {"-C", dir, "add", "--all"},
		{"-C", dir, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--quiet", "--message", "catalogue"},
		{"clone", "--quiet", "--bare", filepath.Join(dir, ".git"), bare}, {"-C", bare, "repack", "-adq"},
		{"-C", bare, "config", "uploadpack.allowFilter", "true"}, {"-C", bare, "config", "receive.autogc", "false"},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil { // #nosec G204 -- fixed arguments
			return "", fmt.Errorf("git %s: %w\n%s", args, err, out)
		}
	}
	return bare, nil
}

func deliver(ctx context.Context, url string, n int) error {
	name, commit := serviceName(3), fmt.Sprintf("%040x", n+1)
	svc := &service.Service{Name: name, Owner: "team-0", Tier: 2, System: "system-0", SLA: 99.9}
	rec := record.New(record.Service{Name: name, Owner: "team-0", Tier: 2}, record.Source{Repository: "acme/" + name, Commit: commit, Ref: "refs/heads/main"},
		record.Run{ID: fmt.Sprint(n + 1), Attempt: 1}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/" + name, Digest: "sha256:" + commit + commit[:24]})
	rec.Put(record.Stage{Name: record.StageDeploy, Outcome: record.Passed, Evidence: []byte(`{}`)})
	out, err := catalog.Run(ctx, catalog.Inputs{URL: url, Branch: "main", Service: svc, Record: rec, Origin: "https://github.com/acme/" + name + ".git"},
		catalog.Deps{Now: time.Now})
	if err == nil && !out.Evidence.Changed {
		err = fmt.Errorf("delivery %d changed nothing", n)
	}
	return err
}
