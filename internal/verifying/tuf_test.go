package verifying

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/retry"
	"github.com/org/idp/internal/testkit/sigstorefake"
)

// repository publishes the files by The Update Framework; its timestamp expires when it is said.
func repository(t *testing.T, expires time.Time, files map[string][]byte) (served map[string][]byte, first []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tomorrow := time.Now().AddDate(0, 0, 1).UTC()
	targets, snapshot, stamp, root := metadata.Targets(tomorrow), metadata.Snapshot(tomorrow), metadata.Timestamp(expires.UTC()), metadata.Root(tomorrow)
	served = map[string][]byte{}
	for name, data := range files {
		info, err := metadata.TargetFile().FromBytes(name, data, "sha256")
		must(err)
		targets.Signed.Targets[name] = info
		served[fmt.Sprintf("/targets/%x.%s", sha256.Sum256(data), name)] = data
	}
	_, private, err := ed25519.GenerateKey(nil)
	must(err)
	key, err := metadata.KeyFromPublicKey(private.Public())
	must(err)
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		must(root.Signed.AddKey(key, role))
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	must(err)
	for path, sign := range map[string]func() ([]byte, error){
		"/1.root.json":     func() ([]byte, error) { _, err := root.Sign(signer); must(err); return root.ToBytes(false) },
		"/1.targets.json":  func() ([]byte, error) { _, err := targets.Sign(signer); must(err); return targets.ToBytes(false) },
		"/1.snapshot.json": func() ([]byte, error) { _, err := snapshot.Sign(signer); must(err); return snapshot.ToBytes(false) },
		"/timestamp.json":  func() ([]byte, error) { _, err := stamp.Sign(signer); must(err); return stamp.ToBytes(false) },
	} {
		served[path], err = sign()
		must(err)
	}
	return served, served["/1.root.json"]
}

func TestPublicByTUF(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{Rekor: 2, TSA: true})
	files := map[string][]byte{"trusted_root.json": i.TrustedRoot(), "signing_config.v0.2.json": i.SigningConfig()}
	hour := time.Now().Add(time.Hour)
	_, stranger := repository(t, hour, files)
	for name, tc := range map[string]struct {
		expires time.Time
		files   map[string][]byte
		first   []byte // nil: the repository's own
		change  func(served map[string][]byte)
		broken  http.HandlerFunc
		want    string // "": good
	}{
		"good":            {expires: hour, files: files},
		"stale":           {expires: time.Now().Add(-time.Minute), files: files, want: "expired"},
		"another's":       {expires: hour, files: files, first: stranger, want: "not enough signatures"},
		"no root":         {expires: hour, files: map[string][]byte{"signing_config.v0.2.json": i.SigningConfig()}, want: "trusted_root.json"},
		"no config":       {expires: hour, files: map[string][]byte{"trusted_root.json": i.TrustedRoot()}, want: "signing_config.v0.2.json"},
		"empty root":      {expires: hour, files: map[string][]byte{"trusted_root.json": []byte("{}"), "signing_config.v0.2.json": i.SigningConfig()}, want: "not known"},
		"swapped":         {expires: hour, files: files, change: swap, want: "trusted_root.json"},
		"down":            {files: files, broken: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, want: "answers 503"},
		"garbage":         {files: files, broken: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, want: "not known"},
		"nothing is here": {files: files, broken: http.NotFound, want: "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served, first := repository(t, tc.expires, tc.files)
			if tc.change != nil {
				tc.change(served)
			}
			if tc.first != nil {
				first = tc.first
			}
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				switch data, ok := served[r.URL.Path]; {
				case tc.broken != nil:
					tc.broken(w, r)
				case ok:
					_, _ = w.Write(data)
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			clock := hasty()
			trust, services, err := fromTUF(t.Context(), retry.NewBudget(clock), server.URL, first)
			if tc.want == "" {
				if err != nil || trust == nil || services == nil {
					t.Fatal(err)
				}
				if string(services) != string(tc.files["signing_config.v0.2.json"]) || trust.String() != PublicInstance {
					t.Errorf("%s, signing config %s", trust, services)
				}
				return
			}
			if err == nil || trust != nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, expected undetermined and %q", err, tc.want)
			}
			if n := asked.Load(); n > 30 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// swap serves other bytes than were signed.
func swap(served map[string][]byte) {
	for path, data := range served {
		if strings.HasSuffix(path, ".trusted_root.json") {
			served[path] = append([]byte(" "), data[:len(data)-1]...)
		}
	}
}

// hasty is a clock that goes on by what was to be waited, and does not wait.
func hasty() retry.Clock {
	var ahead atomic.Int64
	return retry.Clock{
		Now:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		Sleep: func(ctx context.Context, d time.Duration) error { ahead.Add(int64(d)); return ctx.Err() },
	}
}
