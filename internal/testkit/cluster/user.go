//go:build e2e

package cluster

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// User gives a kubeconfig with a token of a service account, as a pipeline has it. The token is valid until ttl from now,
// so with a negative one it has expired. The account must exist, and may do what RBAC says.
func (c *Cluster) User(t *testing.T, namespace, account string, ttl time.Duration) string {
	t.Helper()
	token := c.Kubectl(t, "create", "token", account, "-n", namespace)
	if ttl < 10*time.Minute { // the API server gives out none that is shorter
		token = c.resign(t, token, ttl)
	} else {
		token = c.Kubectl(t, "create", "token", account, "-n", namespace, "--duration", ttl.String())
	}
	server := c.Kubectl(t, "config", "view", "--minify", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}")
	ca := c.Kubectl(t, "config", "view", "--minify", "--raw", "--flatten", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
  - name: idp
    cluster: {server: %q, certificate-authority-data: %q}
users:
  - name: %q
    user: {token: %q}
contexts:
  - name: idp
    context: {cluster: idp, user: %[3]q, namespace: %[5]q}
current-context: idp
`, server, ca, account, token, namespace)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// resign gives a token with another time of expiry, signed as the API server signs it.
func (c *Cluster) resign(t *testing.T, token string, ttl time.Duration) string {
	t.Helper()
	if c.dir == "" {
		t.Skip("such a token needs the key of a cluster that was started for tests, and USE_EXISTING_CLUSTER=1 is set")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("the token of a service account is no JWT")
	}
	b64 := base64.RawURLEncoding
	data, err := b64.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(ttl)
	claims["exp"], claims["iat"], claims["nbf"] = end.Unix(), end.Add(-time.Hour).Unix(), end.Add(-time.Hour).Unix()
	if data, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	signed := parts[0] + "." + b64.EncodeToString(data)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, c.signer(t), hash[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64) // ES256: RFC 7518, section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + b64.EncodeToString(signature)
}

func (c *Cluster) signer(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "pki", "sa.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("sa.key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}
