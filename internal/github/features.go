package github

import (
	"fmt"
	"net/http"
	"strings"
)

// Feature is something that people see on GitHub, and what it costs.
type Feature struct {
	Name    string // such as deployments
	Does    string // a sentence
	Scope   string // to be added under permissions: in the workflow, such as "deployments: write"
	Without string // a sentence: what happens without it
}

// The features, each with the one permission that it needs.
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
var (
	Deployments = Feature{"deployments", "Files a GitHub Deployment for each delivery to an environment, with its states and addresses.",
		"deployments: write", "Nothing is filed under Deployments; the run's summary has the same."}
	Healing = Feature{"healing", "Asks whether the run of a deployment that is still open has ended, and closes it if so.",
		"actions: read", "The deployment of a run that was killed stays open."}
	LiveState = Feature{"what is live", "Asks which commit an environment runs, for a plan that asks no cluster.",
		"deployments: read", "The report of such a plan names no commits, and nobody is warned of changes that would be undone."}
	Checks = Feature{"checks", "Files a check run idp/SERVICE/ENVIRONMENT with annotations on the lines of the findings.",
		"checks: write", "A commit status of the same name is set instead; annotations come from the run's log, 10 of each kind at most."}
	Statuses = Feature{"statuses", "Sets the commit status idp/SERVICE/ENVIRONMENT, where check runs cannot be written.",
		"statuses: write", "Only the job itself can be required before a merge."}
	Comments = Feature{"comment", "Keeps one comment for each service in the pull request up to date.",
		"pull-requests: write", "The run's summary has the same."}
	CodeScanning = Feature{"code scanning", "Uploads the findings as SARIF and waits until GitHub has processed them.",
		"security-events: write", "Findings are shown as annotations and in the run's summary."}
	History = Feature{"history", "Lists the commits between what is live and what is delivered, and what would be undone.",
		"contents: read", "The report names no commits, and nobody is warned of changes that would be undone."}
	PullRequests = Feature{"pull requests", "Finds the pull requests of these commits.",
		"pull-requests: read", "The report names commits without their pull requests."}
	Approvals = Feature{"approvals", "Reads reviews and /approve comments of the pull request that brought the change.",
		"pull-requests: read", "An environment that asks for an approval gets none: nothing is deployed there."}
	Owners = Feature{"owners", "Reads CODEOWNERS as it was before the change, to see who may approve.",
		"contents: read", "Nobody may approve by CODEOWNERS: nothing is deployed there."}
	Teams = Feature{"teams", "Asks whether whoever approved is a member of the team that may.",
		"members: read", "Nobody may approve as a member of a team. GITHUB_TOKEN never can ask this: give the token of an App with the organization permission members: read."}
)

// Features are all of them, in the order in which a run needs them.
func Features() []Feature {
	return []Feature{Deployments, Healing, LiveState, Checks, Statuses, Comments, CodeScanning, History, PullRequests, Approvals, Owners, Teams}
}

// Denied is GitHub's answer that a feature may not be used. Its caller goes on without the feature and shows the error, one
// line that says what to change.
type Denied struct {
	Feature  Feature
	Status   int    // 401, 403, 404 or 410
	Message  string // GitHub's own, one line; may be empty
	ReadOnly string // Options.ReadOnly
}

// notEnabled are GitHub's words for a repository without code scanning, where no permission would help.
var notEnabled = []string{"security must be enabled", "code scanning is not enabled", "not enabled for code scanning"}

// otherwise are GitHub's words for refusals that no permission of the job changes either.
var otherwise = []string{"archived", "saml", "ip allow list", "is locked", "disabled", "via a github app"}

// Enabled tells whether the repository has the feature at all. Only code scanning can be missing.
func (d *Denied) Enabled() bool { return !contains(d.Message, notEnabled) }

func contains(text string, words []string) bool {
	text = strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// Error names the feature, GitHub's answer, and the permission to add where that is what is missing.
func (d *Denied) Error() string {
	said := fmt.Sprintf("%s: GitHub answers %d", d.Feature.Name, d.Status)
	if d.Message != "" {
		said += ", " + strings.TrimSuffix(d.Message, ".")
	}
	switch {
	case d.Status == http.StatusUnauthorized:
		return said + ": the token is not valid, or no longer"
	case !d.Enabled():
		return said + ": code scanning is free for public repositories; others need GitHub Code Security, switched on in the repository's settings"
	case contains(d.Message, otherwise):
		return said
	case d.ReadOnly != "" && strings.HasSuffix(d.Feature.Scope, "write"):
		return said + ": the token of this run can only read, because " + d.ReadOnly
	}
	return said + ": add to the job permissions: {" + d.Feature.Scope + "}"
}
