//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// A cluster whose program is killed must not go on running, containers least of all, and the next one must tidy up.
func TestClusterOfAKilledProgramLeavesNothing(t *testing.T) {
	cluster.Own(t) // where a cluster can be started at all
	program, tmp := filepath.Join(t.TempDir(), "cluster"), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", program, inRepo("internal", "tools", "cluster")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(command ...string) *exec.Cmd {
		cmd := exec.Command(program, append([]string{"run", "-source", inRepo("testdata", "cluster")}, command...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		return cmd
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = said.Close() }()
	cmd := run("sh", "-c", `echo $$ "$KUBECONFIG" "$IDP_E2E_CLUSTER" "$IDP_E2E_REGISTRY"; exec sleep 3600`)
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		why, _ := os.ReadFile(said.Name())
		t.Fatalf("%v\n%s", err, why)
	}
	var command int
	var kubeconfig, dir, registry string
	if _, err := fmt.Sscan(line, &command, &kubeconfig, &dir, &registry); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(command, syscall.SIGKILL) }()
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("IDP_E2E_CLUSTER", dir)
	t.Setenv("IDP_E2E_REGISTRY", registry)
	helloRuns(t, cluster.Open(t), "default")
	group := groupOf(t, dir)
	inside, link := processesWith(t, dir, group), linkOf(t, kubeconfig)
	if _, err := net.InterfaceByName(link); err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	if len(inside) < 7+2*2 { // the parts, and for each pod at least the pause and the service
		t.Fatalf("only %d processes are in the cluster: %q", len(inside), inside)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return len(stillThere(inside)) == 0 }) {
		t.Errorf("these go on: %q", stillThere(inside))
	}
	if !eventually(func() bool { _, err := net.InterfaceByName(link); return err != nil }) {
		t.Errorf("%s, the network of the cluster, is still there", link)
	}
	if out, err := run("true").CombinedOutput(); err != nil {
		t.Fatalf("the next one: %v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("after the next one: %q, %v", left, err)
	}
	if groups := groupDirs(t, group); len(groups) > 0 {
		t.Errorf("after the next one: %q", groups)
	}
}

// processesWith are all processes in the cluster of a folder: those that share the namespace of one that names the folder,
// and those of containers, which are in its control group. The value is the command line.
func processesWith(t *testing.T, dir, group string) map[string]string {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	namespace := ""
	of, lines := map[string]string{}, map[string]string{}
	for _, proc := range procs {
		of[proc], _ = os.Readlink(proc + "/ns/pid")
		line, _ := os.ReadFile(proc + "/cmdline")
		lines[proc] = strings.ReplaceAll(string(line), "\x00", " ")
		if of[proc] != own && strings.Contains(lines[proc], dir+"/") {
			namespace = of[proc]
		}
	}
	if namespace == "" {
		t.Fatalf("no process names %s", dir)
	}
	inside := map[string]string{}
	for proc, line := range lines {
		groups, _ := os.ReadFile(proc + "/cgroup")
		if of[proc] == namespace || strings.Contains(string(groups), "/"+group+"/") {
			inside[proc] = line
		}
	}
	return inside
}

// groupOf is the control group that the kubelet of a cluster was given.
func groupOf(t *testing.T, dir string) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(dir, "kubelet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(config), "\ncgroupRoot: /")
	group, _, _ := strings.Cut(after, "\n")
	if !found || group == "" {
		t.Fatalf("no cgroupRoot in:\n%s", config)
	}
	if len(groupDirs(t, group)) == 0 {
		t.Fatalf("there is no control group %s", group)
	}
	return group
}

// groupDirs are the folders of a control group: one, or with version 1 one for each controller.
func groupDirs(t *testing.T, group string) []string {
	t.Helper()
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, err := filepath.Glob(pattern + group)
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	return dirs
}

func stillThere(processes map[string]string) []string {
	var list []string
	for proc, line := range processes {
		if now, err := os.ReadFile(proc + "/cmdline"); err == nil && strings.ReplaceAll(string(now), "\x00", " ") == line {
			list = append(list, line)
		}
	}
	return list
}

// linkOf is the network interface by which this machine reaches a cluster: that of 10.N.0.0/24 is called idpN.
func linkOf(t *testing.T, kubeconfig string) string {
	t.Helper()
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "https://10.")
	number, _, found := strings.Cut(after, ".0.2:")
	if !found {
		t.Fatal("the kubeconfig does not say where the node is")
	}
	return "idp" + number
}
