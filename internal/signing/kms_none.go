//go:build !kms

package signing

import (
	"context"

	"github.com/org/idp/internal/fault"
)

// LoadKMS refuses: the clients of four clouds are in no build that did not ask for them.
func LoadKMS(_ context.Context, ref string) (*Key, error) {
	return nil, fault.BadInputf("key %s is in a key management service, which this build of idp does not speak to", ref).
		WithNext("Build it with: go build -tags kms ./cmd/idp", "Or sign keyless, or with a key in a file or in a variable: --key env://COSIGN_PRIVATE_KEY")
}
