package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/catalog"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/tools/bench"
)

// publishTarget is how much longer a delivery may take in the large catalogue than in one of ten services.
const publishTarget = 1.3

// publishing measures deliveries of a service that both catalogues have, in turns, so that both meet the same machine: from a
// repository on the same disk, and over HTTP with a password, by git's own server here and as if it were a network away.
func publishing(ctx context.Context, stdout io.Writer, large string, services, runs int) error {
	small, err := os.MkdirTemp("", "idp-benchcatalog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(small) }()
	if err := generate(small, 10, time.Now()); err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "idp-benchcatalog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }()
	for name, dir := range map[string]string{"small": small, "large": large} {
		if err := served(ctx, dir, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	backend, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return err
	}
	server := httptest.NewServer(overHTTP(root, filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend")))
	defer server.Close()
	base := strings.Replace(server.URL, "http://", "http://ann:"+password+"@", 1)
	distant, err := far(ctx, server.Listener.Addr().String())
	if err != nil {
		return err
	}
	away := "http://ann:" + password + "@" + distant
	urls := [6]string{filepath.Join(root, "small"), filepath.Join(root, "large"), base + "/small", base + "/large", away + "/small", away + "/large"}
	_ = exec.CommandContext(ctx, "sync").Run()
	number := 0
	for _, k := range kinds {
		var took [len(urls)][]time.Duration
		for n := range runs*k.rounds + 1 {
			for i, url := range urls {
				number++
				begun := time.Now()
				if err := deliver(ctx, url, number, k.service(number), k.estimate(number)); err != nil {
					return err
				}
				if n > 0 {
					took[i] = append(took[i], time.Since(begun))
				}
			}
		}
		for i := 0; i < len(took); i += 2 {
			where := []string{"from a folder", "over HTTP with a password", "over HTTP, as if " + roundTrip.String() + " away"}[i/2]
			small, large := bench.Median(took[i]), bench.Median(took[i+1])
			if _, err = fmt.Fprintf(stdout, "%s %s, into a catalogue of 10 services: median %s; of %d: median %s; %.2f times%s\n",
				k.what, where, small.Round(time.Millisecond), services, large.Round(time.Millisecond), float64(large)/float64(small), k.target); err != nil {
				return err
			}
		}
	}
	return nil
}

// kinds are the deliveries that are measured. Most are the first.
var kinds = []struct {
	what, target string
	rounds       int
	service      func(int) string
	estimate     func(int) string
}{
	{"a delivery", fmt.Sprintf(" (target %.1f for 10000)", publishTarget), 3, old, same},
	{"a delivery with another estimate", "", 1, old, func(n int) string { return fmt.Sprint(n) }},
	{"the first delivery of a service", "", 1, func(n int) string { return fmt.Sprintf("new-%05d", n) }, same},
}

func old(int) string { return serviceName(3) }

func same(int) string { return "the same" }

const password = "not-a-secret"

// overHTTP serves the repositories in a folder.
func overHTTP(root, backend string) http.Handler {
	git := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ann"}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, ok := r.BasicAuth(); !ok || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="catalogue"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	})
}

// served makes the bare repository of a catalogue as a server keeps it: in one pack.
func served(ctx context.Context, dir, bare string) error {
	for _, args := range [][]string{
		{"-C", dir, "init", "--quiet", "--initial-branch=main"}, {"-C", dir, "add", "--all"},
		{"-C", dir, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--quiet", "--message", "catalogue"},
		{"clone", "--quiet", "--bare", filepath.Join(dir, ".git"), bare}, {"-C", bare, "repack", "-adq"},
		{"-C", bare, "config", "uploadpack.allowFilter", "true"}, {"-C", bare, "config", "receive.autogc", "false"},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil { // #nosec G204 -- fixed arguments
			return fmt.Errorf("git %s: %w\n%s", args, err, out)
		}
	}
	return nil
}

func deliver(ctx context.Context, url string, n int, name, estimate string) error {
	commit := fmt.Sprintf("%040x", n+1)
	svc := &service.Service{Name: name, Owner: "team-0", Tier: 2, System: "system-0", SLA: 99.9}
	rec := record.New(record.Service{Name: name, Owner: "team-0", Tier: 2}, record.Source{Repository: "acme/" + name, Commit: commit, Ref: "refs/heads/main"},
		record.Run{ID: fmt.Sprint(n + 1), Attempt: 1}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/" + name, Digest: "sha256:" + commit + commit[:24]})
	rec.Put(record.Stage{Name: record.StageCost, Outcome: record.Passed, Evidence: []byte(`{"currency":"USD","min":11.4,"max":34.2}`)})
	rec.Put(record.Stage{Name: record.StageDeploy, Outcome: record.Passed, Evidence: []byte(`{}`)})
	out, err := catalog.Run(ctx, catalog.Inputs{URL: url, Branch: "main", Service: svc, Record: rec, Origin: "https://github.com/acme/" + name + ".git",
		Costs: func(time.Time) ([]byte, error) { return []byte(estimate + costs), nil }},
		catalog.Deps{Now: time.Now})
	if err == nil && !out.Evidence.Changed {
		err = fmt.Errorf("delivery %d changed nothing", n)
	}
	return err
}
