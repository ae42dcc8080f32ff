//go:build e2e

package cluster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// pluginVariable holds the address at which Plugin gives out credentials, in the environment of a program that a kubeconfig names.
const pluginVariable = "IDP_E2E_PLUGIN"

// ServePlugin makes this program such a one where it was started as that; its caller then ends. Tests call it first.
func ServePlugin() bool {
	address := os.Getenv(pluginVariable)
	if address == "" {
		return false
	}
	res, err := http.Post(address, "application/json", bytes.NewBufferString(os.Getenv("KUBERNETES_EXEC_INFO"))) // #nosec G107 -- of the test
	if err == nil && res.StatusCode == http.StatusOK {
		_, err = io.Copy(os.Stdout, res.Body)
	} else if err == nil {
		err = fmt.Errorf("no credentials: %s", res.Status)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// Plugin is the login of a cloud: a kubeconfig whose credentials a program gives out, each for a short time.
type Plugin struct {
	Kubeconfig string // file

	mu    sync.Mutex
	asked []map[string]any
	limit int
}

// NewPlugin makes one for a service account of a namespace. Version is the API's, such as v1, ttl how long what it gives is valid.
// It gives certificates where they are wanted, and tokens otherwise.
func (c *Cluster) NewPlugin(t *testing.T, namespace, account, version string, ttl time.Duration, certificates bool) *Plugin {
	t.Helper()
	if c.dir == "" {
		t.Skip("such credentials need the keys of a cluster that was started for tests, and USE_EXISTING_CLUSTER=1 is set")
	}
	p := &Plugin{Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	token := c.Kubectl(t, "create", "token", account, "-n", namespace)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var info map[string]any
		if err := json.NewDecoder(r.Body).Decode(&info); err != nil || !p.gives(info) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		// Both end in whole seconds.
		status := map[string]any{"expirationTimestamp": time.Now().Add(ttl).UTC().Format(time.RFC3339)}
		if certificates {
			status["clientCertificateData"], status["clientKeyData"] = c.certificate(t, "system:serviceaccount:"+namespace+":"+account, ttl)
		} else {
			status["token"] = c.resign(t, token, ttl)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status})
	}))
	t.Cleanup(server.Close)
	address := c.Kubectl(t, "config", "view", "--minify", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}")
	ca := c.Kubectl(t, "config", "view", "--minify", "--raw", "--flatten", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
  - name: cloud
    cluster: {server: %q, certificate-authority-data: %q, extensions: [{name: client.authentication.k8s.io/exec, extension: {region: north}}]}
users:
  - name: cloud
    user:
      exec:
        apiVersion: client.authentication.k8s.io/%s
        command: %q
        env: [{name: %s, value: %q}]
        interactiveMode: IfAvailable
        provideClusterInfo: true
contexts:
  - name: cloud
    context: {cluster: cloud, user: cloud, namespace: %q}
current-context: cloud
`, address, ca, version, os.Args[0], pluginVariable, server.URL, namespace)
	if err := os.WriteFile(p.Kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// gives counts a question, and tells whether it is answered.
func (p *Plugin) gives(info map[string]any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, info)
	return p.limit == 0 || len(p.asked) <= p.limit
}

// Asked is what it was told each time, as KUBERNETES_EXEC_INFO.
func (p *Plugin) Asked() []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// End lets it give nothing more, as when the session of a login has ended.
func (p *Plugin) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = len(p.asked)
}

// certificate is one of a user, and its key.
func (c *Cluster) certificate(t *testing.T, user string, ttl time.Duration) (cert, key string) {
	ca, err := x509.ParseCertificate(c.pem(t, "ca.crt"))
	if err != nil {
		t.Error(err)
		return "", ""
	}
	parsed, err := x509.ParsePKCS8PrivateKey(c.pem(t, "ca.key"))
	if err != nil {
		t.Error(err)
		return "", ""
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: user}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ttl),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &own.PublicKey, parsed.(*ecdsa.PrivateKey))
	if err != nil {
		t.Error(err)
		return "", ""
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func (c *Cluster) pem(t *testing.T, name string) []byte {
	data, err := os.ReadFile(filepath.Join(c.dir, "pki", name))
	if err != nil {
		t.Error(err)
		return nil
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Errorf("%s is no PEM", name)
		return nil
	}
	return block.Bytes
}
