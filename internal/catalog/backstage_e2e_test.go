//go:build e2e

package catalog

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/service"
)

// validators installs Backstage's validators once for each version of the lock file, outside the checkout, and gives the
// script that runs them.
func validators(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile("testdata/backstage/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "idp-e2e", fmt.Sprintf("backstage-%x", sha256.Sum256(lock))[:22])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json", "validate.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata/backstage", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// npm writes this file last, so an installation that was cut off is made again.
	if _, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json")); err != nil {
		cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	return filepath.Join(dir, "validate.mjs")
}

func validate(script string, files ...string) (string, error) {
	out, err := exec.Command("node", append([]string{script}, files...)...).CombinedOutput()
	return string(out), err
}

func TestBackstageAcceptsTheEntities(t *testing.T) {
	script := validators(t)
	url, dir := bare(t), t.TempDir()
	edit(t, url, map[string]string{"catalog/edited.yaml": strings.ReplaceAll(edited, "name: checkout", "name: edited")})
	services := []*service.Service{
		checkout(),
		{Name: "edited", Owner: "group:default/team-payments", Tier: 4, SLA: 99.95, Runbook: "https://wiki.example.com/new"},
		{Name: "a", Owner: "b"},
		{Name: strings.Repeat("x", 63), Owner: "user:ann", Lifecycle: "experimental", Description: "null\n- a: b # c"},
	}
	var files []string
	for _, svc := range services {
		in := inputs(t, url)
		in.Service, in.Checkout = svc, filepath.Join(dir, "catalog")
		in.Record = delivered(t, svc, "1", commitA, digestA, "passed")
		mustRun(t, in)
		files = append(files, filepath.Join(in.Checkout, "catalog", svc.Name+".yaml"))
	}
	out, err := validate(script, files...)
	if err != nil || strings.Count(out, "component:default/") != len(services) || !strings.Contains(out, "api:default/edited") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The validators have to be able to say no, or their yes means nothing.
func TestBackstageRefusesWhatIsWrong(t *testing.T) {
	script, dir := validators(t), t.TempDir()
	good, _, err := editEntity(nil, testComponent())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ text, want string }{
		"as-written":       {string(good), "component:default/checkout"},
		"nothing":          {"", ""},
		"number":           {strings.Replace(string(good), `"99.9"`, "99.9", 1), "annotations"},
		"no-owner":         {strings.Replace(string(good), "owner: team-payments", "", 1), "owner"},
		"foreign-root-key": {string(good) + "tier: 1\n", "additional properties"},
		"name":             {strings.Replace(string(good), "name: checkout", "name: -x-", 1), "metadata.name"},
	} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := validate(script, file)
		if accepted := name == "as-written"; (err == nil) != accepted || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
