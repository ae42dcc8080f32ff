package app

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/github"
)

// generated has every file that comes from the declarations of the actions, by its path in the repository. A test
// compares them byte for byte; `make generate` writes them.
func generated() map[string]string {
	files := map[string]string{"action.yml": actionYAML(registry[0], "dist"), "docs/actions.md": actionsDoc(),
		"docs/events.md": eventsDoc(), "docs/permissions.md": permissionsDoc()}
	for _, a := range registry[1:] {
		dir := path.Join("actions", a.Name)
		files[dir+"/action.yml"] = actionYAML(a, "../dist")
		files[dir+"/README.md"] = actionREADME(a)
	}
	return files
}

const generatedNote = "Generated from internal/app and the inputs of its stages by `make generate`."

// section is a part of a file that is otherwise written by hand, between <!-- NAME --> and <!-- /NAME -->.
func section(text, name, content string) (string, bool) {
	open, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, found := strings.Cut(text, open)
	_, after, ended := strings.Cut(rest, end)
	return before + open + content + end + after, found && ended
}

// uses is how a workflow names the action.
func uses(a delivery.Action) string {
	if a.Name == registry[0].Name {
		return "org/idp@v1"
	}
	return "org/idp/" + a.Name + "@v1"
}

// actionYAML is the action.yml; dist is the folder of the shim in the release tree, seen from it.
func actionYAML(a delivery.Action, dist string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# %s\nname: idp %s\ndescription: %s\n", generatedNote, a.Name, quoteYAML(a.Does))
	p("inputs:\n")
	for _, in := range a.Inputs().Inputs() {
		p("  %s:\n    description: %s\n    required: %t\n", in.Name, quoteYAML(in.Usage+oneOf(in)), in.Required)
		if byDefault := cmp.Or(in.Workflow, in.Default); byDefault != "" {
			p("    default: %s\n", quoteYAML(byDefault))
		}
	}
	if len(a.AllOutputs()) > 0 {
		p("outputs:\n")
	}
	for _, o := range a.AllOutputs() {
		p("  %s:\n    description: %s\n", o.Name, quoteYAML(o.Usage))
	}
	p("runs:\n  using: node24\n  main: %s/%s.js\n", dist, a.Name)
	if a.Post {
		p("  post: %s/%s-post.js\n  post-if: always()\n", dist, a.Name)
	}
	return b.String()
}

// quoteYAML writes a text as a YAML string, whatever is in it.
func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func oneOf(in action.Input) string {
	if len(in.OneOf) == 0 {
		return ""
	}
	return " One of: " + strings.Join(in.OneOf, ", ") + "."
}

func actionREADME(a delivery.Action) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("<!-- %s -->\n# idp %s\n\n%s\n\n", generatedNote, a.Name, a.Does)
	p("```yaml\n- uses: %s\n```\n\nThe same on a command line: `idp %s`.\n\n", uses(a), a.Name)
	p("%s", tables(a))
	return b.String()
}

// actionsDoc is the reference of the whole suite.
func actionsDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- %s -->\n# Actions\n\n", generatedNote)
	b.WriteString("An input is a flag on the command line (`--fail-on high`), `with:` in a workflow, or the variable `INPUT_FAIL-ON`;\n")
	b.WriteString("the first of them wins, then idp.yaml, then the default. Exit codes: 0 passed, 1 a gate failed, 2 bad input,\n3 could not be determined.\n\n")
	b.WriteString(actionsTable("#"))
	for _, a := range registry {
		fmt.Fprintf(&b, "\n## %s\n\n`uses: %s` · `idp %s`\n\n%s\n\n%s", a.Name, uses(a), a.Name, a.Does, tables(a))
	}
	return b.String()
}

// actionsTable is the table of the suite; link is what stands before an action's name in its link.
func actionsTable(link string) string {
	var b strings.Builder
	b.WriteString("| action | does |\n|---|---|\n")
	for _, a := range registry {
		fmt.Fprintf(&b, "| [`%s`](%s%s) | %s |\n", uses(a), link, a.Name, a.Does)
	}
	return b.String()
}

func tables(a delivery.Action) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("| input | what it is | default | example |\n|---|---|---|---|\n")
	for _, in := range a.Inputs().Inputs() {
		usage := in.Usage + oneOf(in)
		if in.Secret {
			usage += " A secret: on a command line it is the variable `" + action.Variable(in.Name) + "`."
		}
		if in.Required {
			usage += " **Required.**"
		}
		p("| `%s` | %s | %s | %s |\n", in.Name, cell(usage), codeCell(cmp.Or(in.Workflow, in.Default)), codeCell(in.Example))
	}
	if len(a.AllOutputs()) > 0 {
		p("\n| output | what it is |\n|---|---|\n")
	}
	for _, o := range a.AllOutputs() {
		p("| `%s` | %s |\n", o.Name, cell(o.Usage))
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func codeCell(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

// permissionsDoc is the reference of what is shown on GitHub, what it needs, and what happens without it.
func permissionsDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- %s -->\n# Permissions\n\n", generatedNote)
	b.WriteString("What `idp` shows on GitHub it shows with the token of the job, `${{ github.token }}`, unless another is given as `github-token`. Each thing\n" +
		"needs one permission of the job. Where it is missing, that thing is not shown, a line in the log names the permission, and\n" +
		"everything else goes on. Which of them a token has is found out by asking, not guessed.\n\n" +
		"| feature | does | permission | without it |\n|---|---|---|---|\n")
	var scopes []string
	for _, f := range github.Features() {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", f.Name, cell(f.Does), f.Scope, cell(f.Without))
		if !slices.Contains(scopes, f.Scope) && !strings.HasPrefix(f.Scope, "members") {
			scopes = append(scopes, f.Scope)
		}
	}
	fmt.Fprintf(&b, "\nAll of them: `permissions: {%s}`.\n\n", strings.Join(slices.Sorted(slices.Values(writes(scopes))), ", "))
	fmt.Fprint(&b, "Signing without a key needs `id-token: write` besides, see [signing.md](signing.md). Without it, a key is needed.\n\n")
	b.WriteString("Naming one permission sets all that are not named to none. The token of a pull request from a fork can read\n" +
		"only, whatever the workflow says: findings are then shown as annotations and in the run's summary. That of Dependabot's runs can read\n" +
		"only unless the workflow names permissions.\n\n" +
		"On GitHub Enterprise Server nothing is to be set: the runner says where the API is.\n")
	return b.String()
}

// writes drops a permission to read what another one lets write.
func writes(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		name, level, _ := strings.Cut(s, ": ")
		return level == "read" && slices.Contains(scopes, name+": write")
	})
}
