// Package evidence tells what is attached to one image: who said what of it, when, and whether that is verified. It shows
// what is there and decides nothing; internal/verify holds it against a policy.
package evidence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
)

// Schema names the form of the JSON.
const Schema = "idp.evidence/v1"

// Inputs are the image and who is believed.
type Inputs struct {
	Image  string // HOST/REPOSITORY
	Tag    string // that was asked; empty where a digest was
	Digest string // sha256:HEX
	Signer attest.Verifier
}

// reader gives all evidence that is attached to IMAGE@DIGEST.
type reader interface {
	Read(ctx context.Context, ref string) ([]attest.Attached, error)
}

// Chain is all that is attached to one digest, in the order in which a delivery comes about.
type Chain struct {
	Schema string `json:"schema"`
	Image  string `json:"image"`
	Digest string `json:"digest"`
	Tag    string `json:"tag,omitempty"`
	// Signer is who is believed; empty where nobody is, and then nothing is verified.
	Signer string `json:"signer,omitempty"`
	Items  []Item `json:"evidence"`
}

// Item is one thing that is attached. Of one that is not verified everything but the manifest is the word of whoever may
// write to the repository.
type Item struct {
	Kind          string     `json:"kind"` // such as provenance; unknown for what this program cannot read
	PredicateType string     `json:"predicateType,omitempty"`
	Manifest      string     `json:"manifest"` // digest of the referrer
	Verified      bool       `json:"verified"`
	Reason        string     `json:"reason,omitempty"` // why it is not verified
	Signer        string     `json:"signer,omitempty"` // of verified evidence
	SignedAt      *time.Time `json:"signedAt,omitempty"`
	// Certificate is what it says of the job that signed; nil for a key.
	Certificate *attest.Certificate `json:"certificate,omitempty"`
	MadeAt      *time.Time          `json:"madeAt,omitempty"`
	Summary     []string            `json:"summary,omitempty"` // what it says, for people
	// Statement is the in-toto statement as it stands.
	Statement *attest.Statement `json:"statement,omitempty"`
}

// Read reads the chain. A listed referrer that cannot be read makes the whole undetermined.
func Read(ctx context.Context, in Inputs, from reader) (*Chain, error) {
	attached, err := from.Read(ctx, in.Image+"@"+in.Digest)
	if err != nil {
		return nil, err
	}
	c := &Chain{Schema: Schema, Image: in.Image, Digest: in.Digest, Tag: in.Tag, Items: []Item{}}
	if in.Signer != nil {
		c.Signer = in.Signer.Identity()
	}
	for _, a := range attached {
		item := itemOf(ctx, in, a)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c.Items = append(c.Items, item)
	}
	slices.SortStableFunc(c.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), timeOf(a.MadeAt).Compare(timeOf(b.MadeAt)), cmp.Compare(a.Manifest, b.Manifest))
	})
	return c, nil
}

func itemOf(ctx context.Context, in Inputs, a attest.Attached) Item {
	item := Item{Kind: unknown, Manifest: a.Manifest, Reason: "nobody is named whose signature would count", Statement: a.Statement}
	if in.Signer != nil {
		verified, err := in.Signer.Verify(ctx, a.Bundle, in.Digest)
		if err != nil {
			item.Reason = err.Error()
		} else {
			item.Verified, item.Reason, item.Signer, item.Statement = true, "", verified.Signer, &verified.Statement
			item.SignedAt, item.Certificate = known(verified.SignedAt), verified.Certificate
		}
	}
	if item.Statement == nil {
		item.Summary = []string{"a signature of something that is no statement"}
		return item
	}
	item.PredicateType = item.Statement.PredicateType
	said := describe(*item.Statement)
	item.Kind, item.Summary, item.MadeAt = said.kind, said.lines, known(said.at)
	return item
}

// Verdict is nil when something is verified. It fails otherwise, so that nobody takes a list of claims for proof.
func (c *Chain) Verdict() error {
	switch {
	case len(c.Items) == 0:
		return fault.Failedf("nothing is attached to %s: it is unsigned", c.Digest)
	case c.Signer == "":
		return fault.Failedf("nothing of it is verified: it is not said whose signature counts").
			WithNext("Give a policy that names the signer: --policy policy.yaml", "Or a key: --key cosign.pub")
	}
	if slices.ContainsFunc(c.Items, func(i Item) bool { return i.Verified }) {
		return nil
	}
	return fault.Failedf("nothing of it is signed by %s", c.Signer)
}

// known is nil for a time that was not said, or that RFC 3339 has no form for.
func known(t time.Time) *time.Time {
	t = t.UTC()
	if t.IsZero() || t.Year() > 9999 || t.Year() < 0 {
		return nil
	}
	return &t
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func decode(data json.RawMessage, into any) bool { return json.Unmarshal(data, into) == nil }
