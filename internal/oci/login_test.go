package oci_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
)

// helperName is what this test binary is called when it is run as a credential helper.
const helperName = "idptest"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "docker-credential-"+helperName {
		credentials.Serve(helper{})
		return
	}
	os.Exit(m.Run())
}

// helper is a credential helper, served by Docker's own library. What it answers is in the environment.
type helper struct{}

func (helper) Add(*credentials.Credentials) error { return errors.New("not a store") }
func (helper) Delete(string) error                { return errors.New("not a store") }
func (helper) List() (map[string]string, error)   { return nil, errors.New("not a store") }
func (helper) Get(string) (user, secret string, err error) {
	switch mode := os.Getenv("IDPTEST_HELPER"); mode {
	case "":
		return "", "", credentials.NewErrCredentialsNotFound()
	case "broken":
		return "", "", errors.New("the session has expired: run aws sso login")
	default:
		user, secret, _ = strings.Cut(mode, ":")
		return user, secret, nil
	}
}

// configure makes text the configuration of docker, and this binary a helper on the PATH.
func configure(t *testing.T, text, helperAnswer string) {
	t.Helper()
	home := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(home, "docker-credential-"+helperName)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
	t.Setenv("PATH", home+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("IDPTEST_HELPER", helperAnswer)
}

// guarded is a registry behind the login of a vendor: challenge is its WWW-Authenticate header, in which HOST stands for
// itself; token checks what is asked of the realm and gives its answer; an empty one is a refusal.
func guarded(t *testing.T, challenge string, token func(*http.Request) string, basic string) (host string) {
	t.Helper()
	const issued = "issued-by-the-token-service"
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	return front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/v2/") || strings.HasSuffix(r.URL.Path, "/token") {
			if answer := token(r); answer != "" {
				_, _ = io.WriteString(w, strings.ReplaceAll(answer, "ISSUED", issued))
			} else {
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			}
			return true
		}
		user, password, _ := r.BasicAuth()
		if r.Header.Get("Authorization") == "Bearer "+issued || basic != "" && user+":"+password == basic {
			inner.ServeHTTP(w, r)
			return true
		}
		w.Header().Set("WWW-Authenticate", strings.ReplaceAll(challenge, "HOST", r.Host))
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return true
	})
}

// byPassword is a token service that takes a name and a password, and wants to know for what the token is.
func byPassword(want, service, answer string) func(*http.Request) string {
	return func(r *http.Request) string {
		user, password, _ := r.BasicAuth()
		q := r.URL.Query()
		if r.Method != http.MethodGet || user+":"+password != want || q.Get("service") != service ||
			!strings.HasPrefix(q.Get("scope"), "repository:acme/checkout:") {
			return ""
		}
		return answer
	}
}

// byRefreshToken is that of Azure: az acr login leaves a refresh token, which docker calls an identity token.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
func byRefreshToken(want, service string) func(*http.Request) string {
	return func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil || r.Method != http.MethodPost || form.Get("grant_type") != "refresh_token" || form.Get("refresh_token") != want ||
			form.Get("service") != service || !strings.HasPrefix(form.Get("scope"), "repository:acme/checkout:") {
			return ""
		}
		return `{"access_token":"ISSUED"}`
	}
}

// The challenges are those that the registries send to GET /v2/, with their host replaced.
func TestLogins(t *testing.T) {
	none := func(*http.Request) string { return "" }
	const basic = `{"auths":{"HOST":{"auth":"Ym90Omh1bnRlcjI="}}}` // bot:hunter2, as docker login writes it
	for name, c := range map[string]struct {
		challenge, config, helper, basic string
		token                            func(*http.Request) string
	}{
		"ghcr.io": {
			challenge: `Bearer realm="http://HOST/token",service="ghcr.io",scope="repository:user/image:pull"`,
			config:    basic, token: byPassword("bot:hunter2", "ghcr.io", `{"token":"ISSUED"}`)},
		"Docker Hub": {
			challenge: `Bearer realm="http://HOST/token",service="registry.docker.io"`,
			config:    basic, token: byPassword("bot:hunter2", "registry.docker.io", `{"token":"ISSUED","access_token":"ISSUED","expires_in":300}`)},
		"Amazon ECR after docker login": {
			challenge: `Basic realm="https://HOST/",service="ecr.amazonaws.com"`,
			config:    `{"auths":{"HOST":{"auth":"QVdTOmh1bnRlcjI="}}}`, basic: "AWS:hunter2", token: none},
		"Amazon ECR by a credential helper": {
			challenge: `Basic realm="https://HOST/",service="ecr.amazonaws.com"`,
			config:    `{"credHelpers":{"HOST":"` + helperName + `"}}`, helper: "AWS:hunter2", basic: "AWS:hunter2", token: none},
		"a store for all hosts": {
			challenge: `Basic realm="Registry"`,
			config:    `{"auths":{"HOST":{}},"credsStore":"` + helperName + `"}`, helper: "bot:hunter2", basic: "bot:hunter2", token: none},
		"Artifact Registry by gcloud's helper": {
			challenge: `Bearer realm="http://HOST/v2/token",service="us-docker.pkg.dev"`,
			config:    `{"credHelpers":{"HOST":"` + helperName + `"}}`, helper: "_dcgcloud_token:hunter2",
			token: byPassword("_dcgcloud_token:hunter2", "us-docker.pkg.dev", `{"token":"ISSUED","expires_in":3600}`)},
		"Azure after az acr login": {
			challenge: `Bearer realm="http://HOST/oauth2/token",service="acme.azurecr.io"`,
			config:    `{"auths":{"HOST":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"hunter2"}}}`,
			token:     byRefreshToken("hunter2", "acme.azurecr.io")},
		"Azure by a credential helper": {
			challenge: `Bearer realm="http://HOST/oauth2/token",service="acme.azurecr.io"`,
			config:    `{"credHelpers":{"HOST":"` + helperName + `"}}`, helper: "<token>:hunter2",
			token: byRefreshToken("hunter2", "acme.azurecr.io")},
	} {
		t.Run(name, func(t *testing.T) {
			host := guarded(t, c.challenge, c.token, c.basic)
			repo, img := host+"/acme/checkout", anImage(t)
			configure(t, `{}`, "")
			_, err := push(t.Context(), oci.Client{}, saved(t, img), repo)
			fails(t, err, fault.Undetermined, "401", "docker login "+host) // so it does want a login

			configure(t, strings.ReplaceAll(c.config, "HOST", host), c.helper)
			got, err := push(t.Context(), oci.Client{}, saved(t, img), repo)
			if err != nil {
				t.Fatal(strings.Join(fault.Lines(err), "\n"))
			}
			if err := (oci.Client{}).Tag(t.Context(), repo, got, "main"); err != nil {
				t.Error(err)
			}
			if _, err := (oci.Client{}).Pull(t.Context(), repo+"@"+got); err != nil {
				t.Error(err)
			}
		})
	}
}

// A token lives for minutes, and may run out between any two requests of a push: also at one whose body was sent already when the
// registry says so.
func TestTokensThatRunOut(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
		var issued, over, asked atomic.Int32 // tokens have numbers, and those up to over have run out
		host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/token" {
				_, _ = fmt.Fprintf(w, `{"token":"%d"}`, issued.Add(1))
				return true
			}
			var token int32
			_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %d", &token)
			if token > 0 && asked.Add(1) == int32(n) { // #nosec G115 -- a few dozen
				over.Store(issued.Load())
			}
			if token > over.Load() {
				inner.ServeHTTP(w, r)
				return true
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return true
		})
		if _, err := push(t.Context(), oci.Client{Keychain: login{}}, saved(t, anImage(t)), host+"/a"); err != nil {
			t.Errorf("the token runs out at request %d: %s", n, strings.Join(fault.Lines(err), "\n"))
		}
		if asked.Load() < int32(n) { // #nosec G115 -- a few dozen
			if n < 6 {
				t.Errorf("a push makes %d requests", n)
			}
			return
		}
	}
}

// login is by a password.
type login struct{}

func (login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "bot", Password: "hunter2"}, nil
}

// Credentials that cannot be read are never a reason to go on without: that would push to, or read, something else than
// what was meant where both are possible.
func TestCredentialsThatCannotBeRead(t *testing.T) {
	open := serve(t).Host() // takes everyone, so only the credentials can be what is wrong
	for name, c := range map[string]struct{ config, helper, words string }{
		"no such helper":        {`{"credHelpers":{"HOST":"idp-has-none-such"}}`, "", "docker-credential-idp-has-none-such"},
		"a helper that fails":   {`{"credHelpers":{"HOST":"` + helperName + `"}}`, "broken", "run aws sso login"},
		"not JSON":              {`{"auths":`, "", "config.json"},
		"not what login writes": {`{"auths":{"HOST":{"auth":"hunter2!"}}}`, "", "config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t, strings.ReplaceAll(c.config, "HOST", open), c.helper)
			_, err := push(t.Context(), oci.Client{}, saved(t, anImage(t)), open+"/a")
			fails(t, err, fault.Undetermined, "the credentials for "+open+" cannot be read", c.words, "docker login "+open)
		})
	}
}

// TestHintsOfVendors: what helps is said in the words of the registry's publisher.
func TestHintsOfVendors(t *testing.T) {
	t.Parallel()
	for host, words := range map[string]struct{ denied, absent string }{
		"ghcr.io": {"permissions: {packages: write}", "Check the name"},
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":     {"aws ecr get-login-password", "aws ecr create-repository"},
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn": {"aws ecr get-login-password", "aws ecr create-repository"},
		"europe-west1-docker.pkg.dev":                      {"gcloud auth configure-docker europe-west1-docker.pkg.dev", "/PROJECT/REPOSITORY/IMAGE"},
		"eu.gcr.io":                                        {"gcloud auth configure-docker eu.gcr.io", "Check the name"},
		"acme.azurecr.io":                                  {"az acr login --name acme", "Check the name"},
		"registry.acme.example":                            {"docker login registry.acme.example", "Check the name"},
		"ecr.amazonaws.com.evil.example":                   {"docker login ecr.amazonaws.com.evil.example", "Check the name"},
	} {
		for status, want := range map[int]string{http.StatusUnauthorized: words.denied, http.StatusForbidden: words.denied, http.StatusNotFound: words.absent} {
			err := oci.Retry(t.Context(), oci.Limits{}, nil, "push to registry "+host, host, func(context.Context) error {
				return &transport.Error{StatusCode: status}
			})
			fails(t, err, fault.Undetermined, host, fmt.Sprint(status), want)
		}
	}
}

func TestNamesInLowerCase(t *testing.T) {
	t.Parallel()
	err := oci.CheckRepository("ghcr.io/Acme/Checkout")
	fails(t, err, fault.BadInput, "capital letters", "ghcr.io/acme/checkout")
	if err := oci.CheckRepository("ghcr.io/acme/checkout"); err != nil {
		t.Error(err)
	}
	err = oci.CheckRepository("ghcr.io/Acme/Checkout:latest")
	fails(t, err, fault.BadInput, "HOST/REPOSITORY")
}
