package sigstorefake

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const requestToken = "request-t0ken"

// Claims are those of a runner's token, as
// https://docs.github.com/en/actions/reference/security/oidc lists them.
type Claims struct {
	Issuer            string `json:"iss"`
	Audience          string `json:"aud"`
	Subject           string `json:"sub"`
	Expires           int64  `json:"exp"`
	Repository        string `json:"repository,omitempty"`
	RepositoryID      string `json:"repository_id,omitempty"`
	Owner             string `json:"repository_owner,omitempty"`
	OwnerID           string `json:"repository_owner_id,omitempty"`
	Visibility        string `json:"repository_visibility,omitempty"`
	WorkflowRef       string `json:"workflow_ref,omitempty"`
	WorkflowSHA       string `json:"workflow_sha,omitempty"`
	JobWorkflowRef    string `json:"job_workflow_ref,omitempty"`
	JobWorkflowSHA    string `json:"job_workflow_sha,omitempty"`
	Ref               string `json:"ref,omitempty"`
	SHA               string `json:"sha,omitempty"`
	EventName         string `json:"event_name,omitempty"`
	RunnerEnvironment string `json:"runner_environment,omitempty"`
	RunID             string `json:"run_id,omitempty"`
	RunAttempt        string `json:"run_attempt,omitempty"`
}

// Workflow gives the claims of a job in a workflow of a public repository.
func Workflow(repository, file, ref string) Claims {
	owner, _, _ := strings.Cut(repository, "/")
	workflow := repository + "/" + file + "@" + ref
	sha := strings.Repeat("c", 40)
	return Claims{Issuer: "https://token.actions.githubusercontent.com", Subject: "repo:" + repository + ":ref:" + ref,
		Repository: repository, RepositoryID: "1001", Owner: owner, OwnerID: "77", Visibility: "public",
		WorkflowRef: workflow, WorkflowSHA: sha, JobWorkflowRef: workflow, JobWorkflowSHA: sha, Ref: ref, SHA: sha, EventName: "push",
		RunnerEnvironment: "github-hosted", RunID: "42", RunAttempt: "1"}
}

// Mint makes the next tokens say this.
func (i *Instance) Mint(claims Claims) { i.mints.Store(&claims) }

// IDToken is a token as the runner gives it.
func (i *Instance) IDToken(claims Claims) string {
	claims.Audience, claims.Expires = "sigstore", time.Now().Add(5*time.Minute).Unix()
	body, err := json.Marshal(claims)
	i.check(err)
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.tokenBy, sum[:])
	i.check(err)
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (i *Instance) token(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+requestToken || r.URL.Query().Get("audience") != "sigstore" {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"value": i.IDToken(*i.mints.Load())})
}

// claimsOf checks a token as Fulcio does: who signed it, for whom, and whether it still counts.
func (i *Instance) claimsOf(token string) (Claims, error) {
	var c Claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, fmt.Errorf("no token")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || len(sig) != 64 ||
		!ecdsa.Verify(&i.tokenBy.PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return c, fmt.Errorf("the token's signature is wrong")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, err
	}
	if c.Audience != "sigstore" || c.Expires < time.Now().Unix() {
		return c, fmt.Errorf("the token is for %s until %d", c.Audience, c.Expires)
	}
	return c, nil
}

// fulcio gives certificates as https://github.com/sigstore/fulcio/blob/main/fulcio.proto says.
func (i *Instance) fulcio(w http.ResponseWriter, r *http.Request) {
	var req struct {
		PublicKeyRequest struct {
			PublicKey         struct{ Algorithm, Content string }
			ProofOfPossession []byte
		}
	}
	refuse := func(err error) { http.Error(w, fmt.Sprintf(`{"code":3,"message":%q}`, err), http.StatusBadRequest) }
	claims, err := i.claimsOf(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		refuse(err)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(err)
		return
	}
	block, _ := pem.Decode([]byte(req.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		refuse(fmt.Errorf("no public key"))
		return
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := public.(*ecdsa.PublicKey)
	proven := sha256.Sum256([]byte(claims.Subject))
	if err != nil || !ok || !ecdsa.VerifyASN1(key, proven[:], req.PublicKeyRequest.ProofOfPossession) {
		refuse(fmt.Errorf("the key's possession is not proven"))
		return
	}
	leaf := i.issue(claims, key)
	chain := []string{string(pemOf(leaf)), string(pemOf(i.inter.Raw)), string(pemOf(i.root.Raw))}
	_ = json.NewEncoder(w).Encode(map[string]any{"signedCertificateDetachedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate for ten minutes, with the extensions of Fulcio's oid-info.md.
func (i *Instance) issue(c Claims, key *ecdsa.PublicKey) []byte {
	const server = "https://github.com/"
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Second),
		NotAfter: time.Now().Add(10 * time.Minute), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	if c.JobWorkflowRef != "" {
		san, err := url.Parse(server + c.JobWorkflowRef)
		i.check(err)
		template.URIs = []*url.URL{san}
	} else {
		template.EmailAddresses = []string{c.Subject}
	}
	url := func(path string) string {
		if path == "" {
			return ""
		}
		return server + path
	}
	for n, value := range map[int]string{8: c.Issuer, 9: url(c.JobWorkflowRef), 10: c.JobWorkflowSHA, 11: c.RunnerEnvironment, 12: url(c.Repository),
		13: c.SHA, 14: c.Ref, 15: c.RepositoryID, 16: url(c.Owner), 17: c.OwnerID, 18: url(c.WorkflowRef), 19: c.WorkflowSHA, 20: c.EventName,
		21: url(c.Repository + "/actions/runs/" + c.RunID + "/attempts/" + c.RunAttempt), 22: c.Visibility} {
		if value == "" {
			continue
		}
		der, err := asn1.MarshalWithParams(value, "utf8")
		i.check(err)
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: der})
	}
	if i.taint != nil {
		i.taint(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.inter, key, i.interBy)
	i.check(err)
	return der
}
