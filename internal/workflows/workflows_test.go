// Package workflows holds the rules over every workflow that this repository has, shows or runs.
package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow is what the rules are about.
type workflow struct {
	On          yaml.Node
	Permissions yaml.Node
	Jobs        map[string]job
}

type job struct {
	If          string
	Needs       list
	Uses        string
	Permissions yaml.Node
	Secrets     yaml.Node
	Steps       []step
}

type step struct {
	Name, Uses, Run, Shell string
	With, Env              map[string]string
}

// list is a YAML list, or one text in its place.
type list []string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// document is a file or a block of one.
type document struct{ where, text string }

func inRepo(parts ...string) string {
	return filepath.Join(append([]string{"..", ".."}, parts...)...)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func files(t *testing.T, patterns ...string) []string {
	t.Helper()
	var found []string
	for _, p := range patterns {
		matches, err := filepath.Glob(inRepo(filepath.FromSlash(p)))
		if err != nil || len(matches) == 0 {
			t.Fatalf("nothing matches %s: %v", p, err)
		}
		found = append(found, matches...)
	}
	return found
}

// blocks are the YAML blocks of every page of the documentation.
func blocks(t *testing.T) []document {
	t.Helper()
	var found []document
	for _, path := range files(t, "*.md", "docs/*.md", "actions/*/README.md") {
		parts := strings.Split("\n"+read(t, path), "\n```yaml\n")
		for _, part := range parts[1:] {
			text, _, closed := strings.Cut(part, "\n```")
			if !closed {
				t.Fatalf("%s: a block is not closed", path)
			}
			found = append(found, document{path, text + "\n"})
		}
	}
	return found
}

func isWorkflow(text string) bool { return strings.Contains("\n"+text, "\njobs:\n") }

// workflows are those in files and those in blocks.
func workflows(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, path := range files(t, ".github/workflows/*.yml", "docs/workflows/*.yml") {
		all = append(all, document{path, read(t, path)})
	}
	for _, b := range blocks(t) {
		if isWorkflow(b.text) {
			all = append(all, b)
		}
	}
	return all
}

func parse(t *testing.T, d document) workflow {
	t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(d.text), &w); err != nil || len(w.Jobs) == 0 {
		t.Fatalf("%s: %d jobs, %v", d.where, len(w.Jobs), err)
	}
	return w
}

// problems are what the rules say of one workflow.
func problems(w workflow, text string, actions map[string][]string) []string {
	var found []string
	add := func(parts ...string) { found = append(found, strings.Join(parts, " ")) }
	if strings.Contains(text, "pull_request_target") {
		add("pull_request_target runs with secrets on code that anyone may have written")
	}
	if strings.Contains(text, "write-all") || strings.Contains(text, "read-all") || strings.Contains(text, "secrets: inherit") {
		add("rights are not named one by one")
	}
	for name, j := range w.Jobs {
		if w.Permissions.IsZero() && j.Permissions.IsZero() {
			add("job", name, "does not say what its token may do")
		}
		for _, s := range j.Steps {
			if strings.Contains(s.Run, "${{") {
				add("job", name, "puts an expression into a script")
			}
			if s.Run != "" && s.Shell != "bash" {
				add("job", name, "runs a script in a shell that does not fail with a part of a pipe") // `shell: bash` alone sets pipefail
			}
			for _, p := range unknownInputs(s, actions) {
				add("job", name, p)
			}
		}
	}
	return append(found, verdictProblems(w)...)
}

// unknownInputs are those that an action of the suite does not declare.
func unknownInputs(s step, actions map[string][]string) []string {
	inputs, known := actions[s.Uses]
	if strings.HasPrefix(s.Uses, "org/idp") && !known {
		return []string{"uses " + s.Uses + ", which is not there"}
	}
	var found []string
	for name := range s.With {
		if known && !slices.Contains(inputs, name) {
			found = append(found, "gives "+s.Uses+" the input "+name+", which it does not have")
		}
	}
	return found
}

const (
	verdictResults = "${{ join(needs.*.result, ' ') }}"
	verdict        = "verdict"
)

// onTagsOnly tells whether nothing but a pushed tag starts the workflow. A tag is there already when it does, so its checks
// cannot be required of anything.
func (w workflow) onTagsOnly() bool {
	var on map[string]map[string]any
	if err := w.On.Decode(&on); err != nil {
		return false
	}
	push := on["push"]
	return len(on) == 1 && len(push) == 1 && push["tags"] != nil
}

// verdictProblems are those of the job that says yes or no for all the others. A workflow with one job needs none, and
// neither does one whose only job calls a workflow that has its own.
func verdictProblems(w workflow) []string {
	if len(w.Jobs) == 1 || w.onTagsOnly() {
		return nil
	}
	v, ok := w.Jobs[verdict]
	if !ok {
		return []string{"has several jobs and no verdict"}
	}
	var found []string
	if v.If != "always()" {
		found = append(found, "the verdict does not always run: if is "+v.If)
	}
	for name := range w.Jobs {
		if name != verdict && !slices.Contains(v.Needs, name) {
			found = append(found, "the verdict does not need "+name)
		}
	}
	if len(v.Steps) != 1 || v.Steps[0].Env["RESULTS"] != verdictResults {
		found = append(found, "the verdict does not look at the results of all that it needs")
	}
	return found
}

// declared are the inputs of every action by how a workflow names it, from the generated action.yml.
func declared(t *testing.T) map[string][]string {
	t.Helper()
	actions := map[string][]string{}
	for _, path := range append(files(t, "actions/*/action.yml"), inRepo("action.yml")) {
		var a struct{ Inputs map[string]yaml.Node }
		if err := yaml.Unmarshal([]byte(read(t, path)), &a); err != nil || len(a.Inputs) == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		uses, local := "org/idp@v1", "./dist/tree"
		if name := filepath.Base(filepath.Dir(path)); filepath.Dir(path) != inRepo() {
			uses, local = "org/idp/"+name+"@v1", "./dist/tree/"+name
		}
		for name := range a.Inputs {
			actions[uses] = append(actions[uses], name)
			actions[local] = append(actions[local], name)
		}
	}
	return actions
}

func TestRules(t *testing.T) {
	t.Parallel()
	actions := declared(t)
	for _, d := range workflows(t) {
		for _, p := range problems(parse(t, d), d.text, actions) {
			t.Errorf("%s: %s", d.where, p)
		}
	}
}

// TestRulesRefuse shows that each rule refuses what it is there for.
func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	two := "on: push\npermissions: {}\njobs:\n  a: {steps: []}\n"
	results := "[{shell: bash, env: {RESULTS: \"" + verdictResults + "\"}, run: x}]"
	for name, c := range map[string]struct{ text, want string }{
		"target":       {"on: pull_request_target\npermissions: {}\njobs: {a: {}}", "pull_request_target"},
		"permissions":  {"on: push\njobs: {a: {}}", "does not say what its token may do"},
		"all":          {"on: push\npermissions: write-all\njobs: {a: {}}", "not named one by one"},
		"inherit":      {"on: push\npermissions: {}\njobs:\n  a:\n    uses: x/y/z@v1\n    secrets: inherit", "not named one by one"},
		"script":       {"on: push\npermissions: {}\njobs: {a: {steps: [{shell: bash, run: 'echo ${{ github.ref }}'}]}}", "expression into a script"},
		"shell":        {"on: push\npermissions: {}\njobs: {a: {steps: [{run: 'a | b'}]}}", "a part of a pipe"},
		"input":        {"on: push\npermissions: {}\njobs: {a: {steps: [{uses: org/idp/sast@v1, with: {fail-onn: high}}]}}", "the input fail-onn"},
		"action":       {"on: push\npermissions: {}\njobs: {a: {steps: [{uses: org/idp/sats@v1}]}}", "org/idp/sats@v1, which is not there"},
		"tags too":     {strings.Replace(two, "push", "{push: {tags: [v1], branches: [main]}}", 1) + "  b: {steps: []}", "no verdict"},
		"no verdict":   {two + "  b: {steps: []}", "no verdict"},
		"not always":   {two + "  verdict: {needs: a, steps: " + results + "}", "does not always run"},
		"not success":  {two + "  verdict: {if: success(), needs: a, steps: " + results + "}", "does not always run"},
		"needs less":   {two + "  b: {steps: []}\n  verdict: {if: always(), needs: [a], steps: " + results + "}", "does not need b"},
		"looks at one": {two + "  verdict: {if: always(), needs: a, steps: [{shell: bash, env: {RESULTS: '${{ needs.a.result }}'}, run: x}]}", "results of all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problems(parse(t, document{name, c.text}), c.text, declared(t))
			if len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("%q, want one problem: %s", got, c.want)
			}
		})
	}
}

// TestVerdicts runs the script of every verdict with results that a runner can give.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	run := func(script, results string) bool {
		cmd := exec.Command(bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", script) // as a runner starts `shell: bash`
		cmd.Env = append(os.Environ(), "RESULTS="+results)
		return cmd.Run() == nil
	}
	count := 0
	for _, d := range workflows(t) {
		v, ok := parse(t, d).Jobs[verdict]
		if !ok {
			continue
		}
		count++
		script, good := v.Steps[0].Run, slices.Repeat([]string{"success"}, len(v.Needs))
		if !run(script, strings.Join(good, " ")) {
			t.Errorf("%s: the verdict on success is no", d.where)
		}
		bad := []string{"", " ", strings.Join(append(good, "success"), " "), strings.Join(good[1:], " "), "successs", "success; true"}
		for i := range good {
			for _, result := range []string{"skipped", "cancelled", "failure", ""} {
				results := slices.Clone(good)
				results[i] = result
				bad = append(bad, strings.Join(results, " "))
			}
		}
		for _, results := range bad {
			if run(script, results) {
				t.Errorf("%s: the verdict on %q is yes", d.where, results)
			}
		}
	}
	if count < 3 {
		t.Errorf("only %d verdicts were looked at", count)
	}
}
