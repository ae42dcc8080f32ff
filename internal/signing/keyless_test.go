package signing_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/retry"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

// pauses notes for how long was waited, and does not wait.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

func (p *pauses) sleep(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, d)
	return ctx.Err()
}

// now is later by what was not waited.
func (p *pauses) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.total())
}

func (p *pauses) total() (sum time.Duration) {
	for _, d := range p.list {
		sum += d
	}
	return sum
}

func optionsOf(t *testing.T, i *sigstorefake.Instance, claims sigstorefake.Claims) (signing.KeylessOptions, *pauses) {
	t.Helper()
	_, config := i.Files()
	services, err := signing.ReadServices(config)
	expect.NoError(t, err)
	p := &pauses{}
	return signing.KeylessOptions{Trust: signed.Trust(t, i), Services: services, Clock: retry.Clock{Now: p.now, Sleep: p.sleep},
		Token: func(context.Context) (string, error) { return i.IDToken(claims), nil }}, p
}

func statement(t *testing.T) attest.Statement {
	t.Helper()
	s, err := attest.NewStatement(digestA, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
	expect.NoError(t, err)
	return s
}

var (
	claims  = sigstorefake.Workflow("acme/checkout", ".github/workflows/deliver.yml", "refs/heads/main")
	digestA = "sha256:" + strings.Repeat("a", 64)
)

func TestKeylessSign(t *testing.T) {
	t.Parallel()
	for name, form := range sigstorefake.Forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := sigstorefake.Start(t, form)
			opts, slept := optionsOf(t, i, claims)
			signer, err := signing.NewKeylessSigner(t.Context(), opts)
			expect.NoError(t, err)
			for range 3 {
				b, err := signer.Sign(t.Context(), statement(t))
				expect.NoError(t, err)
				anybody, err := verifying.NewKeyless(signed.Trust(t, i), verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: "acme/checkout"})
				expect.NoError(t, err)
				for _, v := range []attest.Verifier{anybody, signer} {
					got, err := v.Verify(t.Context(), b, digestA)
					expect.NoError(t, err)
					if got.PredicateType != attest.PredicateSBOM || got.Signer != signer.Identity() {
						t.Errorf("%s of %s", got.PredicateType, got.Signer)
					}
				}
			}
			if signer.Identity() != "https://github.com/acme/checkout/.github/workflows/deliver.yml@refs/heads/main" ||
				signer.Certificate().Run != "https://github.com/acme/checkout/actions/runs/42/attempts/1" {
				t.Errorf("identity %s, certificate %+v", signer.Identity(), signer.Certificate())
			}
			want := map[string]int{sigstorefake.Fulcio: 1}
			if form.TSA {
				want[sigstorefake.TSA] = 3
			}
			if form.Rekor != 0 {
				want[fmt.Sprintf("/api/v%d/log/entries", form.Rekor)] = 3
			}
			for _, s := range []string{sigstorefake.Fulcio, sigstorefake.TSA, sigstorefake.RekorA, sigstorefake.RekorB} {
				if i.Asked(s) != want[s] {
					t.Errorf("%s was asked %d times, expected %d", s, i.Asked(s), want[s])
				}
			}
			if len(slept.list) != 0 {
				t.Errorf("waited for %v", slept.list)
			}
		})
	}
}

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, text)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// Whatever a service does instead of its work: nothing is determined, the waiting has an end, and no error has the token.
func TestServicesFail(t *testing.T) {
	t.Parallel()
	rekor1, both := sigstorefake.Options{Rekor: 1}, sigstorefake.Options{Rekor: 2, TSA: true}
	services := []struct {
		path, name string
		form       sigstorefake.Options
	}{
		{sigstorefake.Fulcio, "the certificate authority", both}, {sigstorefake.TSA, "the timestamp authority", both},
		{sigstorefake.RekorA, "the transparency log", rekor1}, {sigstorefake.RekorB, "the transparency log", both},
	}
	ways := map[string]struct {
		handler http.HandlerFunc
		again   bool
		want    string
	}{
		"down": {hangUp, true, "cannot be reached"},
		"500":  {answer(500, "oops\x1b[31m\nagain"), true, "answers 500 Internal Server Error: oops [31m again"},
		"503":  {answer(503, ""), true, "answers 503 Service Unavailable"},
		"499":  {answer(499, "add entry: await: context canceled"), true, "answers 499 : add entry: await: context canceled"},
		"429":  {answer(429, "slow down"), true, "answers 429 Too Many Requests: slow down"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(201)
		}, true, "cannot be reached"},
		"400": {answer(400, `{"message":"no"}`), false, `answers 400 Bad Request: {"message":"no"}`},
		"403": {answer(403, strings.Repeat("x", 9000)), false, strings.Repeat("x", 200) + "…"},
		"moved": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		}, false, "answers 307"},
		"garbage":           {answer(200, "<html>"), false, ""},
		"garbage, created":  {answer(201, "{}"), false, ""},
		"empty":             {answer(201, ""), false, ""},
		"half an entry":     {answer(201, `{"x":{"body":"e30=","integratedTime":1,"logID":"`+strings.Repeat("a", 64)+`","logIndex":1}}`), false, ""},
		"endless":           {answer(201, strings.Repeat(" ", 5<<20)), false, "more than 4 MB"},
		"repeats the token": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.Header.Get("Authorization"), 400) }, false, "answers 400"},
	}
	for _, service := range services {
		for name, way := range ways {
			t.Run(strings.Trim(service.path, "/")+"/"+name, func(t *testing.T) {
				t.Parallel()
				i := sigstorefake.Start(t, service.form)
				opts, slept := optionsOf(t, i, claims)
				i.Break(service.path, way.handler)
				signer, err := signing.NewKeylessSigner(t.Context(), opts)
				var b []byte
				if err == nil {
					b, err = signer.Sign(t.Context(), statement(t))
				}
				text := ""
				if err != nil {
					text = strings.Join(fault.Lines(err), "\n")
				}
				if err == nil || b != nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(text, way.want) {
					t.Fatalf("%d bytes and %v, expected nothing, undetermined and %q", len(b), err, way.want)
				}
				if way.want != "" && !strings.Contains(text, service.name) {
					t.Errorf("%q does not name %s", text, service.name)
				}
				if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "eyJ") || len(text) > 1000 {
					t.Errorf("not fit to be shown: %q", text)
				}
				asked := i.Asked(service.path)
				if way.again && (asked < 8 || asked > 14 || slept.total() < 3*time.Minute || slept.total() > 4*time.Minute) {
					t.Errorf("asked %d times within %s", asked, slept.total())
				}
				if !way.again && asked != 1 {
					t.Errorf("asked %d times", asked)
				}
			})
		}
	}
}

func TestServicesRecover(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{Rekor: 2, TSA: true})
	opts, slept := optionsOf(t, i, claims)
	for _, service := range []string{sigstorefake.Fulcio, sigstorefake.TSA, sigstorefake.RekorB} {
		var n atomic.Int64
		i.Break(service, func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) == 2 {
				i.Break(service, nil)
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(http.StatusBadGateway)
		})
	}
	signer, err := signing.NewKeylessSigner(t.Context(), opts)
	expect.NoError(t, err)
	_, err = signer.Sign(t.Context(), statement(t))
	expect.NoError(t, err)
	if want := []time.Duration{time.Second, 7 * time.Second}; !slices.Equal(slept.list, slices.Concat(want, want, want)) {
		t.Errorf("waited for %v", slept.list)
	}
}

func TestKeylessInterrupted(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{TSA: true})
	opts, _ := optionsOf(t, i, claims)
	signer, err := signing.NewKeylessSigner(t.Context(), opts)
	expect.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	i.Break(sigstorefake.TSA, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // the end of a connection is seen only then
		cancel()
		<-r.Context().Done()
	})
	if _, err := signer.Sign(ctx, statement(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A log that has the entry, because the answer to the first attempt was lost.
func TestEntryIsLoggedAlready(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{Rekor: 2, TSA: true})
	opts, _ := optionsOf(t, i, claims)
	signer, err := signing.NewKeylessSigner(t.Context(), opts)
	expect.NoError(t, err)
	i.Break(sigstorefake.RekorB, func(w http.ResponseWriter, _ *http.Request) {
		i.Break(sigstorefake.RekorB, nil)
		http.Error(w, "an equivalent entry already exists in the transparency log with index 7", http.StatusConflict)
	})
	_, err = signer.Sign(t.Context(), statement(t))
	expect.NoError(t, err)
	i.Break(sigstorefake.RekorB, answer(http.StatusConflict, ""))
	if _, err := signer.Sign(t.Context(), statement(t)); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a log that has everything already: %v", err)
	}
}

// A certificate is asked for again when it has nearly ended; it has to be of the same identity.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{TSA: true})
	opts, _ := optionsOf(t, i, claims)
	var ahead atomic.Int64
	opts.Clock.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	next := claims
	opts.Token = func(context.Context) (string, error) { return i.IDToken(next), nil }
	signer, err := signing.NewKeylessSigner(t.Context(), opts)
	expect.NoError(t, err)
	ahead.Store(int64(9 * time.Minute))
	_, err = signer.Sign(t.Context(), statement(t))
	expect.NoError(t, err)
	if n := i.Asked(sigstorefake.Fulcio); n != 2 {
		t.Errorf("asked for %d certificates", n)
	}
	ahead.Store(int64(30 * time.Minute))
	next.JobWorkflowRef = "acme/checkout/.github/workflows/other.yml@refs/heads/main"
	_, err = signer.Sign(t.Context(), statement(t))
	expect.Error(t, err, "a second certificate differs from the first")
}

func TestPrivacy(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{TSA: true})
	public := filepath.Join(t.TempDir(), "public.json")
	expect.NoError(t, os.WriteFile(public, []byte(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":[{"url":"`+i.URL+`","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"x"}],
		"rekorTlogUrls":[{"url":"https://log2025-1.rekor.Sigstore.dev.","majorApiVersion":2,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"x"}],
		"rekorTlogConfig":{"selector":"ANY"},
		"tsaUrls":[{"url":"`+i.URL+sigstorefake.TSA+`","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"x"}],
		"tsaConfig":{"selector":"ANY"}}`), 0o600))
	services, err := signing.ReadServices(public)
	expect.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*sigstorefake.Claims)
		allow  bool
		want   string
	}{
		"public":   {func(*sigstorefake.Claims) {}, false, ""},
		"private":  {func(c *sigstorefake.Claims) { c.Visibility = "private" }, false, `repository "acme/checkout", which is private`},
		"internal": {func(c *sigstorefake.Claims) { c.Visibility = "internal" }, false, "which is internal"},
		"not said": {func(c *sigstorefake.Claims) { c.Visibility = "" }, false, "whose visibility is not known"},
		"allowed":  {func(c *sigstorefake.Claims) { c.Visibility = "private" }, true, ""},
		"subject":  {func(c *sigstorefake.Claims) { c.Repository, c.Visibility = "", "" }, false, `repository "acme/checkout", whose`},
		"subject of 2026": {func(c *sigstorefake.Claims) {
			c.Repository, c.Visibility, c.Subject = "", "", "repo:acme@77/shop@1001:ref:refs/heads/main"
		}, false, `repository "acme/shop", whose`},
	} {
		before := i.Asked(sigstorefake.Fulcio)
		c := claims
		tc.change(&c)
		opts, _ := optionsOf(t, i, c)
		opts.Services, opts.AllowPublicLog = services, tc.allow
		_, err := signing.NewKeylessSigner(t.Context(), opts)
		if tc.want == "" {
			expect.NoError(t, err)
			continue
		}
		if err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "log2025-1.rekor.sigstore.dev") {
			t.Errorf("%s: %v", name, err)
		}
		if i.Asked(sigstorefake.Fulcio) != before {
			t.Errorf("%s: something was sent", name)
		}
	}
	// An instance of one's own may know everything.
	c := claims
	c.Visibility = "private"
	opts, _ := optionsOf(t, i, c)
	_, err = signing.NewKeylessSigner(t.Context(), opts)
	expect.NoError(t, err)
}

func TestKeylessRefuses(t *testing.T) {
	t.Parallel()
	form := sigstorefake.Options{Rekor: 2, TSA: true}
	i := sigstorefake.Start(t, form)
	token := func(text string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, nil }
	}
	try := func(change func(*signing.KeylessOptions)) error {
		opts, _ := optionsOf(t, i, claims)
		change(&opts)
		signer, err := signing.NewKeylessSigner(t.Context(), opts)
		if err != nil {
			return err
		}
		_, err = signer.Sign(t.Context(), statement(t))
		return err
	}
	noToken := fault.BadInputf("this job may not ask")
	elsewhere := sigstorefake.Start(t, form)
	with := func(text string) func(*signing.KeylessOptions) {
		return func(o *signing.KeylessOptions) {
			file := filepath.Join(t.TempDir(), "config.json")
			expect.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			services, err := signing.ReadServices(file)
			expect.NoError(t, err)
			o.Services = services
		}
	}
	config := string(i.SigningConfig())
	for name, tc := range map[string]struct {
		change func(*signing.KeylessOptions)
		kind   fault.Kind
		want   string
	}{
		"no token": {func(o *signing.KeylessOptions) {
			o.Token = func(context.Context) (string, error) { return "", noToken }
		}, fault.BadInput, "may not ask"},
		"a token of nothing": {func(o *signing.KeylessOptions) { o.Token = token("x") }, fault.Undetermined, "not a JWT"},
		"a token of others":  {func(o *signing.KeylessOptions) { o.Token = token(elsewhere.IDToken(claims)) }, fault.Undetermined, "answers 400 Bad Request"},
		"claims": {func(o *signing.KeylessOptions) {
			o.Token = token("x." + base64.RawURLEncoding.EncodeToString([]byte("{")) + ".x")
		}, fault.Undetermined,
			"no claims that can be read"},
		"another trust": {func(o *signing.KeylessOptions) { o.Trust = signed.Trust(t, elsewhere) }, fault.Undetermined, "what was signed just now does not verify"},
		"plain HTTP":    {with(strings.ReplaceAll(config, i.URL, "http://fulcio.example")), fault.BadInput, "is not an https:// address"},
		"nobody":        {with(`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}`), fault.BadInput, "certificate authority: no matching service"},
		"no time":       {with(string(sigstorefake.Start(t, sigstorefake.Options{Rekor: 2}).SigningConfig())), fault.BadInput, "no timestamp authority is named"},
		"later version": {with(strings.ReplaceAll(strings.ReplaceAll(config, `"majorApiVersion":2`, `"majorApiVersion":3`), `"majorApiVersion": 2`, `"majorApiVersion": 3`)), fault.BadInput, "transparency log: no matching services"},
	} {
		if err := try(tc.change); err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: kind %v, %v; expected %v and %q", name, fault.KindOf(err), err, tc.kind, tc.want)
		}
	}
	for name, text := range map[string]string{"empty": "", "no JSON": "x", "another": "{}", "version": `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.1+json"}`} {
		file := filepath.Join(t.TempDir(), "config.json")
		expect.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		if _, err := signing.ReadServices(file); err == nil || fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate authority that gives a certificate for a key of its own.
func TestCertificateOfAnotherKey(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{TSA: true})
	opts, _ := optionsOf(t, i, claims)
	i.Break(sigstorefake.Fulcio, answer(200, fmt.Sprintf(`{"signedCertificateDetachedSct":{"chain":{"certificates":[%q]}}}`,
		"-----BEGIN CERTIFICATE-----\n"+base64.StdEncoding.EncodeToString(signed.SelfSigned(t))+"\n-----END CERTIFICATE-----\n")))
	_, err := signing.NewKeylessSigner(t.Context(), opts)
	expect.Error(t, err, "a certificate for another key")
	i.Break(sigstorefake.Fulcio, nil)
	i.Taint(func(c *x509.Certificate) { c.URIs = nil })
	_, err = signing.NewKeylessSigner(t.Context(), opts)
	expect.Error(t, err, "no Subject Alternative Name found")
}
