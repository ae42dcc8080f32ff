//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/org/idp/internal/testkit/cluster"
)

func TestClusterNodeIsReady(t *testing.T) {
	c := cluster.Open(t)
	got := c.Kubectl(t, "get", "nodes", "-o", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}`)
	if !strings.Contains(got, "True") || strings.Contains(got, "False") || strings.Contains(got, "Unknown") {
		t.Errorf("nodes are ready: %q", got)
	}
}

// The API server must be the one that go.mod pins, or the tests are about something else.
func TestClusterIsTheVersionThatIsPinned(t *testing.T) {
	c := cluster.Own(t)
	pinned, err := exec.Command("go", "list", "-C", inRepo("testdata", "cluster"), "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	var version struct{ GitVersion string }
	if err := json.Unmarshal([]byte(c.Kubectl(t, "get", "--raw", "/version")), &version); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(pinned)); version.GitVersion != want {
		t.Errorf("the API server is %s, want %s", version.GitVersion, want)
	}
}

func TestClusterRunsTheSampleService(t *testing.T) {
	c := cluster.Open(t)
	ns := c.Namespace(t)
	digest := helloRuns(t, c, ns)
	var version struct{ Service, Digest string }
	if err := json.Unmarshal([]byte(get(t, c.ServiceURL(t, ns, "hello")+"/version")), &version); err != nil {
		t.Fatal(err)
	}
	if version.Service != "hello" || version.Digest != digest {
		t.Errorf("the service says that it is %+v, want hello %s", version, digest)
	}
	pods := strings.Fields(c.Kubectl(t, "get", "pods", "-n", ns, "-o", `jsonpath={range .items[*]}{.status.containerStatuses[0].imageID} {end}`))
	if len(pods) != 2 {
		t.Errorf("%d pods, want 2", len(pods))
	}
	for _, image := range pods {
		if !strings.HasSuffix(image, "@"+digest) {
			t.Errorf("a pod runs %s, want %s", image, digest)
		}
	}
}

func TestClusterSurvivesTheEndOfItsAPIServer(t *testing.T) {
	c := cluster.Own(t)
	ns := c.Namespace(t)
	helloRuns(t, c, ns)
	c.RestartAPIServer(t)
	get(t, c.ServiceURL(t, ns, "hello"))
	c.Kubectl(t, "scale", "deployment", "hello", "-n", ns, "--replicas=3")
	c.Kubectl(t, "rollout", "status", "deployment", "hello", "-n", ns, "--timeout=5m")
}

func TestClusterRefusesAnExpiredToken(t *testing.T) {
	c := cluster.Own(t)
	ns := c.Namespace(t)
	c.Kubectl(t, "create", "serviceaccount", "deployer", "-n", ns)
	c.Kubectl(t, "create", "rolebinding", "deployer", "-n", ns, "--clusterrole=view", "--serviceaccount="+ns+":deployer")
	c.May(t, c.User(t, ns, "deployer", time.Hour), "list", "pods")
	for _, valid := range []time.Duration{time.Hour, time.Minute} {
		if _, err := c.KubectlAs(t, c.User(t, ns, "deployer", valid), "get", "pods"); err != nil {
			t.Errorf("a token that is valid for %s: %v", valid, err)
		}
	}
	out, err := c.KubectlAs(t, c.User(t, ns, "deployer", -time.Minute), "get", "pods")
	if err == nil || !strings.Contains(err.Error(), "Unauthorized") && !strings.Contains(err.Error(), "must be logged in") {
		t.Errorf("an expired token: %q, %v", out, err)
	}
}

func TestClusterHoldsUsersToTheirRights(t *testing.T) {
	c := cluster.Open(t)
	ns := c.Namespace(t)
	c.Kubectl(t, "create", "serviceaccount", "reader", "-n", ns)
	c.Kubectl(t, "create", "role", "reader", "-n", ns, "--verb=list", "--resource=pods")
	c.Kubectl(t, "create", "rolebinding", "reader", "-n", ns, "--role=reader", "--serviceaccount="+ns+":reader")
	user := c.User(t, ns, "reader", time.Hour)
	c.May(t, user, "list", "pods")
	if _, err := c.KubectlAs(t, user, "get", "pods"); err != nil {
		t.Error(err)
	}
	if out, err := c.KubectlAs(t, user, "get", "secrets"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("secrets: %q, %v", out, err)
	}
}

func TestClusterHoldsQuotas(t *testing.T) {
	c := cluster.Open(t)
	ns := c.Namespace(t)
	c.Quota(t, ns, "none", 0)
	out, err := c.KubectlAs(t, c.Kubeconfig, "run", "hello", "-n", ns, "--image="+c.Registry+"/hello")
	if err == nil || !strings.Contains(err.Error(), "exceeded quota: none") {
		t.Errorf("a pod beyond the quota: %q, %v", out, err)
	}
}

func TestClusterHoldsAdmissionPolicies(t *testing.T) {
	c := cluster.Open(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "has(object.metadata.labels)", message: a label is needed}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`, ns))
	t.Cleanup(func() {
		out, err := exec.Command("kubectl", "--kubeconfig", c.Kubeconfig, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", ns).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	const bare = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\n"
	c.Refuses(t, ns, bare, "a label is needed")
	c.Apply(t, ns, strings.Replace(bare, "name: bare", "name: labelled, labels: {a: b}", 1))
}

// helloRuns deploys the sample service with two replicas, waits until both are ready, and gives the digest of its image.
func helloRuns(t *testing.T, c *cluster.Cluster, ns string) string {
	t.Helper()
	image := c.Push(t, "hello", helloImage(t))
	_, digest, _ := strings.Cut(image, "@")
	c.Apply(t, ns, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 2
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      containers:
        - name: app
          image: %s
          env: [{name: IDP_DIGEST, value: %q}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80, targetPort: 8080}]}
`, image, digest))
	c.Kubectl(t, "rollout", "status", "deployment", "hello", "-n", ns, "--timeout=5m")
	return digest
}

// helloImage is the sample service as idp builds it.
func helloImage(t *testing.T) v1.Image {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(needEnv(t, "IDP_E2E_IDP"), "build", "--service", inRepo("testdata", "services", "hello"), "--out", dir, "--record", filepath.Join(dir, "record.json"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("idp build: %v\n%s", err, out)
	}
	index, err := layout.ImageIndexFromPath(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("idp build wrote %d images, want 1", len(manifest.Manifests))
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// get asks until the answer is 200, since a Service's address works a moment after its pods are ready.
func get(t *testing.T, url string) string {
	t.Helper()
	var body, got string
	ok := eventually(func() bool {
		client := http.Client{Timeout: 5 * time.Second}
		answer, err := client.Get(url)
		if err != nil {
			got = err.Error()
			return false
		}
		defer func() { _ = answer.Body.Close() }()
		data, err := io.ReadAll(answer.Body)
		body, got = string(data), answer.Status
		return err == nil && answer.StatusCode == http.StatusOK
	})
	if !ok {
		t.Fatalf("GET %s: %s", url, got)
	}
	return body
}
