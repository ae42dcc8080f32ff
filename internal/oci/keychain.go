package oci

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// helperTime is how long a credential helper may take; some of them ask a cloud for a token.
const helperTime = time.Minute

// Keychain takes credentials from where docker and podman keep them: their configuration files and the credential helpers
// that those name. What cannot be read is an error, never a reason to go on without credentials.
func Keychain() authn.Keychain {
	return configured{inner: authn.DefaultKeychain, limit: helperTime}
}

// configured bounds the helpers, which the library runs without a limit.
type configured struct {
	inner authn.Keychain
	limit time.Duration
}

func (k configured) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext leaves a helper that does not end behind: only its own process can end it.
func (k configured) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.limit, fmt.Errorf("no answer within %s", k.limit))
	defer cancel()
	type answer struct {
		auth authn.Authenticator
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		auth, err := authn.Resolve(ctx, k.inner, r)
		done <- answer{auth, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return nil, &credentialsError{host: r.RegistryStr(), err: a.err}
		}
		return a.auth, nil
	case <-ctx.Done():
		return nil, &credentialsError{host: r.RegistryStr(), err: context.Cause(ctx)}
	}
}

// credentialsError is that the credentials of a host could not be read.
type credentialsError struct {
	host string
	err  error
}

func (e *credentialsError) Error() string {
	return fmt.Sprintf("the credentials for %s cannot be read: %v", e.host, e.err)
}

func (e *credentialsError) Unwrap() error { return e.err }

// login is how people log in to the registry on host: where its publisher has a way of its own, that one.
func login(host string) []string {
	switch vendor, domain, _ := strings.Cut(host, "."); {
	case host == "ghcr.io":
		return []string{
			"In GitHub Actions the job needs: permissions: {packages: write}, and before this step: docker/login-action with registry ghcr.io",
			"A package of another repository must let this one in: its settings, Manage Actions access",
		}
	case isECR(host):
		return []string{"Log in for the next 12 hours: aws ecr get-login-password | docker login --username AWS --password-stdin " + host,
			"In GitHub Actions: aws-actions/amazon-ecr-login; the role needs ecr:PutImage, ecr:BatchGetImage and the upload of layers"}
	case strings.HasSuffix(host, "-docker.pkg.dev") || host == "gcr.io" || domain == "gcr.io":
		return []string{"Log in: gcloud auth configure-docker " + host,
			"The account needs the role Artifact Registry Writer to push and Reader to pull"}
	case domain == "azurecr.io":
		return []string{"Log in for the next 3 hours: az acr login --name " + vendor,
			"The account needs the role AcrPush to push and AcrPull to pull"}
	}
	return []string{"Log in with an account that may do this: docker login " + host}
}

// isECR knows Amazon's private registries, ACCOUNT.dkr.ecr.REGION.amazonaws.com.
func isECR(host string) bool {
	return strings.Contains(host, ".dkr.ecr.") && strings.Contains(host, ".amazonaws.com")
}

// absent is what helps when a repository or an image is not there.
func absent(host string) []string {
	const check = "Check the name of the repository and that the image was pushed to it."
	switch {
	case isECR(host):
		return []string{check, "Amazon ECR keeps only repositories that exist: aws ecr create-repository --repository-name NAME"}
	case strings.HasSuffix(host, "-docker.pkg.dev"):
		return []string{check, "Artifact Registry's names are " + host + "/PROJECT/REPOSITORY/IMAGE, and the repository must exist: gcloud artifacts repositories create"}
	}
	return []string{check}
}
