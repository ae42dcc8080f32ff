package again

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/idp/internal/testkit/expect"
)

var errDown = errors.New("503 Service Unavailable")

func TestDo(t *testing.T) {
	for name, c := range map[string]struct {
		failures, times int
		took            time.Duration
		want            error
	}{
		"at once":   {0, 1, 0, nil},
		"after one": {1, 2, time.Second, nil},
		"at last":   {3, 4, 41 * time.Second, nil},
		"never":     {9, 4, 41 * time.Second, errDown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, times := time.Now(), 0
				var said strings.Builder
				err := Do(t.Context(), &said, func() error {
					if times++; times <= c.failures {
						return errDown
					}
					return nil
				})
				if !errors.Is(err, c.want) || times != c.times || time.Since(begun) != c.took || strings.Count(said.String(), "503 Service Unavailable\nonce more in ") != c.times-1 {
					t.Errorf("%d times in %s: %v\n%s", times, time.Since(begun), err, said.String())
				}
			})
		})
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		times := 0
		fails := func() error { times++; return errDown }
		for _, when := range []time.Duration{5 * time.Second, 0} { // in the second pause, and before anything
			time.AfterFunc(when, cancel)
			if err := Do(ctx, io.Discard, fails); !errors.Is(err, errDown) || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if times != 2+1 {
			t.Errorf("%d times", times)
		}
	})
}

// unsteady is a module proxy with one module, which fails the first time that each of its files is asked for.
func unsteady(t *testing.T, fail http.HandlerFunc) string {
	t.Helper()
	files := map[string]string{"/example.com/m/@v/v1.0.0.info": `{"Version": "v1.0.0"}`, "/example.com/m/@v/v1.0.0.mod": "module example.com/m\n"}
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, before := asked.LoadOrStore(r.URL.Path, true); !before {
			fail(w, r)
			return
		}
		_, _ = io.WriteString(w, files[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The script does with commands what Do does; it is held by the command that needs it most.
func TestScript(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join("..", "..", "..", ".ci", "again"))
	expect.NoError(t, err)
	for name, fail := range map[string]http.HandlerFunc{
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(args ...string) (string, error) {
				dir := t.TempDir()
				cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GOMODCACHE="+filepath.Join(dir, "cache"), "GOPROXY="+unsteady(t, fail), "GOFLAGS=-modcacherw", "GONOSUMDB=*", "GOTOOLCHAIN=local")
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			list := []string{"go", "list", "-m", "example.com/m@v1.0.0"}
			if out, err := run(list...); err == nil {
				t.Fatalf("go asks again of its own accord, so the script is needless:\n%s", out)
			}
			if out, err := run(append([]string{script}, list...)...); err != nil || !strings.HasSuffix(out, "example.com/m v1.0.0\n") || !strings.Contains(out, "once more in 1s") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
