// Package buildkit runs a real BuildKit for tests, with docker buildx before it. `make e2e-build` builds both once from the
// module in testdata/buildkit. BuildKit needs root, as its containers do.
package buildkit

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Start runs BuildKit until the test ends, and gives the environment in which `docker buildx` uses it.
func Start(t *testing.T) (environ []string) {
	t.Helper()
	programs := os.Getenv("IDP_E2E_BUILDKIT")
	if programs == "" {
		t.Fatal("IDP_E2E_BUILDKIT does not say where buildkitd and buildx are: run make e2e-build")
	}
	dir, err := os.MkdirTemp("", "idp-buildkit-") // short, as the path of a socket has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := "unix://" + filepath.Join(dir, "socket")
	daemon(t, filepath.Join(programs, "buildkitd"), "--root", filepath.Join(dir, "state"), "--addr", socket,
		"--containerd-worker=false", "--oci-worker-snapshotter=native", "--oci-worker-net=host")
	environ = docker(t, dir, filepath.Join(programs, "buildx"))
	if out, err := call(environ, "docker", "buildx", "create", "--name", "idp", "--driver", "remote", socket); err != nil {
		t.Fatalf("docker buildx create: %v\n%s", err, out)
	}
	environ = append(environ, "BUILDX_BUILDER=idp")
	for range 600 {
		var out []byte
		if out, err = call(environ, "docker", "buildx", "inspect", "--bootstrap"); err == nil {
			return environ
		}
		time.Sleep(200 * time.Millisecond)
		t.Logf("waiting for buildkitd: %s", out)
	}
	t.Fatalf("buildkitd does not answer: %v", err)
	return nil
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...) // #nosec G204 -- built by make e2e-build
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-done:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("buildkitd said:\n%s", said.String())
		}
	})
}

// docker gives buildx its place among the plug-ins of docker; where docker itself is not installed, a script stands in
// for what it does with them, which is to call them.
func docker(t *testing.T, dir, buildx string) []string {
	t.Helper()
	plugins := filepath.Join(dir, "docker", "cli-plugins")
	bin := filepath.Join(dir, "bin")
	for _, d := range []string{plugins, bin} {
		if err := os.MkdirAll(d, 0o755); err != nil { // #nosec G301 -- programs
			t.Fatal(err)
		}
	}
	if err := os.Symlink(buildx, filepath.Join(plugins, "docker-buildx")); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("docker"); err != nil {
		script := "#!/bin/sh\n[ \"$1\" = buildx ] || exit 1\nshift\nexec '" + buildx + "' \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o755); err != nil { // #nosec G306 -- it is run
			t.Fatal(err)
		}
	}
	path := bin + string(os.PathListSeparator) + os.Getenv("PATH")
	t.Setenv("PATH", path)
	return []string{"PATH=" + path, "HOME=" + dir, "DOCKER_CONFIG=" + filepath.Join(dir, "docker")}
}

func call(environ []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- of these tests
	cmd.Env = environ
	return cmd.CombinedOutput()
}
