package oci

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// stuck is a helper that never ends.
type stuck struct{ end chan struct{} }

func (s stuck) Resolve(authn.Resource) (authn.Authenticator, error) {
	<-s.end
	return authn.Anonymous, nil
}

func TestHelperThatNeverEnds(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	defer close(end)
	host, err := name.NewRegistry("ghcr.io")
	if err != nil {
		t.Fatal(err)
	}
	k := configured{inner: stuck{end}, limit: 10 * time.Millisecond}
	if auth, err := k.Resolve(host); err == nil || auth != nil || !strings.Contains(err.Error(), "ghcr.io cannot be read: no answer within") {
		t.Errorf("%v, %v", auth, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (configured{inner: stuck{end}, limit: time.Hour}).ResolveContext(ctx, host); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
