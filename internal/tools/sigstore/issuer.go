package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// requestToken is what a job shows to get its token. It protects nothing: whoever is on this machine may have any.
const requestToken = "idp-e2e-request-token"

// audience is who the tokens are for when a job names nobody, as with GitHub, where it is the owner's page.
const audience = "https://github.com/acme"

// job is what GitHub says of a job in its token.
// https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims
func job() map[string]any {
	const commit = "1111111111111111111111111111111111111111"
	const workflow = "acme/checkout/.github/workflows/release.yml@refs/heads/main"
	return map[string]any{
		"sub": "repo:acme/checkout:ref:refs/heads/main", "repository": "acme/checkout", "repository_id": "1001",
		"repository_owner": "acme", "repository_owner_id": "2002", "repository_visibility": "public",
		"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "sha": commit, "event_name": "push",
		"workflow": "release", "workflow_ref": workflow, "workflow_sha": commit, "job_workflow_ref": workflow, "job_workflow_sha": commit,
		"run_id": "3003", "run_number": "7", "run_attempt": "1", "runner_environment": "github-hosted",
		"actor": "octocat", "actor_id": "4004", "base_ref": "", "head_ref": "",
	}
}

// issuer is an OpenID provider that gives a token to each job that asks as the runner's toolkit does. The parameter claims,
// a JSON object, changes what the token says; null leaves a claim out.
type issuer struct {
	url    string // https, as it has to be in tokens
	tokens string // http, so that jobs can ask without knowing the certificate
	pem    []byte // of the certificate
	key    *rsa.PrivateKey
}

func startIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tokens, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	der, err := certificate(key)
	if err != nil {
		return nil, err
	}
	i := &issuer{url: "https://" + public.Addr().String(), tokens: "http://" + tokens.Addr().String(), key: key,
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	keys, jobs := http.NewServeMux(), http.NewServeMux()
	keys.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	keys.HandleFunc("GET /.well-known/jwks", i.jwks)
	jobs.HandleFunc("GET /token", i.token)
	secured := tls.NewListener(public, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	go func() { log.Print(serve(secured, keys)) }()
	go func() { log.Print(serve(tokens, jobs)) }()
	return i, nil
}

// certificate is that of a server on this machine, signed by itself.
func certificate(key *rsa.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp-sigstore issuer"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 7), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/.well-known/jwks", "subject_types_supported": []string{"public", "pairwise"},
		"response_types_supported": []string{"id_token"}, "id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid"},
	})
}

const keyID = "1"

func (i *issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": b64(i.key.N.Bytes()), "e": b64(big.NewInt(int64(i.key.E)).Bytes())}}})
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || shown != requestToken {
		http.Error(w, "this job may not ask for a token", http.StatusUnauthorized)
		return
	}
	claims := job()
	claims["iss"], claims["aud"] = i.url, audience
	if a := r.URL.Query().Get("audience"); a != "" {
		claims["aud"] = a
	}
	now := time.Now()
	claims["iat"], claims["nbf"], claims["exp"], claims["jti"] = now.Unix(), now.Add(-10*time.Second).Unix(), now.Add(5*time.Minute).Unix(), rand.Text()
	if text := r.URL.Query().Get("claims"); text != "" {
		changed := map[string]any{}
		if err := json.Unmarshal([]byte(text), &changed); err != nil {
			http.Error(w, "claims: "+err.Error(), http.StatusBadRequest)
			return
		}
		maps.Copy(claims, changed)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	}
	jwt, err := i.sign(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"count": len(jwt), "value": jwt})
}

// sign makes a JWT with RS256, as GitHub does.
func (i *issuer) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "RS256", "kid": keyID})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := b64(header) + "." + b64(payload)
	hash := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, hash[:])
	return text + "." + b64(signature), err
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the caller may be gone
}

func serve(listener net.Listener, handler http.Handler) error {
	return (&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}
