//go:build unix

package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAnnotationsOfTheChangeComeFirst has graver findings in what was there before than in what the change brought, and more
// of them than a step may annotate.
func TestAnnotationsOfTheChangeComeFirst(t *testing.T) {
	t.Parallel()
	j := newJob(t, "pull_request", pullRequest())
	old := "package main\n\nimport \"math/rand\"\n"
	for i := range 15 {
		old += fmt.Sprintf("\nfunc dice%d() int { return rand.Intn(6) }\n", i)
	}
	j.commit(map[string]string{"a.go": old})
	j.git("update-ref", "refs/remotes/origin/main", "HEAD")
	j.git("checkout", "-q", "-b", "change")
	j.commit(map[string]string{"z.go": "package main\n\nimport \"crypto/md5\"\n\nfunc weak(b []byte) [16]byte { return md5.Sum(b) }\n"})
	j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
	sast := func(gate string) (levels map[string][]string, code int) {
		j.write(".", map[string]string{"policy.yaml": "defaults:\n  sast: " + gate + "\n  secrets: {fail-on: low}\nenvironments: {staging: {}}\n"})
		e := j.step("sast", "--service", "svc", "--policy", j.path("policy.yaml"), "--environment", "staging")
		levels = map[string][]string{}
		for _, c := range e.log.Commands {
			if rule := c.Properties["title"]; strings.HasPrefix(rule, "G") {
				levels[c.Name] = append(levels[c.Name], rule+" "+c.Properties["file"])
			}
		}
		if e.code != 1 {
			t.Log(e.text)
		}
		return levels, e.code
	}

	levels, code := sast("{fail-on: low}")
	if errors := levels["error"]; code != 1 || len(errors) != 8 || !strings.HasSuffix(errors[0], "z.go") || !strings.HasSuffix(errors[1], "z.go") ||
		errors[2] != "G404 a.go" {
		t.Errorf("exit code %d, annotations %v", code, levels)
	}
	// What the gate lets pass for its weakness, or as not sure enough, is no error.
	for _, gate := range []string{"{fail-on: low, cwe: {CWE-338: none}}", "{fail-on: low, min-confidence: high}"} {
		levels, code = sast(gate)
		if code != 1 || slices.Contains(levels["error"], "G404 a.go") || !slices.Contains(levels["warning"], "G404 a.go") || len(levels["error"]) != 2 {
			t.Errorf("%s: exit code %d, annotations %v", gate, code, levels)
		}
	}
}
