//go:build e2e

package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Until waits for what is about to be so, and says what kept it from being so when it never is.
func Until(t *testing.T, is func() error) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %s: %v", limit, err)
		}
	}
}

// Refuses waits until the cluster refuses to create an object, and says so in these words: quotas, policies, labels of a
// namespace and webhooks are in force a moment after they were made.
func (c *Cluster) Refuses(t *testing.T, namespace, manifest, words string) {
	t.Helper()
	Until(t, func() error {
		out, err := kubectl(t.Context(), c.Kubeconfig, manifest, "create", "-n", namespace, "--dry-run=server", "-f", "-")
		if err != nil && strings.Contains(err.Error(), words) {
			return nil
		}
		return errors.Join(fmt.Errorf("the cluster does not say %q: %s", words, out), err)
	})
}

// Quota makes one of pods, and waits until it is in force.
func (c *Cluster) Quota(t *testing.T, namespace, name string, pods int) {
	t.Helper()
	// None at first: that it refuses a pod shows that it is in force.
	c.Kubectl(t, "create", "quota", name, "-n", namespace, "--hard=pods=0")
	c.Refuses(t, namespace, Pod, "exceeded quota: "+name)
	if pods == 0 {
		return
	}
	c.Kubectl(t, "patch", "quota", name, "-n", namespace, "--patch", fmt.Sprintf(`{"spec":{"hard":{"pods":"%d"}}}`, pods))
	Until(t, func() error {
		_, err := kubectl(t.Context(), c.Kubeconfig, Pod, "create", "-n", namespace, "--dry-run=server", "-f", "-")
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("limited: pods=%d", pods)) {
			return err
		}
		return nil
	})
}

// Pod is one that asks for nothing, to see whether a namespace takes it.
const Pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: probe}\nspec: {containers: [{name: probe, image: probe}]}\n"

// Restrict has a namespace take only pods of a level of the Pod Security Standards, and waits until that is in force.
func (c *Cluster) Restrict(t *testing.T, namespace, level string) {
	t.Helper()
	c.Kubectl(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce="+level)
	c.Refuses(t, namespace, strings.Replace(Pod, "containers:", "hostNetwork: true, containers:", 1), "violates PodSecurity")
}

// May waits until an account may do something, as `kubectl auth can-i` has it: roles are in force a moment after they were made.
func (c *Cluster) May(t *testing.T, kubeconfig string, what ...string) {
	t.Helper()
	Until(t, func() error {
		out, err := kubectl(t.Context(), kubeconfig, "", append([]string{"auth", "can-i"}, what...)...)
		if err == nil && strings.HasPrefix(out, "yes") {
			return nil
		}
		return errors.Join(fmt.Errorf("the account may not %s: %s", strings.Join(what, " "), out), err)
	})
}
