package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/runner"
)

// effect is what the path does for an event.
type effect int

const (
	alwaysPlans effect = iota // the zero value: whatever the input says
	plansUnless               // unless the input says otherwise
	deliversUnless
)

// eventRule is what the path does for one kind of event.
type eventRule struct {
	event, which string // as a workflow names it; which of them
	matches      func(runner.Event) bool
	does         effect
	why          string // it plans
}

func anyOf(runner.Event) bool { return true }

// eventRules decide what the path does in a run; the first that matches wins, and an event without one is refused.
// docs/events.md is made of them.
var eventRules = []eventRule{
	{"pull_request", "from this repository", func(e runner.Event) bool { return !e.Fork }, alwaysPlans, "a pull request is not merged yet"},
	{"pull_request", "from a fork", anyOf, alwaysPlans, "code from a fork gets no rights"},
	{"merge_group", "", anyOf, alwaysPlans, "a merge group may still be thrown away"},
	{"push", "that deletes its branch or tag", func(e runner.Event) bool { return e.Deleted }, alwaysPlans, "what was pushed to is gone"},
	{"push", "to the default branch", func(e runner.Event) bool { return e.DefaultBranch != "" && e.Branch() == e.DefaultBranch }, deliversUnless, ""},
	{"push", "of a tag", runner.Event.OnTag, deliversUnless, ""},
	{"push", "to another branch", anyOf, plansUnless, "this is not the default branch"},
	{"workflow_dispatch", "", anyOf, deliversUnless, ""},
	{"release", "published, prereleased or released", func(e runner.Event) bool {
		return slices.Contains([]string{"published", "prereleased", "released"}, e.Action)
	}, deliversUnless, ""},
	{"release", "of another type, such as edited", anyOf, plansUnless, "nothing was released"},
	{"schedule", "", anyOf, plansUnless, "nobody asked for a delivery now"},
}

func ruleOf(e runner.Event) (eventRule, bool) {
	for _, r := range eventRules {
		if r.event == e.Name && r.matches(e) {
			return r, true
		}
	}
	return eventRule{}, false
}

// planned decides whether the path may change anything, from what started the run and the input, which is nil where it was
// not given. The reason is for people; it is empty where the input decided.
func planned(e runner.Event, input *bool) (plan bool, reason string, err error) {
	given := input != nil && *input
	rule, known := ruleOf(e)
	switch {
	case given, e.Name == "": // outside a run a person decides
		return given, "", nil
	case !known:
		return false, "", fault.BadInputf("what the path is to do for the event %s is not known", e.Name).
			WithNext("To change nothing: with: {plan: true}", "docs/events.md has the events that deliver.")
	case rule.does == alwaysPlans, rule.does == plansUnless && input == nil:
		return true, rule.why, nil
	}
	return false, "", nil
}

// eventsDoc is the reference of what the path does for which event.
func eventsDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- %s -->\n# Events\n\n", generatedNote)
	b.WriteString("What `uses: org/idp@v1` does depends on what started the workflow. A **plan** scans, builds, estimates and renders, and\n" +
		"changes nothing. The input `plan: true` makes a plan of everything.\n\n| event | | the path | |\n|---|---|---|---|\n")
	for _, r := range eventRules {
		does := map[effect]string{alwaysPlans: "plans, whatever `plan` says", plansUnless: "plans; `plan: false` delivers", deliversUnless: "delivers"}[r.does]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.event, r.which, does, r.why)
	}
	fmt.Fprintf(&b, "| `%s` | | refused, by every action | it runs with the secrets of the repository on code that anyone may have written |\n", runner.EventPullRequestTarget)
	b.WriteString("| any other | | refused unless `plan: true` | nobody has said what it means for a delivery |\n\n" +
		"The change, of which `secrets` reads every commit, begins where it left the branch that a pull request or merge group asks to\n" +
		"be merged into, for other events where it left the default branch. On the default branch itself, or where the checkout does\n" +
		"not have that branch, it is the whole history. `actions/checkout` fetches what is needed with `fetch-depth: 0`.\n\n" +
		"The ref in the record is that of the event only where its commit is the one that was checked out; otherwise it is the\n" +
		"branch that was, or none.\n")
	return b.String()
}
