//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// leastRequests is how many each way of upgrading has to serve while it lasts: from the first pod of the new version until
// the last one of the old version is gone. On a slow machine that takes more than one upgrade.
const leastRequests = 10_000

// TestClusterLosesNoRequest upgrades the sample service by each strategy while it is asked through the address of its
// Service, all the time and by connections both new and kept. One after the other, so that each has the machine.
func TestClusterLosesNoRequest(t *testing.T) {
	c := cluster.Open(t)
	for _, strategy := range []string{"rolling", "canary", "blue-green"} {
		t.Run(strategy, func(t *testing.T) {
			a := newApp(t, c)
			a.repo = &repository{t, filepath.Join(t.TempDir(), "hello")}
			copyDir(t, a.repo.dir, inRepo("testdata", "services", "hello"))
			a.repo.git("init", "--quiet", "--initial-branch", "main")
			write(t, filepath.Join(a.repo.dir, "idp.yaml"), fmt.Sprintf("name: hello\nowner: team-hello\nscale: {min: 4}\ndeploy: {strategy: %s}\n"+
				"smoke:\n  - {get: /greet/ada, expect: {json: {$.greeting: \"hello, ada\"}}}\nenvironments:\n  staging: {namespace: %s}\n", strategy, a.ns))
			a.path().want(0, "first release")

			total, said := 0, "ok, hello"
			for round := 1; total < leastRequests; round++ {
				next := fmt.Sprintf("ok, hello %d", round)
				a.repo.change("internal/web/web.go", `text(w, "`+said+`\n")`, `text(w, "`+next+`\n")`)
				l := startLoad(t, c, a.ns, "hello")
				a.path().want(0, "replaces")
				during, answers := l.end()
				old, after := answers[said], answers[next]
				delete(answers, said)
				delete(answers, next)
				t.Logf("%d requests in the %.1fs from the first pod of the new version to the end of the last old one; %d answers of the old version, %d of the new one, failed: %v; a processor stood still for %s",
					during, l.ended.Sub(l.begun).Seconds(), old, after, answers, l.stood.Round(time.Millisecond))
				if len(answers) > 0 || old == 0 || after == 0 {
					t.Fatalf("%d answers of the old version, %d of the new one, failed: %v\n%s", old, after, answers, strings.Join(l.told, "\n"))
				}
				total, said = total+during, next
				if round == 10 && total < leastRequests {
					t.Fatalf("only %d requests in %d changes", total, round)
				}
			}
		})
	}
}

// pause is between two questions of one client. Without any, the clients leave no processor to the node that is measured.
const pause = 4 * time.Millisecond

// patience is how long an answer may take where all else is well: a machine may stand still for some seconds.
const patience = time.Minute

// dial opens a connection that ends with a reset when it is closed, which is after its answer was read. A Service that leads
// nowhere for a moment refuses none here: it leaves it unanswered, and one that the kernel tries again later would pass for
// one that was served. After 3 s it has tried again twice; how slow a machine is makes no difference, since the kernel of a
// pod answers at once, unless it remembers a connection from the same port: kube-proxy gives each a port by chance, and a
// pod that ends one in order remembers it for a minute. So fared 343 of 68,000 connections to a Service that nobody changed.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err := errors.Join(err, tcp.SetLinger(0)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err != nil || infoErr != nil {
		return nil, errors.Join(err, infoErr, conn.Close())
	}
	if info.Total_retrans > 1 {
		return nil, errors.Join(errors.New("nobody answered for 3 s"), conn.Close())
	}
	return conn, nil
}

// load asks a Service again and again, and counts what is asked while two versions have pods.
type load struct {
	t       *testing.T
	stop    chan struct{}
	wg      sync.WaitGroup
	mu      sync.Mutex
	answers map[string]int // text of an answer, or what went wrong
	told    []string       // what failed and what became of the pods, with the time
	stood   time.Duration  // how long a processor did nothing at most

	changing   atomic.Bool
	during     atomic.Int64 // asked and answered while two versions had pods
	begun      time.Time    // when the first pod of the new version was seen
	ended      time.Time    // when the last pod of the old version was seen no more
	gone, quit chan struct{}
}

// startLoad asks until it is ended, by connections both new and kept.
func startLoad(t *testing.T, c *cluster.Cluster, ns, service string) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{}), answers: map[string]int{}, gone: make(chan struct{}), quit: make(chan struct{})}
	client, err := kubernetes.Connect(kubernetes.Options{Files: []string{c.Kubeconfig}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	url := c.ServiceURL(t, ns, service)
	first := l.versions(client, ns)
	if len(first) != 1 {
		t.Fatalf("there are pods of %d versions: %v", len(first), first)
	}
	go l.watch(client, ns, first[0])
	var processors unix.CPUSet
	if err := unix.SchedGetaffinity(0, &processors); err != nil {
		t.Fatal(err)
	}
	for i, left := 0, processors.Count(); left > 0; i++ {
		if processors.IsSet(i) {
			left--
			l.wg.Go(func() { l.tick(i) })
		}
	}
	for i := range 8 {
		kept := 1 - 2*(i%2) // less than none: it is the client that closes each connection
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: kept}}
		l.wg.Go(func() { l.ask(client, url) })
	}
	return l
}

// tell notes what explains a failure.
func (l *load) tell(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := fmt.Sprintf(format, args...); len(l.told) < 100 && !slices.ContainsFunc(l.told, func(s string) bool { return strings.HasSuffix(s, text) }) {
		l.told = append(l.told, time.Now().Format("05.000 ")+text)
	}
}

// versions are the images of the pods that there are, those that are about to go among them.
func (l *load) versions(c *kubernetes.Client, ns string) (images []string) {
	pods, err := c.List(l.t.Context(), kubernetes.Query{APIVersion: "v1", Kind: "Pod", Namespace: ns})
	if err != nil {
		l.t.Error(err)
	}
	for i := range pods {
		spec, _ := pods[i].Object["spec"].(map[string]any)
		if at := pods[i].GetDeletionTimestamp(); at != nil {
			l.tell("pod %s goes, at %s at the latest", pods[i].GetName(), at.Format("05"))
		} else {
			l.tell("pod %s", pods[i].GetName())
		}
		containers, _ := spec["containers"].([]any)
		container, _ := containers[0].(map[string]any)
		images = append(images, fmt.Sprint(container["image"]))
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// watch says when a version takes the place of the old one.
func (l *load) watch(c *kubernetes.Client, ns, old string) {
	defer close(l.gone)
	for {
		select {
		case <-l.quit:
			return
		case <-time.After(200 * time.Millisecond):
		}
		now := l.versions(c, ns)
		switch {
		case l.begun.IsZero() && len(now) > 1:
			l.begun = time.Now()
			l.changing.Store(true)
		case !slices.Contains(now, old) && len(now) > 0:
			l.changing.Store(false)
			if l.ended = time.Now(); l.begun.IsZero() { // between two looks
				l.begun = l.ended
			}
			return
		}
	}
}

// tick notes how long a processor did nothing: not even what is short and seldom.
func (l *load) tick(processor int) {
	runtime.LockOSThread() // and its thread ends with it
	var only unix.CPUSet
	only.Set(processor)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		l.t.Error(err)
		return
	}
	for last := time.Now(); ; {
		select {
		case <-l.stop:
			return
		default:
		}
		short := unix.NsecToTimespec(int64(50 * time.Millisecond))
		_ = unix.Nanosleep(&short, nil) // interrupted is no matter
		now := time.Now()
		l.mu.Lock()
		l.stood = max(l.stood, now.Sub(last))
		l.mu.Unlock()
		last = now
	}
}

func (l *load) ask(client *http.Client, url string) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		during := l.changing.Load()
		answer := ask(client, url)
		l.mu.Lock()
		l.answers[answer]++
		l.mu.Unlock()
		if !strings.HasPrefix(answer, "ok") {
			l.tell("%s", answer)
		}
		if during && l.changing.Load() {
			l.during.Add(1)
		}
		time.Sleep(pause)
	}
}

// end waits until the last pod of the old version is gone, and gives how many requests there were from the first one of the
// new version until then, and what all answers were.
func (l *load) end() (during int, answers map[string]int) {
	l.t.Helper()
	select {
	case <-l.gone:
	case <-time.After(5 * time.Minute):
		close(l.quit)
		<-l.gone
		l.t.Error("the change did not come to its end")
	}
	time.Sleep(time.Second) // what comes just after it counts too
	close(l.stop)
	l.wg.Wait()
	return int(l.during.Load()), l.answers
}

func ask(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err.Error()
	case answer.StatusCode != http.StatusOK:
		return answer.Status
	}
	return strings.TrimSpace(string(body))
}
