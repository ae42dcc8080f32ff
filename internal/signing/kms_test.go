//go:build kms

package signing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
)

func TestKMS(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	ctx := context.WithValue(t.Context(), fake.KmsCtxKey{}, private)
	key, err := signing.LoadKMS(ctx, "fakekms://key")
	expect.NoError(t, err)
	b, err := key.Sign(t.Context(), statement(t))
	expect.NoError(t, err)
	if _, err := key.Public().Verify(t.Context(), b, digestA); err != nil {
		t.Error(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	expect.NoError(t, err)
	_, err = signing.LoadKMS(context.WithValue(t.Context(), fake.KmsCtxKey{}, p384), "fakekms://key")
	expect.Error(t, err, "is not an ECDSA P-256 key")
	if _, err := signing.LoadKMS(t.Context(), "nokms://key"); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a service that nobody knows: %v", err)
	}
}

// Vault that says no: nothing is determined, and its token is not in the error.
func TestKMSVaultRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"errors":["permission denied"]}`, 403) }))
	defer server.Close()
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_TOKEN", "made-up")
	_, err := signing.LoadKMS(t.Context(), "hashivault://delivery")
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "made-up") {
		t.Errorf("error %v", err)
	}
}
