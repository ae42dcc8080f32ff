package deploying

import (
	"context"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
)

// Resume finds what a comment approves, so that the steps after it can check it out and deploy the same image. Whether the
// approval counts is for deploy to say, which has the policy.
type Resume struct{}

func (*Resume) Name() string { return record.StageResume }

func (*Resume) Declare(*action.Set) {}

func (w *Resume) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	out := action.Result[record.Resume]{Tool: record.Tool{Name: "idp", Version: cli.Version()}}
	environment, service, err := approved(d.Event.Name, d.Event.Action, d.Event.Comment.Number, d.Event.Comment.Body)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	if d.ConnectGitHub == nil {
		return delivery.ResultOf(out, fault.BadInputf("there is no token to ask GitHub with").WithNext("Leave github-token as it is, or give one that may read deployments."))
	}
	client, err := d.ConnectGitHub(github.Budget)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	intents, err := client.Waiting(ctx, announce.EnvironmentOf(environment, service), service)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	for _, i := range intents {
		brought, err := client.Brought(ctx, d.Event.Comment.Number, i.Commit)
		if err != nil {
			return delivery.ResultOf(out, err)
		}
		if brought {
			out.Evidence = record.Resume{Environment: environment, Service: i.Service, Commit: i.Commit, Image: i.Image + "@" + i.Digest}
			out.Summary = i.Service + " " + record.ShortDigest(i.Digest) + " waits for " + environment
			return delivery.ResultOf(out, nil)
		}
	}
	return delivery.ResultOf(out, fault.Failedf("nothing that pull request %d brought waits for %s", d.Event.Comment.Number, environment).
		WithNext("A delivery that is to be approved asks first; its run and its comment say so."))
}

// approved reads the comment. One that asks for nothing is skipped.
func approved(event, what string, number int, body string) (environment, service string, err error) {
	if event != "issue_comment" {
		return "", "", fault.BadInputf("resume reads a comment, and this run was started by %s", event).WithNext("Start it with: on: {issue_comment: {types: [created]}}")
	}
	line, _, _ := strings.Cut(body, "\n")
	words := strings.Fields(line)
	if number == 0 || what != "created" || len(words) == 0 || words[0] != delivery.ApproveCommand {
		return "", "", fault.Skipf("the comment is no approval of a pull request")
	}
	if len(words) < 2 || len(words) > 3 {
		return "", "", fault.Failedf("the comment does not say what it approves").WithNext("Write: /approve ENVIRONMENT, and the service's name behind it where the repository has several")
	}
	return words[1], strings.Join(words[2:], ""), nil
}
