// Package oci moves images between OCI layouts, registries and folders, always by digest. Credentials come from where
// docker and podman keep them; plain HTTP is spoken to the loopback interface only.
package oci

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
)

// Client talks to registries. Its zero value is ready.
type Client struct {
	// Keychain gives the credentials; nil takes those of docker, podman and their helpers.
	Keychain authn.Keychain
	// Wait pauses between attempts; nil waits on the clock.
	Wait   func(context.Context, time.Duration) error
	Limits Limits
}

func (c Client) options(ctx context.Context, registry name.Registry) []remote.Option {
	keychain := c.Keychain
	if keychain == nil {
		keychain = Keychain()
	}
	// The library's own retries sleep through a cancelled context, so each attempt here is one try.
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain), remote.WithTransport(Transport(c.Limits, registry)),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes()}
}

func (c Client) retry(ctx context.Context, what, host string, op func(context.Context) error) error {
	return Retry(ctx, c.Limits, c.Wait, what+" registry "+host, host, op)
}

// repository reads HOST/REPOSITORY. A text with credentials in it is not shown again.
func repository(repo string) (name.Repository, error) {
	host, _, _ := strings.Cut(repo, "/")
	if strings.Contains(host, "@") || strings.Contains(repo, "://") {
		return name.Repository{}, fault.BadInputf("registry is HOST/REPOSITORY without scheme or credentials, such as ghcr.io/acme/checkout").
			WithNext("Credentials are taken from: docker login HOST")
	}
	r, err := name.NewRepository(repo, name.StrictValidation)
	if err != nil && repo != strings.ToLower(repo) && CheckRepository(strings.ToLower(repo)) == nil {
		return r, fault.BadInputf("registry %q has capital letters, which names of images cannot have", repo).
			WithNext("Give it in lower case: " + strings.ToLower(repo))
	}
	if err != nil {
		return r, fault.BadInputf("registry %q is not HOST/REPOSITORY, such as ghcr.io/acme/checkout: %w", repo, err)
	}
	return r, nil
}

// CheckRepository refuses what does not name a repository of a registry as HOST/REPOSITORY.
func CheckRepository(repo string) error {
	_, err := repository(repo)
	return err
}

// reference reads HOST/REPOSITORY@DIGEST.
func reference(ref string) (name.Digest, error) {
	repo, digest, ok := cutLast(ref, "@")
	if !ok {
		return name.Digest{}, fault.BadInputf("an image is named by digest, such as ghcr.io/acme/checkout@sha256:…, not as %q", ref)
	}
	r, err := repository(repo)
	if err != nil {
		return name.Digest{}, err
	}
	d, err := name.NewDigest(r.Name()+"@"+digest, name.StrictValidation)
	if err != nil {
		return d, fault.BadInputf("image %s: %w", r.Name(), err)
	}
	return d, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Transport is how a registry is spoken to: plain HTTP to loopback only, to nowhere that it has no business to lead to, no
// connection that makes no progress, and at the pace that the registry asks for.
func Transport(l Limits, registry name.Registry) http.RoundTripper {
	return transportOn(shared, l, registry)
}

func transportOn(n network, l Limits, registry name.Registry) http.RoundTripper {
	host := (&url.URL{Host: registry.RegistryStr()}).Hostname()
	return rewound{inner: paced{inner: watched{inner: guarded{registry: host, network: n}, idle: l.stall()}, longest: pace}}
}

// pauses lie between the attempts of one operation, for a registry that restarts or sheds load.
var pauses = [...]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// Retry calls op until it succeeds, fails for good, or the attempts or the budget are used up, and says then what the
// registry on host did not do: what is attempted reads on from "cannot". Each attempt starts anew, so op must be safe to
// repeat; the context given to it ends with the budget. Wait pauses between attempts; nil waits on the clock.
func Retry(ctx context.Context, limits Limits, wait func(context.Context, time.Duration) error, what, host string, op func(context.Context) error) error {
	if wait == nil {
		wait = onTheClock
	}
	limited, cancel := context.WithTimeout(ctx, limits.budget())
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := op(limited)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limited.Err() != nil:
			return classify(fmt.Errorf("%w, %s", errLate, limits.budget()), what, host)
		case attempt == len(pauses) || !temporary(err):
			return classify(err, what, host)
		}
		_ = wait(limited, pauses[attempt]) // when that is cut short, the next attempt fails at once and says why
	}
}

func onTheClock(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
