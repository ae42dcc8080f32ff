//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startLimit is far above the ten seconds that a start takes, for machines with slow moments.
const startLimit = 5 * time.Minute

// cluster is one that runs.
type cluster struct {
	layout
	unlock   func() // the folder is locked as long as the cluster is in use
	first    *exec.Cmd
	lifeline *os.File
	ended    chan struct{} // closed when the first process inside has ended
}

// start starts a cluster in a folder; in a new one where dir is empty.
func (o options) start(ctx context.Context, dir string) (_ *cluster, err error) {
	plugins, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	bin, err := binaries(ctx, o.cache, o.source)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	c := &cluster{layout: layout{Bin: bin, CNI: plugins}, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, c.tails())
			err = errors.Join(err, c.stop())
		}
	}()
	if err := o.claim(ctx, c, dir); err != nil {
		return nil, err
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	say("ready in %.1fs", time.Since(begun).Seconds())
	return c, nil
}

// claim takes what only one cluster can have, a folder and a network, and starts the first process inside.
func (o options) claim(ctx context.Context, c *cluster, dir string) error {
	unlock, err := lock(filepath.Join(o.cache, "cluster.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := o.sweep(); err != nil {
		return err
	}
	if dir == "" {
		dir, err = os.MkdirTemp("", prefix)
	} else {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return err
	}
	c.Dir = dir
	if c.unlock, err = lock(c.path("lock")); err != nil {
		return err
	}
	if c.Net, err = freeNet(ctx); err != nil {
		return err
	}
	return c.begin(ctx)
}

func (c *cluster) begin(ctx context.Context) error {
	for _, dir := range []string{"logs", "sysctl"} {
		if err := os.Mkdir(c.path(dir), 0o700); err != nil {
			return err
		}
	}
	if err := makeGroups(groupName(c.Dir)); err != nil {
		return err
	}
	registry, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()
	c.Registry = registry.Addr().(*net.TCPAddr).Port
	if err := c.credentials(); err != nil {
		return err
	}
	if err := c.spawn(registry.(*net.TCPListener)); err != nil {
		return err
	}
	return c.cable(ctx)
}

// spawn starts the first process in new namespaces.
func (c *cluster) spawn(registry *net.TCPListener) error {
	socket, err := registry.File()
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	plan, err := json.Marshal(c.layout)
	if err != nil {
		return err
	}
	out, err := os.Create(c.path("logs", "cluster.log"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(self, "inside", string(plan)) // #nosec G204 -- this program itself
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = "/", out, out, []*os.File{socket, read}
	// A session of its own, so that the terminal's Ctrl-C reaches only who decides in which order things end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("new namespaces: %w", err)
	}
	c.first, c.lifeline = cmd, write
	go func() {
		_ = cmd.Wait()
		close(c.ended)
	}()
	return nil
}

// cable joins the network of the cluster to the machine's, and says so inside.
func (c *cluster) cable(ctx context.Context) error {
	link := fmt.Sprintf("idp%d", c.Net)
	for _, args := range [][]string{
		{"link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(c.first.Process.Pid)},
		{"address", "add", c.host() + "/24", "dev", link},
		{"link", "set", link, "up"},
		{"route", "add", c.pods(), "via", c.node()},
		{"route", "add", c.services(), "via", c.node()},
	} {
		if _, err := output(ctx, "", "ip", args...); err != nil {
			return err
		}
	}
	_, err := c.lifeline.Write([]byte{1})
	return err
}

// ready waits until a pod can be started.
func (c *cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, step := range []struct{ want, query string }{
		{"ok", "get --raw /readyz"},
		{"True", `get node ` + nodeName + ` -o jsonpath={.status.conditions[?(@.type=="Ready")].status}`},
		{"default", "get serviceaccount default -n default -o jsonpath={.metadata.name}"},
		{"kubernetes", "get endpoints kubernetes -n default -o jsonpath={.metadata.name}"},
	} {
		args := append([]string{"--kubeconfig", c.kubeconfig("admin"), "--request-timeout=30s"}, strings.Fields(step.query)...)
		for got := ""; got != step.want; {
			var err error
			got, err = output(ctx, "", filepath.Join(c.Bin, "kubectl"), args...)
			select {
			case <-ctx.Done():
				return fmt.Errorf("the cluster is not ready: %w: kubectl %s: %q, %w", ctx.Err(), step.query, got, err)
			case <-c.ended:
				return errors.New("the cluster ended while it started")
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// environ is what a command finds the cluster by.
func (c *cluster) environ() []string {
	return []string{
		"KUBECONFIG=" + c.kubeconfig("admin"),
		"IDP_E2E_CLUSTER=" + c.Dir,
		"IDP_E2E_REGISTRY=" + c.registry(),
		"PATH=" + c.Bin + string(filepath.ListSeparator) + os.Getenv("PATH"), // for kubectl
	}
}

// stop ends all of the cluster and removes what the kernel does not. It does so for one that did not come to run, too.
func (c *cluster) stop() error {
	if c.first != nil {
		_ = c.lifeline.Close()
		_ = c.first.Process.Kill() // the kernel then kills everything else in there
		<-c.ended
	}
	if c.Dir == "" {
		return nil
	}
	err := remove(c.Dir)
	if c.unlock != nil {
		c.unlock()
	}
	return err
}

// tails are the ends of the logs, for when a start failed.
func (c *cluster) tails() string {
	files, _ := filepath.Glob(c.path("logs", "*.log"))
	var text strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file) // #nosec G304 -- found above
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		_, _ = fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(file), strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return text.String()
}
