package app

import (
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// takeImage makes the image that is given the one that build takes: what the later stages look at is what sign pushed.
func (p *pathWork) takeImage() {
	image := p.build.Other.Image
	if image == "" {
		return
	}
	p.verify.In.Reference, p.deploy.Image = "", ""
	if repository, _, err := artifacts.SplitReference(image); err == nil && p.sign.In.Registry == "" && p.Target() != delivery.TargetLocal {
		p.sign.In.Registry = repository
	}
}

// image refuses inputs of an image that is not compiled here, and a way to build that the policy does not have: the image
// would be pushed, and refused only then.
func (p *pathWork) image(d *delivery.Delivery) error {
	in := p.build.Other
	if !in.Given() {
		return nil
	}
	if err := in.Check(d.World.Environ); err != nil {
		return err
	}
	how := record.BuiltByDockerfile
	if in.Image != "" {
		how = record.BuiltElsewhere
	}
	if !d.Rules.Provenance.AllowsBuild(how) {
		return fault.BadInputf("policy %s does not let an image be delivered to %s that is built by: %s", d.Policy.Name, d.Record.Environment, how).
			WithNext("The platform team decides it, in the policy: provenance: {build-types: [go-image, dockerfile, elsewhere]}")
	}
	return nil
}
