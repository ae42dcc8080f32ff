package signing

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/retry"
	"github.com/org/idp/internal/verifying"
)

// KeylessOptions are what signing keyless needs.
type KeylessOptions struct {
	Trust    *verifying.Trust
	Services *Services
	// Token asks for an identity token of this job, for the audience sigstore.
	Token func(context.Context) (string, error)
	// AllowPublicLog lets a repository that is not public be named in a public log.
	AllowPublicLog bool
	Clock          retry.Clock
}

// KeylessSigner signs with a key that lives as long as this process, under a certificate that lives for ten minutes.
type KeylessSigner struct {
	*verifying.Keyless
	opts   KeylessOptions
	to     chosen
	budget *retry.Budget
	pair   *Key

	mu          sync.Mutex
	der         []byte
	certificate *attest.Certificate
	identity    verifying.Identity
}

// NewKeylessSigner asks for a token and a certificate. It is BadInput, and nothing is sent, where a repository that is not
// public would become known.
func NewKeylessSigner(ctx context.Context, opts KeylessOptions) (*KeylessSigner, error) {
	k := &KeylessSigner{opts: opts, budget: retry.NewBudget(opts.Clock)}
	var err error
	if k.to, err = opts.Services.at(opts.Clock.Now()); err != nil {
		return nil, err
	}
	if k.pair, err = GenerateKey(); err != nil {
		return nil, err
	}
	if _, err = k.leaf(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Identity is the subject of the certificate: the workflow.
func (k *KeylessSigner) Identity() string { return k.certificate.Subject }

// Certificate is what the certificate says.
func (k *KeylessSigner) Certificate() attest.Certificate { return *k.certificate }

// margin is how much of a certificate's life has to be left for a signature: its time is told by others, whose clocks may
// be ahead, and a log may need seconds.
const margin = 2 * time.Minute

// leaf is the certificate; a new one where the old one has ended.
func (k *KeylessSigner) leaf(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.der != nil && k.opts.Clock.Now().Add(margin).Before(k.certificate.NotAfter) {
		return k.der, nil
	}
	token, err := k.opts.Token(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := claimsOf(token)
	if err != nil {
		return nil, fault.Undeterminedf("%w", err)
	}
	if log := k.to.public(); log != "" && !k.opts.AllowPublicLog {
		if err := claims.publishable(log); err != nil {
			return nil, err
		}
	}
	fulcio := sign.NewFulcio(&sign.FulcioOptions{BaseURL: k.to.fulcio, Timeout: -1,
		Transport: k.budget.Client(ctx, "the certificate authority", http.StatusOK, http.StatusCreated).Transport})
	der, err := fulcio.GetCertificate(ctx, keypair{k.pair}, &sign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, unanswered("no certificate", err)
	}
	return der, k.adopt(der)
}

// adopt takes a certificate over, and makes sure that it is one of the identity of the first.
func (k *KeylessSigner) adopt(der []byte) error {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fault.Undeterminedf("the certificate authority gives a certificate that cannot be read: %w", err)
	}
	if !k.pair.PublicKey().Equal(parsed.PublicKey) {
		return fault.Undeterminedf("the certificate authority gives a certificate for another key")
	}
	c, err := verifying.CertificateOf(parsed)
	if err != nil {
		return fault.Undeterminedf("%w", err)
	}
	identity := verifying.Identity{Issuer: c.Issuer, RepositoryID: c.RepositoryID, OwnerID: c.OwnerID, Workflow: c.Subject}
	if k.Keyless == nil {
		if k.Keyless, err = verifying.NewKeyless(k.opts.Trust, identity); err != nil {
			return fault.Undeterminedf("the certificate names nobody: %w", err)
		}
		k.identity = identity
	} else if err := k.identity.Check(c); err != nil {
		return fault.Undeterminedf("a second certificate differs from the first: %w", err)
	}
	k.der, k.certificate = der, c
	return nil
}

// Sign has the signature logged and its time told, as the instance wants it.
func (k *KeylessSigner) Sign(ctx context.Context, s attest.Statement) ([]byte, error) {
	digest, err := s.Digest()
	if err != nil {
		return nil, err
	}
	der, err := k.leaf(ctx)
	if err != nil {
		return nil, err
	}
	opts := sign.BundleOptions{CertificateProvider: issued(der)}
	for _, tsa := range k.to.tsas {
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: tsa.URL, Timeout: -1,
			Transport: k.budget.Client(ctx, "the timestamp authority", http.StatusOK, http.StatusCreated).Transport}))
	}
	for _, log := range k.to.logs {
		rekor, err := k.rekor(ctx, log)
		if err != nil {
			return nil, err
		}
		opts.TransparencyLogs = append(opts.TransparencyLogs, rekor)
	}
	bundle, err := signBundle(ctx, s, keypair{k.pair}, opts)
	// The answer to the first attempt was lost; another signature is another entry, whose answer may be lost as well.
	for n := 1; n < attempts && errors.Is(err, errLogged); n++ {
		bundle, err = signBundle(ctx, s, keypair{k.pair}, opts)
	}
	if err != nil {
		return nil, unanswered("not signed", err)
	}
	if _, err := k.Verify(ctx, bundle, digest); err != nil {
		return nil, fault.Undeterminedf("what was signed just now does not verify: %w", err).
			WithNext("See whether the signing config and the trusted root are of the same sigstore instance.")
	}
	return bundle, nil
}

// attempts is how often a signature is made anew whose entry in the log was answered to nobody.
const attempts = 5

// unanswered keeps an error that is classified already; any other comes of an answer that makes no sense.
func unanswered(what string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		if known.Kind != fault.Undetermined {
			return known
		}
		const next = "Nothing got a tag. Run the job again: what is there stays, the rest is added. Of the public instance: https://status.sigstore.dev"
		if slices.Contains(known.Next, next) {
			return known
		}
		own := *known // what one signature fails of ends those beside it, which all get the same error
		own.Next = append(slices.Clone(known.Next), next)
		return &own
	}
	return fault.Undeterminedf("%s: %w", what, err)
}

// issued gives the certificate that is there.
type issued []byte

func (c issued) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return c, nil
}
