package attest

import (
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
)

// BundleType is the media type of the bundles that are written here; older ones are read as well.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// BundleTypePrefix is common to the media types of all versions.
const BundleTypePrefix = "application/vnd.dev.sigstore.bundle"

// decoded is a bundle that has the right form. Nothing in it is verified.
type decoded struct {
	bundle *bundle.Bundle
	// statement is nil for a bundle around something else, such as a blob's signature.
	statement *Statement
	payload   []byte
}

// decode reads a bundle. An envelope that claims to hold a statement has to hold one.
func decode(data []byte) (*decoded, error) {
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("not a sigstore bundle: %w", err)
	}
	content, ok := b.Content.(*protobundle.Bundle_DsseEnvelope)
	if !ok || content.DsseEnvelope.GetPayloadType() != PayloadType {
		return &decoded{bundle: b}, nil
	}
	payload := content.DsseEnvelope.GetPayload()
	s, err := ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	return &decoded{bundle: b, statement: s, payload: payload}, nil
}

// Attached is a bundle that a registry lists for a digest. Nothing in it is verified.
type Attached struct {
	Manifest  string     // digest of the referrer
	Bundle    []byte     // JSON
	Statement *Statement // what it claims; nil for a bundle that holds no statement
}

// Claimed gives the statement of a bundle, and the bytes that were signed, without verifying anything; nil for a bundle that
// holds no statement.
func Claimed(data []byte) (*Statement, []byte, error) {
	d, err := decode(data)
	if err != nil {
		return nil, nil, err
	}
	return d.statement, d.payload, nil
}
