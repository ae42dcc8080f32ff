// Package deploy makes a signed image live: it holds the exact digest against the policy first, and then hands it to a
// target, which waits until it is healthy and puts back what was live before when it is not.
package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/target"
)

// Inputs of the stage.
type Inputs struct {
	Target   string
	Wait     time.Duration
	Override string // reason to deploy in a freeze
	Cluster  Cluster

	// Filled in by the app.
	Reference string // IMAGE@DIGEST
	Digest    string // sha256:…
	Manifests string // file of the rendered manifests
}

// Cluster is how target kubernetes is reached, and what it may do.
type Cluster struct {
	Kubeconfig string // file
	Content    string // of a kubeconfig, in place of a file
	Recreate   bool
}

// Declare declares the stage's inputs.
func (in *Inputs) Declare(s *action.Set) {
	action.Target(s, &in.Target)
	s.Duration(&in.Wait, action.Input{Name: "wait", Default: "5m", Example: "90s",
		Usage: "How long a new release may take to become healthy, and a deploy to wait for another one to end."})
	s.String(&in.Override, action.Input{Name: "override-freeze", Example: "fixes the outage of checkout, incident 4711",
		Usage: "Why this is deployed although the policy says freeze. The reason is recorded."})
	in.Cluster.Declare(s)
	s.Bool(&in.Cluster.Recreate, action.Input{Name: "recreate",
		Usage: "Delete and create anew what Kubernetes cannot change in place, such as a selector. The service is away meanwhile."})
}

// DeclarePlan declares what a plan takes of it.
func (in *Inputs) DeclarePlan(s *action.Set) {
	action.Target(s, &in.Target)
	in.Cluster.Declare(s)
	in.Wait = time.Minute // a plan waits for nothing
}

// Declare declares how the cluster is reached.
func (c *Cluster) Declare(s *action.Set) {
	s.String(&c.Kubeconfig, action.Input{Name: "kubeconfig", Example: "kubeconfig.yaml",
		Usage: "Kubeconfig of target kubernetes. Default: KUBECONFIG, as login actions of clouds set it, else ~/.kube/config, else the service account of the pod."})
	s.String(&c.Content, action.Input{Name: "kubeconfig-content", Secret: true, Example: "${{ secrets.KUBECONFIG }}",
		Usage: "What is in a kubeconfig, in place of a file: a secret of the workflow."})
}

// Target is where the image is made live.
type Target interface {
	Deploy(ctx context.Context, guard target.Guard) (target.Outputs, error)
}

// Deps is what the stage needs of the world.
type Deps struct {
	// Verify holds the exact digest against the policy. Nothing is changed unless it returns nil.
	Verify   func(ctx context.Context, reference string) error
	Guard    target.Guard
	Target   Target
	Progress action.Progress // may be nil
}

// Outputs of the stage.
type Outputs = target.Outputs

// Run deploys the image. A release that does not become healthy is a failed gate; cancellation is undetermined, and both
// leave what was live before.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: record.Tool{Name: "idp"}}
	out.Evidence = record.Deploy{Target: in.Target, Digest: in.Digest, Manifests: in.Manifests}
	if err := in.Check(); err != nil {
		return out, err
	}
	switch {
	case deps.Verify == nil || deps.Guard == nil || deps.Target == nil:
		return out, errors.New("there is no policy check, guard or target to deploy with")
	case in.Reference == "" || in.Digest == "":
		return out, errors.New("the image is not known")
	}
	if deps.Progress != nil {
		deps.Progress("checking the policy")
	}
	if err := deps.Verify(ctx, in.Reference); err != nil {
		return out, err
	}
	done, err := deps.Target.Deploy(ctx, deps.Guard)
	done.Evidence.Target, done.Evidence.Digest, done.Evidence.Manifests = in.Target, in.Digest, in.Manifests
	done.Tool.Name = out.Tool.Name
	return done, err
}

// Check refuses inputs with which nothing can be deployed, before anything is done.
func (in Inputs) Check() error {
	if in.Wait <= 0 {
		return fault.BadInputf("input wait must be above 0, such as --wait 5m")
	}
	if in.Cluster.Kubeconfig != "" && in.Cluster.Content != "" {
		return fault.BadInputf("inputs kubeconfig and kubeconfig-content are both given").WithNext("Give one of them.")
	}
	return nil
}
