// Package sigstorefake is a sigstore instance that behaves, in this process: an issuer of identity tokens, a certificate
// authority, transparency logs in the form of Rekor v1 and v2, and a timestamp authority. They speak HTTP, and what they
// give is real: tokens, certificates, log entries and timestamps are signed, and checked where the real ones check.
// `make e2e-sigstore` runs the real ones.
package sigstorefake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// The services, by the path that each answers under.
const (
	Token  = "/token"
	Fulcio = "/api/v2/signingCert"
	TSA    = "/api/v1/timestamp"
	RekorA = "/api/v1/log/entries"
	RekorB = "/api/v2/log/entries"
)

// Options are what an instance has.
type Options struct {
	Rekor uint32 // 1 or 2; 0: no transparency log
	TSA   bool
}

// Forms are the kinds of instances that there are: who vouches for the time, and which log keeps the signature.
var Forms = map[string]Options{
	"Rekor v1":                {Rekor: 1},
	"Rekor v1, timestamps":    {Rekor: 1, TSA: true},
	"Rekor v2, timestamps":    {Rekor: 2, TSA: true},
	"timestamps without logs": {TSA: true},
}

// Instance is one sigstore instance. Two share nothing, so neither trusts what the other signed.
type Instance struct {
	URL string

	t       testing.TB
	opts    Options
	root    *x509.Certificate
	inter   *x509.Certificate
	interBy *ecdsa.PrivateKey
	tsa     []*x509.Certificate // leaf, intermediate
	tsaBy   *ecdsa.PrivateKey
	logBy   *ecdsa.PrivateKey
	tokenBy *ecdsa.PrivateKey

	mu     sync.Mutex
	broken map[string]func(n int) http.HandlerFunc
	since  map[string]int // requests since a service was broken or mended
	asked  map[string]int
	mints  atomic.Pointer[Claims]
	taint  func(*x509.Certificate)
}

// Start starts an instance that ends with the test.
func Start(t testing.TB, opts Options) *Instance {
	t.Helper()
	i := &Instance{t: t, opts: opts, broken: map[string]func(int) http.HandlerFunc{}, since: map[string]int{}, asked: map[string]int{}}
	var err error
	var rootBy, tsaInterBy *ecdsa.PrivateKey
	var tsaInter *x509.Certificate
	i.root, rootBy, err = ca.GenerateRootCa()
	i.check(err)
	i.inter, i.interBy, err = ca.GenerateFulcioIntermediate(i.root, rootBy)
	i.check(err)
	tsaInter, tsaInterBy, err = ca.GenerateTSAIntermediate(i.root, rootBy)
	i.check(err)
	i.tsaBy, i.logBy, i.tokenBy = i.key(), i.key(), i.key()
	tsaLeaf, err := ca.GenerateTSALeafCert(i.root.NotBefore, i.tsaBy, tsaInter, tsaInterBy)
	i.check(err)
	tsaLeaf, err = lengthen(tsaLeaf, i.root, tsaInter, tsaInterBy)
	i.check(err)
	i.tsa = []*x509.Certificate{tsaLeaf, tsaInter}
	claims := Workflow("acme/checkout", ".github/workflows/deliver.yml", "refs/heads/main")
	i.mints.Store(&claims)

	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func (i *Instance) check(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *Instance) key() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	i.check(err)
	return key
}

// Break answers the requests to one service by h, until it is called with nil.
func (i *Instance) Break(service string, h http.HandlerFunc) {
	i.BreakWhen(service, func(int) http.HandlerFunc { return h })
}

// BreakWhen decides for each request from now on, of which n came before it, who answers it; nil is the service itself.
func (i *Instance) BreakWhen(service string, by func(n int) http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken[service], i.since[service] = by, 0
}

// ServeHTTP answers as the instance does; so another one can answer in its place.
func (i *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.serve(w, r) }

// Asked is how often a service was asked.
func (i *Instance) Asked(service string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[service]
}

// Taint changes every certificate before it is signed.
func (i *Instance) Taint(change func(*x509.Certificate)) { i.taint = change }

func (i *Instance) serve(w http.ResponseWriter, r *http.Request) {
	handlers := map[string]http.HandlerFunc{Token: i.token, Fulcio: i.fulcio, TSA: i.timestamp, RekorA: i.rekor1, RekorB: i.rekor2}
	h := handlers[r.URL.Path]
	if h == nil {
		i.t.Errorf("nobody answers %s %s", r.Method, r.URL)
		http.NotFound(w, r)
		return
	}
	i.mu.Lock()
	i.asked[r.URL.Path]++
	if by := i.broken[r.URL.Path]; by != nil {
		if broken := by(i.since[r.URL.Path]); broken != nil {
			h = broken
		}
	}
	i.since[r.URL.Path]++
	i.mu.Unlock()
	h(w, r)
}

// Environ is the environment of a job that may ask for a token.
func (i *Instance) Environ() map[string]string {
	return map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": i.URL + Token + "?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken}
}

// Files writes the TrustedRoot and the SigningConfig of the instance into a folder.
func (i *Instance) Files() (trustedRoot, signingConfig string) {
	i.t.Helper()
	dir := i.t.TempDir()
	trustedRoot, signingConfig = filepath.Join(dir, "trusted_root.json"), filepath.Join(dir, "signing_config.json")
	i.check(os.WriteFile(trustedRoot, i.TrustedRoot(), 0o600))
	i.check(os.WriteFile(signingConfig, i.SigningConfig(), 0o600))
	return trustedRoot, signingConfig
}

// LogKey is a file with the key of the log in PEM form.
func (i *Instance) LogKey() string {
	i.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.logBy.Public())
	i.check(err)
	file := filepath.Join(i.t.TempDir(), "rekor.pub")
	i.check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return file
}

func (i *Instance) host() string {
	u, err := url.Parse(i.URL)
	i.check(err)
	return u.Hostname()
}
