// Package sign pushes the image by digest, signs it, attaches the evidence of the delivery record to it, reads back what
// the registry now serves, and only then moves a tag. So a tag never points at an image whose evidence is not there.
package sign

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// Inputs are what signing needs to know.
type Inputs struct {
	Registry, Key string

	// Filled in by the app.
	Record        *record.Record // the delivery so far; it is only read
	Layout        string         // folder of the OCI image layout
	SBOM          string         // file of the CycloneDX SBOM
	SPDX          string         // file of the SPDX SBOM
	RepositoryURL string         // where the source is, such as https://github.com/acme/checkout; empty where there is no remote
	Policy        string         // name of the policy that the scans were held to
	PolicyDigest  string         // sha256:HEX of its file
	Version       string         // of this program
	Builder       string         // URI of who vouches for the provenance; empty for this program
}

// Declare declares the inputs.
func (in *Inputs) Declare(s *action.Set) {
	action.Registry(s, &in.Registry)
	action.Key(s, &in.Key)
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
}

// Outputs are the result.
type Outputs = action.Result[record.Sign]

// Run signs. When any of it cannot be done the tag stays where it was, and running it again completes the rest.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: attest.Tool()}
	if err := in.check(deps); err != nil {
		return out, err
	}
	build, err := admit(in.Record)
	if err != nil {
		return out, err
	}
	// Everything that can be wrong with the evidence or the key is found before anything is pushed.
	statements, err := statementsOf(in, build)
	if err != nil {
		return out, err
	}
	bundles, err := signAll(ctx, deps, statements)
	if err != nil {
		return out, err
	}

	say(deps, "pushing "+in.Registry)
	if err := deps.Images.Push(ctx, in.Layout, in.Registry, build.Digest); err != nil {
		return out, err
	}
	out.Evidence.Reference = in.Registry + "@" + build.Digest
	out.Evidence.Signer = deps.Signer.Identity()

	say(deps, "attaching evidence")
	added, err := deps.Evidence.Attach(ctx, out.Evidence.Reference, deps.Signer, bundles...)
	if err != nil {
		return out, err
	}
	say(deps, "reading it back")
	if err := readBack(ctx, deps, out.Evidence.Reference, statements); err != nil {
		return out, err
	}
	for _, s := range statements {
		out.Evidence.Predicates = append(out.Evidence.Predicates, s.PredicateType)
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

func signAll(ctx context.Context, deps Deps, statements []attest.Statement) ([][]byte, error) {
	bundles := make([][]byte, len(statements))
	for i, s := range statements {
		say(deps, fmt.Sprintf("signing %d of %d", i+1, len(statements)))
		var err error
		if bundles[i], err = deps.Signer.Sign(ctx, s); err != nil {
			return nil, err
		}
	}
	return bundles, nil
}

// readBack is undetermined when a statement is not there: a list of referrers that two writers change at once in the
// fallback tag loses one of them, and only a look at what is served can tell.
func readBack(ctx context.Context, deps Deps, ref string, statements []attest.Statement) error {
	served, err := deps.Evidence.Read(ctx, ref)
	if err != nil {
		return err
	}
	_, digest, _ := strings.Cut(ref, "@")
	found := make([]bool, len(statements))
	for _, a := range served {
		got, err := deps.Signer.Verify(ctx, a.Bundle, digest)
		if err != nil {
			continue // someone else's evidence; what matters is that ours is there
		}
		for i, want := range statements {
			found[i] = found[i] || equal(got.Statement, want)
		}
	}
	var missing []string
	for i, s := range statements {
		if !found[i] {
			missing = append(missing, s.PredicateType)
		}
	}
	if len(missing) > 0 {
		return fault.Undeterminedf("the registry does not serve what was attached to %s; no tag was moved", ref).
			WithDetail(missing...).WithNext("Run this again: what is there stays, the rest is added.")
	}
	return ctx.Err()
}

func summary(in Inputs, added int) string {
	scans := "scans"
	if s, ok := in.Record.Stage(record.StageSAST); ok && s.Outcome == record.Skipped {
		scans = "secrets scan"
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
