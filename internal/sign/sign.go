// Package sign pushes the image by digest, signs it, attaches the evidence of the delivery record to it, reads back what
// the registry now serves, and only then moves a tag. So a tag never points at an image whose evidence is not there.
package sign

import (
	"context"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// Inputs are what signing needs to know.
type Inputs struct {
	Registry, Key string
	Tests         []string // files of test results; none where the service has none

	// Filled in by the app.
	Record        *record.Record // the delivery so far; it is only read
	Layout        string         // folder of the OCI image layout
	SBOM          string         // file of the CycloneDX SBOM
	SPDX          string         // file of the SPDX SBOM
	RepositoryURL string         // where the source is, such as https://github.com/acme/checkout; empty where that is nowhere but on this machine
	Version       string         // of this program
	CommitTime    time.Time      // when the commit was made; zero where it is not known
	Builder       string         // URI of who vouches for the provenance; empty for this program
}

// Declare declares the inputs.
func (in *Inputs) Declare(s *action.Set) {
	action.Registry(s, &in.Registry)
	action.Key(s, &in.Key)
	action.Tests(s, &in.Tests)
}

// images moves images; Push refuses a layout whose image is not the digest.
type images interface {
	Push(ctx context.Context, layout, repository, digest string) error
	Tag(ctx context.Context, repository, digest, tag string) error
}

// evidence is where bundles are attached to a digest.
type evidence interface {
	Attach(ctx context.Context, ref string, v attest.Verifier, bundles ...[]byte) (added int, err error)
	Read(ctx context.Context, ref string) ([]attest.Attached, error)
}

// Deps are what signing works with.
type Deps struct {
	Images   images
	Evidence evidence
	Signer   attest.Signer
	Progress action.Progress
	Wait     func(context.Context, time.Duration) error // between attempts; nil waits on the clock
}

// Outputs are the result.
type Outputs = action.Result[record.Sign]

// Run signs. When any of it cannot be done the tag stays where it was, and running it again completes the rest.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: attest.Tool()}
	out.Evidence.Predicates = []string{}
	if err := in.check(deps); err != nil {
		return out, err
	}
	build, err := admit(in.Record)
	if err != nil {
		return out, err
	}
	// Everything that can be wrong with the evidence or the key is found before anything is pushed.
	if out.Evidence.Tests, err = tested(ctx, in); err != nil {
		return out, err
	}
	subjects, err := subjectsOf(ctx, in, build, out.Evidence.Tests, deps)
	if err != nil {
		return out, err
	}

	say(deps, "pushing "+in.Registry)
	if err := deps.Images.Push(ctx, in.Layout, in.Registry, build.Digest); err != nil {
		return out, err
	}
	out.Evidence.Reference = in.Registry + "@" + build.Digest
	out.Evidence.Signer = deps.Signer.Identity()

	added := 0
	for _, s := range subjects {
		n, err := s.attach(ctx, in.Registry, deps)
		if err != nil {
			return out, err
		}
		added += n
	}
	for _, s := range subjects[len(subjects)-1].statements {
		out.Evidence.Predicates = append(out.Evidence.Predicates, s.PredicateType)
	}
	for _, i := range build.Images {
		out.Evidence.Images = append(out.Evidence.Images, in.Registry+"@"+i.Digest)
	}

	tag := in.Record.Source.Commit
	say(deps, "tagging")
	if err := deps.Images.Tag(ctx, in.Registry, build.Digest, tag); err != nil {
		return out, err
	}
	out.Evidence.Tag = tag
	out.Summary = summary(in, added)
	return out, nil
}

func (in Inputs) check(deps Deps) error {
	switch {
	case in.Registry == "":
		return fault.BadInputf("no registry is given").WithNext("Say where the image goes: --registry ghcr.io/acme/checkout")
	case deps.Signer == nil:
		return fault.BadInputf("no signing key is given").
			WithNext("Give a cosign key: --key cosign.key, its password in COSIGN_PASSWORD", "Make one: cosign generate-key-pair")
	case in.Record == nil:
		return fault.BadInputf("there is no delivery record to sign").WithNext("Scan and build first, with the same --record.")
	case in.Record.Source.Commit == "":
		return fault.BadInputf("the delivery record names no commit, so the image cannot be said to come from one")
	case in.Record.Source.Dirty:
		return fault.BadInputf("the working tree differs from commit %.7s, so the image cannot be said to come from it; nothing was pushed or signed", in.Record.Source.Commit).
			WithNext("Commit or stash what differs (git status says what), then scan and build again.")
	}
	return nil
}

func summary(in Inputs, added int) string {
	scans := "scans"
	if s, ok := in.Record.Stage(record.StageSAST); ok && s.Outcome == record.Skipped {
		scans = "secrets scan"
	}
	if len(in.Tests) > 0 {
		scans += ", tests"
	}
	if added == 0 {
		return "nothing new: provenance, SBOM, " + scans + " are on " + in.Registry
	}
	return "provenance, SBOM, " + scans + " → " + in.Registry
}

func say(deps Deps, what string) {
	if deps.Progress != nil {
		deps.Progress(what)
	}
}
