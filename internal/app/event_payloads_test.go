package app

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/testkit/npm"
)

//go:embed testdata/webhooks/package-lock.json
var webhooksLock []byte

// examples are GitHub's own payloads by event.
func examples(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	pin, err := npm.Locked(webhooksLock, "@octokit/webhooks-examples")
	if err != nil {
		t.Fatal(err)
	}
	data, err := pin.File("package/api.github.com/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	byName := map[string][]json.RawMessage{}
	for _, e := range list {
		byName[e.Name] = append(byName[e.Name], e.Examples...)
	}
	return byName
}

// refOf is what GitHub calls GITHUB_REF for a payload, by its documentation of events that trigger workflows.
func refOf(event string, p map[string]any) string {
	switch event {
	case "pull_request":
		return fmt.Sprintf("refs/pull/%v/merge", p["number"])
	case "merge_group":
		return p["merge_group"].(map[string]any)["head_ref"].(string)
	case "release":
		return "refs/tags/" + p["release"].(map[string]any)["tag_name"].(string)
	case "push", "workflow_dispatch":
		if p["deleted"] != true {
			return p["ref"].(string)
		}
	}
	return "refs/heads/" + p["repository"].(map[string]any)["default_branch"].(string)
}

func TestRealPayloads(t *testing.T) {
	t.Parallel()
	all := examples(t)
	delivered := map[string]int{}
	for _, event := range []string{"push", "pull_request", "merge_group", "release", "workflow_dispatch"} {
		if len(all[event]) == 0 {
			t.Errorf("there is no example of %s", event)
		}
		for i, payload := range all[event] {
			var p map[string]any
			if err := json.Unmarshal(payload, &p); err != nil {
				t.Fatal(err)
			}
			e, err := eventOf(t, event, refOf(event, p), payload)
			if err != nil {
				t.Errorf("%s %d: %v", event, i, err)
				continue
			}
			if e.DefaultBranch != p["repository"].(map[string]any)["default_branch"] {
				t.Errorf("%s %d: default branch %q", event, i, e.DefaultBranch)
			}
			holdAgainst(t, fmt.Sprint(event, " ", i), e, p)
			if decision(t, e, nil) == "deliver" {
				delivered[event]++
			}
		}
	}
	// Two pushes to master and one of a tag; the rest deleted it. The release examples are published ×3, prereleased ×2 and
	// released ×1.
	if got := fmt.Sprint(delivered); got != "map[push:3 release:6 workflow_dispatch:2]" {
		t.Errorf("delivered: %s", got)
	}
}

// holdAgainst compares what was read with the payload itself.
func holdAgainst(t *testing.T, name string, e runner.Event, p map[string]any) {
	t.Helper()
	pr, ok := p["pull_request"].(map[string]any)
	if !ok {
		return
	}
	head, base := pr["head"].(map[string]any), pr["base"].(map[string]any)
	fork := head["repo"].(map[string]any)["full_name"] != base["repo"].(map[string]any)["full_name"]
	if fmt.Sprint(e.Number) != fmt.Sprint(p["number"]) || e.Head.SHA != head["sha"] || e.Head.Ref != head["ref"] || e.BaseRef != base["ref"] || e.Fork != fork {
		t.Errorf("%s: %+v", name, e)
	}
}

// TestEventsWithoutARuleAreRefused takes every other payload of GitHub's.
func TestEventsWithoutARuleAreRefused(t *testing.T) {
	t.Parallel()
	refused := 0
	for event, payloads := range examples(t) {
		for i, payload := range payloads {
			if _, known := ruleOf(runner.Event{Name: event}); known {
				continue
			}
			e, err := eventOf(t, event, "refs/heads/main", payload)
			if err != nil {
				t.Errorf("%s %d: %v", event, i, err)
			} else if got := decision(t, e, nil); got != "refuse" {
				t.Errorf("%s %d: %s", event, i, got)
			}
			refused++
		}
	}
	if refused < 200 {
		t.Errorf("only %d payloads", refused)
	}
	if strings.Contains(eventsDoc(), "workflow_run") {
		t.Error("workflow_run has a rule now")
	}
}
