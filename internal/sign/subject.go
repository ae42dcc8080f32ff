package sign

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// subject is one digest with what is said of it, signed.
type subject struct {
	digest     string
	statements []attest.Statement
	bundles    [][]byte
}

// subjectsOf signs for the image, or for each image of an index and last for the index, which is what is deployed. So
// an index never has evidence that its images lack: cosign sign --recursive signs the same.
func subjectsOf(ctx context.Context, in Inputs, build record.Build, tests *record.Tests, deps Deps) ([]subject, error) {
	var all []subject
	total := 0
	for _, b := range build.Each() {
		of := in
		if b.Digest != build.Digest { // those of an image are beside those of the index
			of.SBOM = filepath.Join(filepath.Dir(in.SBOM), filepath.Base(b.SBOM))
			of.SPDX = filepath.Join(filepath.Dir(in.SPDX), filepath.Base(b.SPDX))
		}
		statements, err := statementsOf(of, b, tests)
		if err != nil {
			return nil, err
		}
		all = append(all, subject{digest: b.Digest, statements: statements})
		total += len(statements)
	}
	n := 0
	for i := range all {
		for _, s := range all[i].statements {
			n++
			say(deps, fmt.Sprintf("signing %d of %d", n, total))
			bundle, err := deps.Signer.Sign(ctx, s)
			if err != nil {
				return nil, err
			}
			all[i].bundles = append(all[i].bundles, bundle)
		}
	}
	return all, nil
}

// attach adds the evidence to the digest, reads it back, and gives the number of what was added.
func (s subject) attach(ctx context.Context, repository string, deps Deps) (int, error) {
	ref := repository + "@" + s.digest
	say(deps, "attaching evidence")
	added, err := deps.Evidence.Attach(ctx, ref, deps.Signer, s.bundles...)
	if err != nil {
		return added, err
	}
	say(deps, "reading it back")
	return added, s.readBack(ctx, deps, ref)
}

// readBack is undetermined when a statement is not there: a list of referrers that two writers change at once in the
// fallback tag loses one of them, and only a look at what is served can tell.
func (s subject) readBack(ctx context.Context, deps Deps, ref string) error {
	served, err := deps.Evidence.Read(ctx, ref)
	if err != nil {
		return err
	}
	found := make([]bool, len(s.statements))
	for _, a := range served {
		got, err := deps.Signer.Verify(ctx, a.Bundle, s.digest)
		if err != nil {
			continue // someone else's evidence; what matters is that ours is there
		}
		for i, want := range s.statements {
			found[i] = found[i] || equal(got.Statement, want)
		}
	}
	var missing []string
	for i, one := range s.statements {
		if !found[i] {
			missing = append(missing, one.PredicateType)
		}
	}
	if len(missing) > 0 {
		return fault.Undeterminedf("the registry does not serve what was attached to %s; no tag was moved", ref).
			WithDetail(missing...).WithNext("Run this again: what is there stays, the rest is added.")
	}
	return ctx.Err()
}
