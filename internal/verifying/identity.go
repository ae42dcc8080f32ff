package verifying

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/org/idp/internal/attest"
)

// GitHubIssuer is who vouches for the jobs of github.com.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// CertificateOf reads a certificate of Fulcio. One with several names is of whoever reads the one or the other first, and an error.
func CertificateOf(c *x509.Certificate) (*attest.Certificate, error) {
	if n := len(c.URIs) + len(c.EmailAddresses) + len(c.DNSNames) + len(c.IPAddresses); n > 1 {
		return nil, fmt.Errorf("the certificate has %d subject alternative names", n)
	}
	s, err := certificate.SummarizeCertificate(c)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return &attest.Certificate{Issuer: s.Issuer, Subject: s.SubjectAlternativeName, Workflow: s.BuildSignerURI, WorkflowSHA: s.BuildSignerDigest,
		Caller: s.BuildConfigURI, Repository: s.SourceRepositoryURI, RepositoryID: s.SourceRepositoryIdentifier,
		OwnerID: s.SourceRepositoryOwnerIdentifier, Visibility: s.SourceRepositoryVisibilityAtSigning, Commit: s.SourceRepositoryDigest,
		Ref: s.SourceRepositoryRef, Event: s.BuildTrigger, Runner: s.RunnerEnvironment, Run: s.RunInvocationURI,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter}, nil
}

// Identity is whose certificates count. What is set has to be met; a * at the end of a value stands for any rest.
type Identity struct {
	Issuer       string
	Repository   string // OWNER/NAME or OWNER/* of github.com, or such a URL of another server; the case of letters is not looked at
	RepositoryID string
	OwnerID      string
	// Workflow is the file that holds the job, with a ref or without: OWNER/NAME/.github/workflows/FILE@REF, such a URL, or
	// .github/workflows/FILE@REF in the repository itself. Empty: any workflow of the repository itself.
	Workflow string
	Ref      string // of the source, such as refs/heads/main
	Runner   string // github-hosted or self-hosted
}

const github = "https://github.com/"

// validate refuses an identity that nearly everybody has.
func (i Identity) validate() error {
	if i.Issuer == "" {
		return errors.New("an identity without an issuer")
	}
	if i.Repository == "" && i.RepositoryID == "" && i.OwnerID == "" && i.Workflow == "" {
		return errors.New("an identity without a repository, an id or a workflow")
	}
	if strings.HasPrefix(i.Workflow, ".") && i.Repository == "" && i.RepositoryID == "" && i.OwnerID == "" {
		return errors.New("an identity whose workflow may be in any repository")
	}
	return nil
}

// String describes the identity for people.
func (i Identity) String() string {
	var parts []string
	for _, p := range []struct{ what, value string }{
		{"repository", i.Repository}, {"repository id", i.RepositoryID}, {"owner id", i.OwnerID}, {"workflow", i.Workflow},
		{"ref", i.Ref}, {"runner", i.Runner}, {"issuer", strings.TrimPrefix(i.Issuer, "https://")},
	} {
		if p.value != "" {
			parts = append(parts, p.what+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

// Check names everything in which the certificate differs from what is asked.
func (i Identity) Check(c *attest.Certificate) error {
	var wrong []string
	differs := func(what, have, want string) {
		wrong = append(wrong, fmt.Sprintf("its %s is %q, not %s", what, have, want))
	}
	if c.Issuer != i.Issuer {
		differs("issuer", c.Issuer, i.Issuer)
	}
	if i.RepositoryID != "" && c.RepositoryID != i.RepositoryID {
		differs("repository id", c.RepositoryID, i.RepositoryID)
	}
	if i.OwnerID != "" && c.OwnerID != i.OwnerID {
		differs("owner id", c.OwnerID, i.OwnerID)
	}
	if i.Repository != "" && !matches(strings.ToLower(absolute(i.Repository, github)), strings.ToLower(c.Repository)) {
		differs("repository", c.Repository, i.Repository)
	}
	if !i.signedBy(c) {
		differs("workflow", c.Subject, cmp.Or(i.Workflow, "one of its repository"))
	}
	if i.Ref != "" && !matches(i.Ref, c.Ref) {
		differs("ref", c.Ref, i.Ref)
	}
	if i.Runner != "" && c.Runner != i.Runner {
		differs("runner", c.Runner, i.Runner)
	}
	if len(wrong) > 0 {
		return errors.New("the certificate is of somebody else: " + strings.Join(wrong, "; "))
	}
	return nil
}

// signedBy holds the subject against the workflow.
func (i Identity) signedBy(c *attest.Certificate) bool {
	if i.Workflow != "" && !strings.HasPrefix(i.Workflow, ".") {
		return atRef(absolute(i.Workflow, github), c.Subject)
	}
	own := len(c.Repository) + 1
	if c.Repository == "" || len(c.Subject) <= own || !strings.EqualFold(c.Subject[:own], c.Repository+"/") {
		return false
	}
	return i.Workflow == "" || atRef(i.Workflow, c.Subject[own:])
}

// atRef compares workflows; one without a ref stands for all of its refs.
func atRef(want, have string) bool {
	if strings.Contains(want, "@") {
		return matches(want, have)
	}
	return strings.HasPrefix(have, want+"@")
}

func absolute(value, server string) string {
	if strings.Contains(value, "://") {
		return value
	}
	return server + value
}

// matches compares with a pattern whose only wildcard is a * at its end.
func matches(pattern, value string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(value, start) && len(value) > len(start)
	}
	return pattern == value
}
