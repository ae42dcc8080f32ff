//go:build e2e

package sigstore_test

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/sigstore"
)

// What one version of cosign signs without a key, both versions verify, on both registries; nobody else's identity does.
func TestSigstoreServesCosign(t *testing.T) {
	t.Parallel()
	for _, by := range sigstore.Versions {
		for kind := range sigstore.Open(t).Registries() {
			t.Run(by+", "+kind, func(t *testing.T) {
				t.Parallel()
				k := sigstore.Open(t)
				image := k.Push(t, k.Registries()[kind], "acme/checkout-"+by)
				sign := append([]string{"sign", image}, k.ForCosign(by)...)
				if out, complaints, err := k.Cosign(t, by, k.Job(t, nil), sign...); err != nil {
					t.Fatalf("cosign %s: %v\n%s%s", by, err, out, complaints)
				}
				for name, service := range k.Services() {
					if asked := len(service.Requests()) > 0; asked == (by == "v2" && name == "rekor") {
						t.Errorf("%s was asked: %v", name, asked)
					}
				}
				for _, with := range sigstore.Versions {
					verify := func(workflow string) (string, error) {
						args := []string{"verify", "--trusted-root", k.TrustedRoot, "--use-signed-timestamps", "--certificate-oidc-issuer", k.IssuerURL,
							"--certificate-identity", workflow, image}
						if with == "v2" {
							args = append(args, "--new-bundle-format")
						}
						if by == "v2" {
							args = append(args, "--insecure-ignore-tlog")
						}
						out, complaints, err := k.Cosign(t, with, nil, args...)
						return out + complaints, err
					}
					if out, err := verify(sigstore.Workflow); err != nil || !strings.Contains(out, image[strings.Index(image, "sha256:"):]) {
						t.Errorf("cosign %s verify: %v\n%s", with, err, out)
					}
					if out, err := verify(strings.Replace(sigstore.Workflow, "acme", "mallory", 1)); err == nil {
						t.Errorf("cosign %s verify accepts another repository:\n%s", with, out)
					}
				}
			})
		}
	}
}

// Each way to fail is one that cosign sees.
func TestSigstoreFails(t *testing.T) {
	t.Parallel()
	for _, fault := range []sigstore.Fault{sigstore.Down, sigstore.ServerError, sigstore.Garbage} { // cosign waits for minutes on a slow one
		for name := range sigstore.Open(t).Services() {
			t.Run(name+" "+string(fault), func(t *testing.T) {
				t.Parallel()
				k := sigstore.Open(t)
				image := k.Push(t, k.Registry, "acme/checkout")
				sign := func() (string, error) {
					out, complaints, err := k.Cosign(t, "v3", k.Job(t, nil), "sign", "--signing-config", k.SigningConfig, "--trusted-root", k.TrustedRoot, image)
					return out + complaints, err
				}
				k.Services()[name].Fail(fault)
				if out, err := sign(); err == nil {
					t.Errorf("cosign signed:\n%s", out)
				}
				k.Services()[name].Heal()
				if out, err := sign(); err != nil {
					t.Errorf("cosign does not sign when all is well again: %v\n%s", err, out)
				}
			})
		}
	}
}
