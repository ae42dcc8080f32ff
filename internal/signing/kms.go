//go:build kms

package signing

import (
	"bytes"
	"context"
	"crypto"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/verifying"

	// the services that cosign knows
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
)

// kmsPatience is how long a key management service has for one answer, with what its client repeats.
const kmsPatience = time.Minute

// LoadKMS finds a key that stays in a key management service, by a reference such as cosign takes. It is undetermined when
// the service gives no answer.
func LoadKMS(ctx context.Context, ref string) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, kmsPatience)
	defer cancel()
	sv, err := kms.Get(ctx, ref, crypto.SHA256)
	if err != nil {
		return nil, fault.Undeterminedf("key %s: %w", ref, err)
	}
	public, err := sv.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, fault.Undeterminedf("public half of key %s: %w", ref, err)
	}
	half, err := verifying.NewKey(ref, public)
	if err != nil {
		return nil, err
	}
	return &Key{Key: half, remote: func(ctx context.Context, data []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, kmsPatience)
		defer cancel()
		sig, err := sv.SignMessage(bytes.NewReader(data), options.WithContext(ctx))
		if err != nil {
			return nil, fault.Undeterminedf("key %s does not sign: %w", ref, err)
		}
		return sig, nil
	}}, nil
}
