package sign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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
	var done atomic.Int32
	progress := func() { say(deps, fmt.Sprintf("signed %d of %d", done.Add(1), total)) }
	for i := range all {
		if err := all[i].sign(ctx, deps, progress); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sideBySide is how many statements are signed at a time: a log answers after it has published an entry, up to a second later, and
// takes many at once.
const sideBySide = 8

// sign makes the bundles, in the order of the statements.
func (s *subject) sign(ctx context.Context, deps Deps, progress func()) error {
	s.bundles = make([][]byte, len(s.statements))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for i, statement := range s.statements {
		g.Go(func() (err error) {
			s.bundles[i], err = deps.Signer.Sign(ctx, statement)
			progress()
			return err
		})
	}
	return g.Wait()
}

// attempts is how often evidence is attached that another job's writing took away again.
const attempts = 5

// attach adds the evidence to the digest, reads it back, and gives the number of what was added. A registry without a list of
// referrers keeps them in a tag, which is read, changed and written: of two jobs that do so at once, one loses what it wrote.
// So what is missing is attached again, after pauses of different lengths in each job.
func (s subject) attach(ctx context.Context, repository string, deps Deps) (added int, err error) {
	ref := repository + "@" + s.digest
	for n := 1; ; n++ {
		say(deps, "attaching evidence")
		more, err := deps.Evidence.Attach(ctx, ref, deps.Signer, s.bundles...)
		if added += more; err != nil {
			return added, err
		}
		say(deps, "reading it back")
		missing, err := s.readBack(ctx, deps, ref)
		if err != nil || len(missing) == 0 {
			return min(added, len(s.statements)), err
		}
		if n == attempts {
			return added, fault.Undeterminedf("the registry does not serve what was attached to %s", ref).
				WithDetail(missing...).WithNext("Run this again: what is there stays, the rest is added.")
		}
		if err := deps.wait(ctx, pause(n)); err != nil {
			return added, err
		}
	}
}

// pause is 0.1 s to n s.
func pause(n int) time.Duration {
	return 100*time.Millisecond + rand.N(time.Duration(n)*time.Second) // #nosec G404 -- it is no secret
}

// wait pauses, or gives the context's error when that ends first.
func (d Deps) wait(ctx context.Context, pause time.Duration) error {
	if d.Wait != nil {
		return d.Wait(ctx, pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// readBack names the types of the statements that are not served.
func (s subject) readBack(ctx context.Context, deps Deps, ref string) ([]string, error) {
	served, err := deps.Evidence.Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	found := make([]bool, len(s.statements))
	for _, a := range served {
		if a.Tagged {
			continue // it may say the same, and is none of ours
		}
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
	return missing, ctx.Err()
}
