//go:build e2e

// Package cluster gives tests a real Kubernetes: the one that `go run ./internal/tools/cluster run` started around them,
// or with USE_EXISTING_CLUSTER=1 that of the caller's KUBECONFIG.
package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// limit is how long a call of kubectl may take at most, and anything that is about to be so. It is far more than either takes,
// since a machine may have slow moments, and is met only by what has failed.
const limit = 5 * time.Minute

// Cluster is one that answers.
type Cluster struct {
	Kubeconfig string // file; its user may do everything
	Registry   string // HOST:PORT, spoken to in plain HTTP, by pods too
	dir        string // folder with the state of a cluster that was started for tests; empty for the caller's
}

// Open gives the cluster of the environment. Without one the test fails, because it is the point of the test.
func Open(t *testing.T) *Cluster {
	t.Helper()
	c := &Cluster{Kubeconfig: os.Getenv("KUBECONFIG"), Registry: os.Getenv("IDP_E2E_REGISTRY"), dir: os.Getenv("IDP_E2E_CLUSTER")}
	existing := os.Getenv("USE_EXISTING_CLUSTER") == "1"
	switch {
	case existing && (c.Kubeconfig == "" || c.Registry == ""):
		t.Fatal("USE_EXISTING_CLUSTER=1 needs KUBECONFIG, and IDP_E2E_REGISTRY, a registry on 127.0.0.1 that its pods reach under the same name")
	case !existing && c.dir == "":
		t.Fatal("there is no cluster: run these tests with `make e2e-cluster`")
	}
	t.Cleanup(func() {
		if t.Failed() { // printed and not logged, since it is no word of the test
			fmt.Printf("%s failed; %s\n", t.Name(), c.logs())
		}
	})
	return c
}

// Own gives the cluster of the environment when it was started for tests, so that a test may do it harm. A caller's own
// cluster is spared: there the test is skipped.
func Own(t *testing.T) *Cluster {
	t.Helper()
	c := Open(t)
	if c.dir == "" {
		t.Skip("this needs a cluster that was started for tests, and USE_EXISTING_CLUSTER=1 is set")
	}
	return c
}

// Kubectl runs kubectl with the rights of an administrator and gives what it prints. A failure ends the test.
func (c *Cluster) Kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := kubectl(t.Context(), c.Kubeconfig, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// KubectlAs runs kubectl with a kubeconfig, as User makes them, and gives what it prints and why it failed.
func (c *Cluster) KubectlAs(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	return kubectl(t.Context(), kubeconfig, "", args...)
}

// KubectlDetached runs kubectl for a cleanup, when the test's own context has ended.
func (c *Cluster) KubectlDetached(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return kubectl(context.WithoutCancel(t.Context()), c.Kubeconfig, "", args...)
}

// Apply applies manifests. A failure ends the test.
func (c *Cluster) Apply(t *testing.T, namespace, manifests string) {
	t.Helper()
	if _, err := kubectl(t.Context(), c.Kubeconfig, manifests, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// Namespace makes one for a test in which pods can be made, and whose end removes it. What happened in it is shown when the
// test fails.
func (c *Cluster) Namespace(t *testing.T) string {
	t.Helper()
	out := c.Kubectl(t, "create", "-o", "name", "-f", c.manifest(t, "apiVersion: v1\nkind: Namespace\nmetadata: {generateName: idp-test-}\n"))
	ns := strings.TrimPrefix(out, "namespace/")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // the test's own ends before its cleanup
		if t.Failed() {
			for _, args := range [][]string{{"get", "all", "-o", "wide"}, {"get", "events", "--sort-by", ".lastTimestamp"}} {
				out, err := kubectl(ctx, c.Kubeconfig, "", append(args, "-n", ns)...)
				fmt.Printf("%s failed; kubectl %s: %v\n%s\n", t.Name(), strings.Join(args, " "), err, out)
			}
		}
		// A test may have deleted it itself.
		if _, err := kubectl(ctx, c.Kubeconfig, "", "delete", "namespace", ns, "--wait=false", "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	c.populated(t, ns)
	return ns
}

// populated waits for what controllers put into every new namespace: without its service account no pod is let in.
func (c *Cluster) populated(t *testing.T, ns string) {
	t.Helper()
	Until(t, func() error {
		_, err := kubectl(t.Context(), c.Kubeconfig, "", "get", "serviceaccount/default", "configmap/kube-root-ca.crt", "-n", ns, "-o", "name")
		return err
	})
}

func (c *Cluster) manifest(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Push puts an image where pods can pull it, and gives its name by digest.
func (c *Cluster) Push(t *testing.T, repository string, image v1.Image) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(c.Registry+"/"+repository+"@"+digest.String(), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

// ServiceURL is where a Service answers whoever is on this machine, through kube-proxy as in the cluster. A caller's own
// cluster is reached through its API server instead, because its Service addresses need not be routed to here.
func (c *Cluster) ServiceURL(t *testing.T, namespace, service string) string {
	t.Helper()
	if c.dir == "" {
		return c.Address(t) + "/api/v1/namespaces/" + namespace + "/services/" + service + ":80/proxy"
	}
	return "http://" + c.Kubectl(t, "get", "service", service, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
}

// Address is where the API server answers without TLS, with the rights of an administrator, until the test ends.
func (c *Cluster) Address(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("kubectl", "--kubeconfig", c.Kubeconfig, "proxy", "--port=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the cleanup of what needs it
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var address string
	if _, err := fmt.Fscanf(out, "Starting to serve on %s\n", &address); err != nil {
		t.Fatalf("kubectl proxy: %v", err)
	}
	return "http://" + address
}

func kubectl(ctx context.Context, kubeconfig, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), err
}

// logs are the last complaints of each of the cluster's parts.
func (c *Cluster) logs() string {
	files, _ := filepath.Glob(filepath.Join(c.dir, "logs", "*.log"))
	if c.dir == "" || len(files) == 0 {
		return "there are no logs of the cluster itself"
	}
	text := "the last complaints of the parts of the cluster; all is in " + filepath.Join(c.dir, "logs")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		lines := complaint.FindAllString(string(data), -1)
		for _, line := range lines[max(0, len(lines)-3):] {
			text += "\n" + strings.TrimSuffix(filepath.Base(file), ".log") + ": " + line[:min(len(line), 300)]
		}
	}
	return text
}

// complaint is a line at the level error or worse, as the parts of Kubernetes, containerd and etcd write it.
var complaint = regexp.MustCompile(`(?m)^(?:[EF]\d{4} .*|.*level=(?:error|fatal).*|.* [EC] \| .*|cluster: .*)$`)
