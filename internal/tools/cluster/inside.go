//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// What the outside hands over, as numbers of open files.
const (
	registryFD = 3 // a listener on the machine's loopback interface
	lifelineFD = 4 // a pipe: a byte says that the network is there, its end that the outside is gone
)

// inside is the first process in the namespaces of a cluster: it prepares them, starts the parts and starts again what
// ends. When it ends, the kernel kills all that runs in them.
func inside(args []string) error {
	var l layout
	if err := json.Unmarshal([]byte(args[0]), &l); err != nil {
		return err
	}
	syscall.CloseOnExec(registryFD)
	syscall.CloseOnExec(lifelineFD)
	lifeline := os.NewFile(lifelineFD, "lifeline")
	if err := mounts(l); err != nil {
		return err
	}
	if _, err := io.ReadFull(lifeline, make([]byte, 1)); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(0)
	}()
	if err := network(l); err != nil {
		return err
	}
	if err := serve(l); err != nil {
		return err
	}
	if err := answerNames(); err != nil {
		return err
	}
	var err error
	if l.Pause, err = pushPause(l); err != nil {
		return err
	}
	if err := l.configuration(); err != nil {
		return err
	}
	return supervise(l)
}

// mounts gives the cluster a file system in which nobody has run Kubernetes before.
func mounts(l layout) error {
	steps := [][]string{
		{"mount", "--make-rslave", "/"},
		{"mount", "--make-rshared", "/"}, // the kubelet's mounts have to reach containers
		{"mount", "-t", "proc", "proc", "/proc"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/lib"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/log"},
	}
	// The kubelet sets these for the whole machine, unless it finds them as it wants them.
	for name, value := range map[string]string{"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10",
		"kernel/panic_on_oops": "1", "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000"} {
		file := l.path("sysctl", strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			return err
		}
		steps = append(steps, []string{"mount", "--bind", file, "/proc/sys/" + name})
	}
	if err := all(steps); err != nil {
		return err
	}
	if _, err := os.Stat("/etc/resolv.conf"); err != nil {
		return nil // a link into /run, which is empty now: then programs ask 127.0.0.1
	}
	file := l.path("node-resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+nameServer+"\n"), 0o644); err != nil { // #nosec G306 -- as the one of the machine
		return err
	}
	return all([][]string{{"mount", "--bind", file, "/etc/resolv.conf"}})
}

// nameServer is the node's own.
const nameServer = "127.0.0.1"

// answerNames is the name server of the node. It knows no name, and says so at once: a node of a real cluster has one that
// answers, while the name server of the machine may be out of reach from in here, so that every question takes 10 s.
func answerNames() error {
	conn, err := net.ListenPacket("udp", nameServer+":53")
	if err != nil {
		return err
	}
	go answer(conn)
	return nil
}

func answer(conn net.PacketConn) {
	packet := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if text := noSuchName(packet[:n]); text != nil {
			_, _ = conn.WriteTo(text, from) // who gets no answer asks again
		}
	}
}

// noSuchName answers a question of the DNS (RFC 1035, 4.1) with NXDOMAIN; nil where it is none.
func noSuchName(query []byte) []byte {
	const header, ofType = 12, 4 // bytes, of the header and of type and class
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 1 + ofType
	if end > len(query) {
		return nil
	}
	answer := bytes.Clone(query[:end])
	answer[2] |= 0x80                                      // a response
	answer[3] = 0x83                                       // recursion is available; there is no such name
	copy(answer[4:header], []byte{0, 1, 0, 0, 0, 0, 0, 0}) // one question, and nothing else
	return answer
}

func network(l layout) error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		return err
	}
	return all([][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "address", "add", l.node() + "/24", "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", "default", "via", l.host()},
	})
}

func all(steps [][]string) error {
	for _, step := range steps {
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil { // #nosec G204 -- fixed above
			return fmt.Errorf("%s: %w: %s", strings.Join(step, " "), err, out)
		}
	}
	return nil
}

// serve starts the registry under one name that holds for the machine and for the node, because plain HTTP is for
// loopback only.
func serve(l layout) error {
	here, err := net.Listen("tcp", l.registry())
	if err != nil {
		return err
	}
	there, err := net.FileListener(os.NewFile(registryFD, "registry"))
	if err != nil {
		return err
	}
	silent := log.New(io.Discard, "", 0)
	server := &http.Server{
		Handler:           registry.New(registry.WithReferrersSupport(true), registry.Logger(silent)),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          silent,
	}
	for _, listener := range []net.Listener{here, there} {
		go func() { _ = server.Serve(listener) }() // one that fails shows as a refused connection
	}
	return nil
}

// pushPause makes the image of the sandbox of every pod.
func pushPause(l layout) (string, error) {
	program, err := os.ReadFile(filepath.Join(l.Bin, "pause"))
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return "", err
	}
	if _, err := w.Write(program); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	read, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	image, err := mutate.AppendLayers(empty.Image, read)
	if err != nil {
		return "", err
	}
	image, err = mutate.ConfigFile(image, configure(image))
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	ref, err := name.NewDigest(l.registry() + "/pause@" + digest.String())
	if err != nil {
		return "", err
	}
	return ref.String(), remote.Write(ref, image)
}

// supervisor starts the parts, and again when they end, as a service manager does.
type supervisor struct {
	layout
	mu      sync.Mutex
	running map[int]part
}

// restartDelay keeps a part that cannot start from using all of the processor.
const restartDelay = time.Second

func supervise(l layout) error {
	s := &supervisor{layout: l, running: map[int]part{}}
	for _, p := range l.parts() {
		go s.start(p)
	}
	// Orphans are handed to this process, so it waits for whatever ends.
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil { // no child yet, or a signal
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		p, ours := s.running[pid]
		delete(s.running, pid)
		s.mu.Unlock()
		if ours {
			say("%s ended: exit code %d, signal %d", filepath.Base(p.args[0]), status.ExitStatus(), status.Signal())
			go func() {
				time.Sleep(restartDelay)
				s.start(p)
			}()
		}
	}
}

func (s *supervisor) start(p part) {
	for p.after != "" {
		if c, err := net.DialTimeout("tcp", p.after, time.Second); err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for err := s.fork(p); err != nil; err = s.fork(p) { // a machine may have no room for a moment
		say("%s does not start: %v", p.args[0], err)
		time.Sleep(restartDelay)
	}
}

// fork does not use os/exec, which would wait for the process itself.
func (s *supervisor) fork(p part) error {
	program, err := exec.LookPath(p.args[0])
	if err != nil {
		return err
	}
	out, err := os.OpenFile(s.path("logs", filepath.Base(program)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec(program, p.args, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: []uintptr{os.Stdin.Fd(), out.Fd(), out.Fd()}})
	if err == nil {
		s.running[pid] = p
	}
	return err
}

func configure(image v1.Image) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/pause"}
	config.Config.User = "65535:65535"
	return config
}
