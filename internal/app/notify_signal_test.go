//go:build linux

package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/record"
	portalsfake "github.com/org/idp/internal/testkit/portals"
)

// untilRead is a server before another one, and closes a channel when somebody has read the answer after which it is done: each answer
// is the last of its connection, which a client closes when it has all of it.
func untilRead(t *testing.T, inner http.Handler, done func() bool) (address string, read <-chan struct{}) {
	t.Helper()
	all := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		last := done()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		res := answer.Result()
		res.Close, res.ContentLength = true, int64(answer.Body.Len())
		if res.Write(conn) != nil {
			return // it was killed
		}
		_, _ = io.Copy(io.Discard, conn)
		if last {
			once.Do(func() { close(all) })
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, all
}

// TestSignalBetweenTwoPortals ends a path after Datadog was told and before Cortex was. The record says which of them was; a kill
// leaves a record that says nothing of it, and no success. `idp notify` with the same record then tells the rest, and nothing twice.
func TestSignalBetweenTwoPortals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			m, cortex, datadog := newMachine(t), portalsfake.New(t), portalsfake.New(t) // each answers one request at a time
			m.setenv("INPUT_CORTEX-TOKEN", portalsfake.CortexToken)
			m.setenv("INPUT_DATADOG-API-KEY", portalsfake.DatadogKey)
			m.setenv("INPUT_DATADOG-APP-KEY", portalsfake.DatadogApp)
			asked, over := make(chan struct{}), make(chan struct{})
			var once sync.Once
			cortex.Break("PATCH /api/v1/open-api", 1, func(_ http.ResponseWriter, r *http.Request) {
				once.Do(func() { close(asked) })
				select {
				case <-over:
				case <-r.Context().Done():
				}
			})
			t.Cleanup(func() { close(over); m.start("stop", "--out", "out").end(patience, 0) })
			address, told := untilRead(t, datadog, func() bool { return len(datadog.Deploys("datadog")) > 0 })
			portals := []string{"--cortex-url", cortex.URL, "--datadog-url", address}
			r := m.deliver(portals...)
			r.until("Cortex is asked", func() bool { return isClosed(asked) })
			r.until("Datadog is told", func() bool { return isClosed(told) })
			check(t, r.cmd.Process.Signal(sig))
			code := 3
			if sig == syscall.SIGKILL {
				code = -1
			}
			r.end(promptly, code)
			rec := m.record()
			s, _ := rec.Stage(record.StageNotify)
			if rec.Outcome != record.Error || s.Outcome != record.Error {
				t.Errorf("the record is %s, the stage %s: %s", rec.Outcome, s.Outcome, s.Reason)
			}
			var evidence record.Notify
			if sig == syscall.SIGKILL {
				if len(s.Evidence) > 0 || !strings.Contains(s.Reason, "did not end") {
					t.Errorf("after a kill the record says %s, %q", s.Evidence, s.Reason)
				}
			} else if err := json.Unmarshal(s.Evidence, &evidence); err != nil {
				t.Errorf("%s: %v", s.Evidence, err)
			} else if diff := cmp.Diff([]record.Told{{Portal: "cortex"}, {Portal: "datadog", Service: true, Deploy: true}}, evidence.Told); diff != "" {
				t.Error(diff)
			}
			m.start(append([]string{"notify", "--service", "svc", "--environment", rec.Environment, "--out", "out"}, portals...)...).end(patience, 0)
			for portal, srv := range map[string]*portalsfake.Server{"cortex": cortex, "datadog": datadog} {
				if n := len(srv.Deploys(portal)); n != 1 {
					t.Errorf("%s has %d deploys", portal, n)
				}
			}
			again, err := record.EvidenceOf[record.Notify](m.record(), record.StageNotify)
			if want := []record.Told{{Portal: "cortex", Service: true, Deploy: true}, {Portal: "datadog", Service: true, Deploy: true}}; err != nil || !cmp.Equal(again.Told, want) {
				t.Errorf("again: %+v %v", again, err)
			}
		})
	}
}
