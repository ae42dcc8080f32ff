//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stages are all actions but the path itself, in its order.
var stages = []string{"sast", "secrets", "build", "cost", "sign", "verify", "deploy", "smoke", "catalog", "events"}

// with is what each action needs besides what it can find in the record.
var with = map[string]string{
	"sign":    "registry: '${{ vars.IDP_REGISTRY }}', key: '${{ runner.temp }}/cosign.key'",
	"verify":  "key: cosign.pub",
	"deploy":  "target: local, key: cosign.pub",
	"catalog": "catalog: '${{ secrets.IDP_CATALOG }}'",
}

// jobOf makes a workflow with one job, of the given actions in this order. Every one of them runs, whatever the others
// came to; at the end the record is copied to where the test finds it.
func jobOf(actions ...string) string {
	var b strings.Builder
	b.WriteString("on: push\npermissions: {contents: read}\njobs:\n  all:\n    runs-on: ubuntu-latest\n    env: {COSIGN_PASSWORD: '${{ secrets.IDP_PASSWORD }}'}\n    steps:\n")
	b.WriteString("      - {uses: actions/checkout@v5, with: {fetch-depth: 0}}\n")
	b.WriteString("      - env: {REGISTRY: '${{ vars.IDP_REGISTRY }}', TOKEN: '${{ github.token }}', KEY: '${{ secrets.IDP_KEY }}'}\n        shell: bash\n        run: |\n" +
		"          docker login \"${REGISTRY%%/*}\" --username \"$GITHUB_ACTOR\" --password-stdin <<<\"$TOKEN\"\n" +
		"          (umask 077 && printf '%s' \"$KEY\" >\"$RUNNER_TEMP/cosign.key\")\n")
	for i, a := range actions {
		inputs := strings.TrimSuffix("environment: local, "+with[a], ", ")
		fmt.Fprintf(&b, "      - {id: s%d-%s, uses: org/idp/%s@v1, if: always(), with: {%s}}\n", i, a, a, inputs)
	}
	b.WriteString("      - {if: always(), shell: bash, run: 'cat \"$RUNNER_TEMP/idp/record.json\" >\"$COPY\"', env: {COPY: '${{ vars.COPY }}'}}\n")
	return b.String()
}

// TestRunnerOrders runs every action alone and in several orders in one job, sharing the record through RUNNER_TEMP.
func TestRunnerOrders(t *testing.T) {
	t.Parallel()
	reverse := slices.Clone(stages)
	slices.Reverse(reverse)
	late := []string{"cost", "build", "secrets", "sast", "sign", "deploy", "verify", "smoke", "events", "catalog"}
	type outcomes map[string]string
	passed := func(but outcomes) outcomes {
		all := outcomes{}
		for _, s := range stages {
			all[s] = "passed"
		}
		for s, o := range but {
			all[s] = o
		}
		return all
	}
	cases := []struct {
		name    string
		actions []string
		want    outcomes // of the stages in the record at the end
	}{
		{"in the order of the path", stages, passed(nil)},
		{"scans last, accounts swapped", late, passed(nil)},
		// each of them asks for what is not there yet, and says so; none passes on nothing
		{"in reverse", reverse, passed(outcomes{"events": "skipped", "smoke": "error", "deploy": "error", "verify": "error", "sign": "error"})},
		{"twice each", slices.Concat(stages[:5], stages[:5], stages[5:], stages[5:]), passed(nil)},
	}
	for _, s := range stages {
		want := outcomes{s: "error"} // it needs what is not there
		switch s {
		case "sast", "secrets", "build", "cost", "catalog":
			want = outcomes{s: "passed"}
		case "events":
			want = outcomes{s: "skipped"}
		}
		cases = append(cases, struct {
			name    string
			actions []string
			want    outcomes
		}{"alone: " + s, []string{s}, want})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, ".")
			p := newPlatform(t, r)
			r.add(".github/workflows/order.yml", jobOf(c.actions...))
			file := filepath.Join(t.TempDir(), "record.json")
			run := p.call
			run.workflow = "order.yml"
			run.vars["COPY"] = file
			got := r.run(run)
			var rec struct {
				Artifact struct{ Digest string }
				Stages   []struct{ Name, Outcome, Reason string }
			}
			data, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(data, &rec)
			}
			if err != nil {
				t.Fatalf("the record: %v", err)
			}
			found, ok := outcomes{}, true
			for _, s := range rec.Stages {
				found[s.Name] = s.Outcome
				ok = ok && s.Outcome != "error" && s.Outcome != "failed"
			}
			for _, name := range stages {
				if found[name] != c.want[name] {
					t.Errorf("%s is %q in the record, want %q", name, found[name], c.want[name])
				}
			}
			if got.ok != ok {
				t.Errorf("the job succeeded: %t, with %v", got.ok, rec.Stages)
			}
		})
	}
}
