//go:build e2e

package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// RestartAPIServer kills the API server, which then starts again, and returns once it answers and pods run again.
// Meanwhile every connection to it breaks or is refused. Only for a cluster from Own.
func (c *Cluster) RestartAPIServer(t *testing.T) {
	t.Helper()
	c.KillAPIServer(t)()
}

// KillAPIServer is the first half of RestartAPIServer, and gives the other one: what waits.
//
// The scheduler and the controllers are started again, too. Left alone they ask an API server that was away only after up to
// a minute; in a cluster with several of them they end when they lose their lease, and others take over at once.
func (c *Cluster) KillAPIServer(t *testing.T) (wait func()) {
	t.Helper()
	before := c.process(t, "kube-apiserver")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		Until(t, func() error {
			if pid, ok := c.find("kube-apiserver"); !ok || pid == before {
				return errors.New("the API server does not run again")
			}
			_, err := kubectl(t.Context(), c.Kubeconfig, "", "get", "--raw", "/readyz")
			return err
		})
		for _, program := range []string{"kube-controller-manager", "kube-scheduler"} {
			if pid, ok := c.find(program); ok { // otherwise it starts again already
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
					t.Fatal(err)
				}
			}
		}
		c.working(t)
	}
}

// working waits until the controllers, the scheduler and the node work: a pod runs. The node, too, asks an API server that was
// away only after a while, and starting it again would make its pods unready.
func (c *Cluster) working(t *testing.T) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(c.dir, "containerd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	pause := pauseImage.FindSubmatch(config)
	if pause == nil {
		t.Fatal("containerd.toml names no image that does nothing")
	}
	name := strings.TrimPrefix(c.Kubectl(t, "create", "-o", "name", "-f", c.manifest(t, "apiVersion: v1\nkind: Namespace\nmetadata: {generateName: idp-probe-}\n")), "namespace/")
	c.populated(t, name)
	c.Kubectl(t, "run", "probe", "-n", name, "--image="+string(pause[1]))
	c.Kubectl(t, "wait", "--for=condition=Ready", "pod/probe", "-n", name, "--timeout="+limit.String())
	c.Kubectl(t, "delete", "namespace", name, "--wait=false")
}

var pauseImage = regexp.MustCompile(`sandbox_image = "([^"]+)"`)

func (c *Cluster) process(t *testing.T, program string) int {
	t.Helper()
	pid, ok := c.find(program)
	if !ok {
		t.Fatalf("%s does not run", program)
	}
	return pid
}

// find gives the process of a part of this cluster, since others may run on the machine.
func (c *Cluster) find(program string) (int, bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		first, rest, _ := bytes.Cut(line, []byte{0})
		if filepath.Base(string(first)) == program && strings.Contains(string(rest), c.dir+"/") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid, err == nil
		}
	}
	return 0, false
}
