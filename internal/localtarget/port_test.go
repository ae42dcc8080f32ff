//go:build unix

package localtarget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/expect"
)

// A stranger on the port answers 200, and the service has none: neither a pass, nor the release's fault.
func TestAnotherProcessOnThePort(t *testing.T) {
	t.Parallel()
	dir := place(t)
	d := deps()
	var once sync.Once
	d.Progress = func(what string) {
		if what == "waiting for /healthz" {
			once.Do(func() { occupied(t, dir) })
		}
	}
	in := inputs(dir, "a", map[string]string{"WRONG_PORT": "1"})
	in.Wait = 30 * time.Second
	_, err := Deploy(t.Context(), in, d)
	if runtime.GOOS != "linux" { // only there the kernel tells whose port it is
		return
	}
	if fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "was taken by another process; nothing is live") {
		t.Errorf("got %v", err)
	}
	wantAlive(t, dir)
}

// A port that was free is taken before the service has it, as by another deploy on this machine: the service is started again on
// another one.
func TestPortIsTakenBeforeTheService(t *testing.T) {
	t.Parallel()
	dir, free := place(t), filepath.Join(t.TempDir(), "go")
	d, taken := deps(), ""
	d.Pull = func(context.Context, string) (Image, error) {
		return Image{Entrypoint: []string{"/start"}, Unpack: func(_ context.Context, root string) error {
			script := fmt.Sprintf("#!/bin/sh\nwhile [ ! -e '%s' ]; do /bin/sleep 0.05; done\nexec '%s'\n", free, server)
			expect.Program(t, filepath.Join(root, "start"), script)
			return nil
		}}, nil
	}
	d.Progress = func(what string) {
		if what != "waiting for /healthz" || taken != "" {
			return
		}
		taken = occupied(t, dir)
		if err := os.WriteFile(free, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	out, err := Deploy(t.Context(), inputs(dir, "a", nil), d)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if taken == "" || strings.HasSuffix(out.Evidence.URL, taken) || version(t, out.Evidence.URL) != commit("a") {
		t.Errorf("%s answers, and %s was taken", out.Evidence.URL, taken)
	}
}

// occupied listens on the port that the only release was told to, as a service that answers 200 to everything.
func occupied(t *testing.T, dir string) (port string) {
	t.Helper()
	orders, _ := filepath.Glob(filepath.Join(dir, "releases", "*", "launch.json"))
	var order struct{ Port int }
	data, err := os.ReadFile(strings.Join(orders, ""))
	if err = errors.Join(err, json.Unmarshal(data, &order)); err != nil {
		t.Error(err)
	}
	port = fmt.Sprintf(":%d", order.Port)
	l, err := net.Listen("tcp", "127.0.0.1"+port)
	if err != nil {
		t.Error(err)
		return port
	}
	stranger := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	t.Cleanup(func() { _ = stranger.Close() })
	go func() { _ = stranger.Serve(l) }()
	return port
}

// A machine that stands still for longer than a live release has for its answer is no reason to replace it.
func TestStandstillReplacesNothing(t *testing.T) {
	t.Parallel()
	dir := place(t)
	deploy(t, inputs(dir, "a", nil))
	d := deps()
	d.Client = &http.Client{Transport: &frozen{}}
	out, err := Deploy(t.Context(), inputs(dir, "a", nil), d)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	wantSummary(t, out, "already live, nothing changed")
}

// frozen stands still for six seconds before its first request.
type frozen struct{ once sync.Once }

func (f *frozen) RoundTrip(r *http.Request) (*http.Response, error) {
	f.once.Do(func() { time.Sleep(6 * time.Second) })
	return http.DefaultTransport.RoundTrip(r)
}

// standing deploys version b in a process of its own, which stands still before it looks for the first time, until it is woken.
func standing(dir, binary string) {
	d := deps()
	d.Pull = func(context.Context, string) (Image, error) { return image(binary), nil }
	var once sync.Once
	d.Progress = func(what string) {
		if what == "waiting for /healthz" {
			once.Do(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) })
		}
	}
	in := inputs(dir, "b", nil)
	in.Wait = 3 * time.Second
	out, err := Deploy(context.Background(), in, d)
	fmt.Println(out.Summary, err)
}

// A machine that stands still for as long as a release has to become healthy has not seen that it did not.
func TestStandstillFailsNoRelease(t *testing.T) {
	t.Parallel()
	dir := place(t)
	deploy(t, inputs(dir, "a", nil))
	var said bytes.Buffer
	cmd := exec.Command(program, "stand", dir, server)
	cmd.Stdout = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	still := func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(cmd.Process.Pid)).Output()
		return err != nil || state[0] == 'T'
	}
	for !still() {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(3 * time.Second)
	if err := errors.Join(cmd.Process.Signal(syscall.SIGCONT), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said.String(), "bbbb…bb replaces aaaa…aa") {
		t.Errorf("it says %s", said.String())
	}
}
