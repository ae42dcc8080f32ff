//go:build e2e

package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RestartAPIServer kills the API server, which then starts again, and returns once it answers. Meanwhile every connection
// to it breaks or is refused. Only for a cluster from Own.
func (c *Cluster) RestartAPIServer(t *testing.T) {
	t.Helper()
	before := c.process(t, "kube-apiserver")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(limit)
	for {
		if pid, ok := c.find("kube-apiserver"); ok && pid != before {
			if out, err := kubectl(t.Context(), c.Kubeconfig, "", "get", "--raw", "/readyz"); err == nil && out == "ok" {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the API server did not come back in %s", limit)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

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
