//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/idp/internal/tools/again"
)

// programs are those that are not built here, each with the package of Debian that has it.
var programs = map[string]string{"containerd": "containerd", "runc": "runc", "etcd": "etcd-server", "iptables": "iptables", "ip": "iproute2", "mount": "mount"}

// plugins are where Debian and everybody else put the plugins of the network.
var plugins = []string{"/usr/lib/cni", "/opt/cni/bin"}

// prepare makes sure that this machine can run a cluster, installs what is missing, and gives the folder of the plugins.
func prepare(ctx context.Context) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("a cluster of containers needs root: run this as root, or use one that runs with USE_EXISTING_CLUSTER=1 and KUBECONFIG")
	}
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return "", err
	}
	if packages := missing(); len(packages) > 0 {
		if err := install(ctx, packages); err != nil {
			return "", err
		}
		if still := missing(); len(still) > 0 {
			return "", fmt.Errorf("still missing after the installation: %s", strings.Join(still, ", "))
		}
	}
	return pluginDir(), nil
}

func pluginDir() string {
	for _, dir := range plugins {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir
		}
	}
	return ""
}

// missing are the packages to install.
func missing() []string {
	var list []string
	for program, pkg := range programs {
		if _, err := exec.LookPath(program); err != nil {
			list = append(list, pkg)
		}
	}
	if pluginDir() == "" {
		list = append(list, "containernetworking-plugins")
	}
	slices.Sort(list)
	return list
}

func install(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing, under their names in Debian: %s: install them first", strings.Join(packages, ", "))
	}
	say("installing %s", strings.Join(packages, ", "))
	// The packages would start their services, which nobody asked for; Debian's way to prevent that is this file.
	const deny = "/usr/sbin/policy-rc.d"
	// #nosec G302 G304 -- the package manager executes it
	if f, err := os.OpenFile(deny, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755); err == nil {
		defer func() { _ = os.Remove(deny) }()
		_, err = f.WriteString("#!/bin/sh\nexit 101\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, args := range [][]string{{"update"}, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)} {
		if err := again.Do(ctx, os.Stderr, func() error {
			cmd := exec.CommandContext(ctx, "apt-get", args...) // #nosec G204 -- names of packages from above
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// freeNet finds N such that nothing on this machine uses 10.N.0.0/16.
func freeNet(ctx context.Context) (int, error) {
	used, err := output(ctx, "", "ip", "-4", "route", "show", "table", "all")
	if err != nil {
		return 0, err
	}
	for n := 201; n < 250; n++ {
		if !strings.Contains(used, fmt.Sprintf(" 10.%d.", n)) && !strings.Contains("\n"+used, fmt.Sprintf("\n10.%d.", n)) {
			return n, nil
		}
	}
	return 0, errors.New("no network from 10.201.0.0/16 to 10.249.0.0/16 is free")
}

// ownGroup makes the command the leader of a process group, all of which is told to end when its context does. What is then
// left of it is killed by end.
func ownGroup(cmd *exec.Cmd) (end func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	return func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an empty group is the ordinary case
		}
	}
}

// lock waits for a file's lock; the kernel releases it when this process ends, however it does.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- callers pass fixed names
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// inUse tells whether the cluster of a folder still runs.
func inUse(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "lock")) // #nosec G304 -- callers pass the folder of a cluster
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// sweep removes what is left of clusters that were killed. Their processes ended with them.
func (o options) sweep() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range append(dirs, o.stays) {
		if inUse(dir) {
			continue
		}
		if err := remove(dir); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the folder of a cluster that has ended, and its control groups.
func remove(dir string) error {
	groups, err := groupsOf(groupName(dir))
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := removeGroup(group); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// groupName names the control groups of the cluster of a folder. Folders of two caches may be called the same.
func groupName(dir string) string {
	return fmt.Sprintf("%s%x", prefix, sha256.Sum256([]byte(dir)))[:len(prefix)+12]
}

// groupsOf are the control groups of a cluster that exist: one, or with version 1 one for each controller.
func groupsOf(name string) ([]string, error) {
	one, err := filepath.Glob(filepath.Join("/sys/fs/cgroup", name))
	if err != nil {
		return nil, err
	}
	many, err := filepath.Glob(filepath.Join("/sys/fs/cgroup/*", name))
	return append(one, many...), err
}

// makeGroups makes the groups that the kubelet wants to find.
func makeGroups(name string) error {
	parents := []string{"/sys/fs/cgroup"}
	available, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err == nil { // version 2, where a group has only the controllers that its parent hands on
		for _, controller := range strings.Fields(string(available)) {
			if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+"+controller), 0o600); err != nil {
				return fmt.Errorf("control group controller %s: %w", controller, err)
			}
		}
	} else if parents, err = filepath.Glob("/sys/fs/cgroup/*"); err != nil {
		return err
	}
	for _, parent := range parents {
		if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
			continue
		}
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) { // #nosec G301 -- as the kernel's own
			return err
		}
	}
	return nil
}

// removeGroup removes a control group with all below it, once the processes that were killed have left it.
func removeGroup(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Reverse(dirs)
	for _, dir := range dirs {
		for try := 0; ; try++ {
			err := syscall.Rmdir(dir)
			if err == nil || errors.Is(err, syscall.ENOENT) {
				break
			}
			if try == 1200 { // a minute
				return fmt.Errorf("control group %s: %w", dir, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}
