package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The types of statements and of what they say. All are published; docs/predicates.md says where.
const (
	StatementType       = "https://in-toto.io/Statement/v1"
	statementTypeV01    = "https://in-toto.io/Statement/v0.1" // what cosign attest writes, up to version 3 too
	PayloadType         = "application/vnd.in-toto+json"
	PredicateSignature  = "https://sigstore.dev/cosign/sign/v1"
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	PredicateSBOM       = "https://cyclonedx.org/bom"
	PredicateSPDX       = "https://spdx.dev/Document"
	PredicateTestResult = "https://in-toto.io/attestation/test-result/v0.1"
)

// Statement is an in-toto statement: what is said of which digest. Versions 0.1 and 1 have the same fields, and are read alike;
// version 1 is written.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate,omitempty"`
}

// Subject is what a statement is about: digests as hex, by algorithm.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// NewStatement says something of one digest. A nil predicate is left out, as in an image signature.
func NewStatement(digest, predicateType string, predicate any) (Statement, error) {
	if !digestForm.MatchString(digest) {
		return Statement{}, fmt.Errorf("%q is not a sha256 digest", digest)
	}
	s := Statement{Type: StatementType, PredicateType: predicateType,
		Subject: []Subject{{Digest: map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}}}
	if predicate == nil {
		return s, nil
	}
	data, err := json.Marshal(predicate)
	if err != nil {
		return Statement{}, fmt.Errorf("predicate %s: %w", predicateType, err)
	}
	s.Predicate = data
	return s, nil
}

// ParseStatement reads the payload of an envelope.
func ParseStatement(payload []byte) (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("not an in-toto statement: %w", err)
	}
	if s.Type != StatementType && s.Type != statementTypeV01 {
		return nil, fmt.Errorf("statement of type %q, expected %s", s.Type, StatementType)
	}
	if s.PredicateType == "" {
		return nil, errors.New("statement without a predicate type")
	}
	return &s, nil
}

// Digest is the one digest that the statement is about. A statement about several things is an error: whoever reads it
// could not tell which of them its predicate describes.
func (s *Statement) Digest() (string, error) {
	if len(s.Subject) != 1 || len(s.Subject[0].Digest) != 1 {
		return "", errors.New("statement is not about exactly one digest")
	}
	digest := "sha256:" + s.Subject[0].Digest["sha256"]
	if !digestForm.MatchString(digest) {
		return "", errors.New("statement is not about a sha256 digest")
	}
	return digest, nil
}
