// Package referrers reads and writes what is attached to images: bundles of internal/attest as OCI referrers, and in the
// fallback tag where a registry keeps no list of referrers, which is how cosign does it.
//
// It is the only package that imports cosign.
package referrers

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/verifying"
)

// Registry reads and writes the evidence that is attached to images. Its zero value is ready.
type Registry struct {
	// Keychain gives the credentials; nil takes those of docker, podman and their helpers.
	Keychain authn.Keychain
	// Wait pauses between attempts; nil waits on the clock.
	Wait   func(context.Context, time.Duration) error
	Limits oci.Limits
}

// session is one repository with its authentication done.
type session struct {
	digest  name.Digest
	client  *http.Client
	puller  *remote.Puller
	options []remote.Option
	left    int64 // bytes of bundles that may still be read
}

func (r Registry) open(ctx context.Context, ref, scope string) (*session, error) {
	digest, err := name.NewDigest(ref, name.StrictValidation)
	if err != nil {
		return nil, fault.BadInputf("an image is named by digest, such as ghcr.io/acme/checkout@sha256:…: %w", err)
	}
	keychain := r.Keychain
	if keychain == nil {
		keychain = oci.Keychain()
	}
	auth, err := authn.Resolve(ctx, keychain, digest.Context())
	if err != nil {
		return nil, err
	}
	// What NewWithContext gives is taken by remote as it is, without retries and without a second authentication.
	authed, err := transport.NewWithContext(ctx, digest.Context().Registry, auth, oci.Transport(r.Limits, digest.Context().Registry), []string{digest.Context().Scope(scope)})
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(authed), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	return &session{digest: digest, client: &http.Client{Transport: authed}, puller: puller, options: options}, nil
}

// retry is safe: reading changes nothing, and attaching adds only what is not there yet. go-containerregistry's own retries
// sleep through a cancelled context, so they are off.
func (r Registry) retry(ctx context.Context, what, ref string, op func(context.Context) error) error {
	host, _, _ := strings.Cut(ref, "/")
	return oci.Retry(ctx, r.Limits, r.Wait, what+" "+ref, host, op)
}

// Read gives all sigstore bundles that the registry lists for ref, which is IMAGE@DIGEST, and what cosign up to version 2 keeps
// in tags instead. One that cannot be read whole is an error: what it would have said is not known. Referrers and layers of other
// kinds are left out.
func (r Registry) Read(ctx context.Context, ref string) (attached []attest.Attached, err error) {
	err = r.retry(ctx, "read the evidence of", ref, func(ctx context.Context) error {
		s, err := r.open(ctx, ref, transport.PullScope)
		if err != nil {
			return err
		}
		attached, err = s.read(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return attached, nil
}

// Attach adds the bundles to ref, which is IMAGE@DIGEST, as cosign does: as OCI referrers, and in the fallback tag where
// the registry has no list of referrers. A bundle that v does not accept is an error, and one whose statement is attached
// already with a signature that v accepts is left out. It gives the number that was added.
func (r Registry) Attach(ctx context.Context, ref string, v attest.Verifier, bundles ...[]byte) (added int, err error) {
	err = r.retry(ctx, "attach evidence to", ref, func(ctx context.Context) error {
		s, err := r.open(ctx, ref, transport.PushScope)
		if err != nil {
			return err
		}
		n, err := s.attach(ctx, v, bundles)
		added += n
		return err
	})
	return added, err
}

func (s *session) attach(ctx context.Context, v attest.Verifier, bundles [][]byte) (int, error) {
	existing, err := s.bundles(ctx)
	if err != nil {
		return 0, err
	}
	present := make([][]byte, 0, len(existing))
	for _, a := range existing {
		present = append(present, a.Bundle)
	}
	added := 0
	for _, b := range bundles {
		statement, err := v.Verify(ctx, b, s.digest.DigestStr())
		if err != nil {
			return added, err
		}
		if s.has(ctx, present, v, b) {
			continue
		}
		err = ociremote.WriteAttestationNewBundleFormat(s.digest, b, statement.PredicateType,
			ociremote.WithRemoteOptions(s.options...))
		if err != nil {
			return added, err
		}
		present = append(present, b)
		added++
	}
	return added, nil
}

// has tells whether the same statement by the same signer is there. Its signature is verified, else anyone could keep a
// statement out by putting a broken copy of it there first.
func (s *session) has(ctx context.Context, present [][]byte, v attest.Verifier, bundle []byte) bool {
	_, want, err := verifying.Claimed(bundle)
	if err != nil {
		return false
	}
	for _, p := range present {
		_, got, err := verifying.Claimed(p)
		if err != nil || !bytes.Equal(got, want) {
			continue
		}
		if _, err := v.Verify(ctx, p, s.digest.DigestStr()); err == nil {
			return true
		}
	}
	return false
}
