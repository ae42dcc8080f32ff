package app

import (
	"context"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
)

// approveCommand begins the comment that approves: /approve ENVIRONMENT [SERVICE].
const approveCommand = "/approve"

// resumeWork finds what a comment approves, so that the steps after it can check it out and deploy the same image. Whether the
// approval counts is for deploy to say, which has the policy.
type resumeWork struct{}

func (*resumeWork) name() string        { return record.StageResume }
func (*resumeWork) Declare(*action.Set) {}

func (w *resumeWork) stage(ctx context.Context, d *delivery) (result, error) {
	out := action.Result[record.Resume]{Tool: record.Tool{Name: "idp", Version: Version()}}
	environment, service, err := approved(d.event.Name, d.event.Action, d.event.Comment.Number, d.event.Comment.Body)
	if err != nil {
		return resultOf(out, err)
	}
	if d.connectGitHub == nil {
		return resultOf(out, fault.BadInputf("there is no token to ask GitHub with").WithNext("Leave github-token as it is, or give one that may read deployments."))
	}
	client, err := d.connectGitHub(github.Budget)
	if err != nil {
		return resultOf(out, err)
	}
	intents, err := client.Waiting(ctx, announce.EnvironmentOf(environment, service), service)
	if err != nil {
		return resultOf(out, err)
	}
	for _, i := range intents {
		brought, err := client.Brought(ctx, d.event.Comment.Number, i.Commit)
		if err != nil {
			return resultOf(out, err)
		}
		if brought {
			out.Evidence = record.Resume{Environment: environment, Service: i.Service, Commit: i.Commit, Image: i.Image + "@" + i.Digest}
			out.Summary = i.Service + " " + record.ShortDigest(i.Digest) + " waits for " + environment
			return resultOf(out, nil)
		}
	}
	return resultOf(out, fault.Failedf("nothing that pull request %d brought waits for %s", d.event.Comment.Number, environment).
		WithNext("A delivery that is to be approved asks first; its run and its comment say so."))
}

// approved reads the comment. One that asks for nothing is skipped.
func approved(event, what string, number int, body string) (environment, service string, err error) {
	if event != "issue_comment" {
		return "", "", fault.BadInputf("resume reads a comment, and this run was started by %s", event).WithNext("Start it with: on: {issue_comment: {types: [created]}}")
	}
	line, _, _ := strings.Cut(body, "\n")
	words := strings.Fields(line)
	if number == 0 || what != "created" || len(words) == 0 || words[0] != approveCommand {
		return "", "", fault.Skipf("the comment is no approval of a pull request")
	}
	if len(words) < 2 || len(words) > 3 {
		return "", "", fault.Failedf("the comment does not say what it approves").WithNext("Write: /approve ENVIRONMENT, and the service's name behind it where the repository has several")
	}
	return words[1], strings.Join(words[2:], ""), nil
}
