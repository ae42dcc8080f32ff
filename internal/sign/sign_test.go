package sign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
)

const commit = "4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2"

var started = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is a built image, its record, and a registry that can be made to fail.
type world struct {
	t      *testing.T
	inputs sign.Inputs
	deps   sign.Deps
	key    *signing.Key
	digest string

	mu   sync.Mutex
	fail func(*http.Request) bool
	puts []string                                                              // what was put, in order: manifests by digest or tag
	tag  func()                                                                // is called before a fallback tag is written; nil does nothing
	slow func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) // answers in the place of serve; nil is serve
}

// onTag calls f before each time that a fallback tag is written.
func (w *world) onTag(f func()) { w.tag = f }

// publicKey is what is in the file cosign.pub.
func (w *world) publicKey() *signing.Key {
	w.t.Helper()
	public, err := signing.ParseKey("cosign.pub", w.key.PublicPEM(), nil)
	expect.NoError(w.t, err)
	return public
}

func newWorld(t *testing.T, listed bool) *world {
	t.Helper()
	w := &world{t: t}
	handler := registry.New(registry.WithReferrersSupport(listed), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.fails(r) {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if w.tag != nil && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			w.tag()
		}
		if slow := w.slowly(); slow != nil {
			slow(rw, r, handler.ServeHTTP)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)

	dir := t.TempDir()
	img, err := random.Image(64, 1)
	expect.NoError(t, err)
	path, err := layout.Write(filepath.Join(dir, "image"), empty.Index)
	expect.NoError(t, err)
	expect.NoError(t, path.AppendImage(img))
	h, err := img.Digest()
	expect.NoError(t, err)
	w.digest = h.String()
	sbom := filepath.Join(dir, "sbom.cdx.json")
	expect.NoError(t, os.WriteFile(sbom, bomOf(w.digest), 0o600))
	spdx := filepath.Join(dir, "sbom.spdx.json")
	expect.NoError(t, os.WriteFile(spdx, spdxOf(w.digest), 0o600))
	w.key, err = signing.GenerateKey()
	expect.NoError(t, err)

	r := record.New(record.Service{Name: "checkout", Owner: "team-payments"},
		record.Source{Repository: "acme/checkout", Commit: commit, Ref: "refs/heads/main"}, record.Run{}, "staging")
	w.inputs = sign.Inputs{Registry: strings.TrimPrefix(server.URL, "http://") + "/acme/checkout", Record: r, Layout: string(path), SBOM: sbom, SPDX: spdx,
		RepositoryURL: "https://github.com/acme/checkout", Version: "1.2.3"}
	w.stage(record.StageBuild, record.Passed, record.Build{Digest: w.digest, Platform: "linux/amd64", Go: "go1.26.0", Needs: []string{"pkg:golang/example.com/x@v1.0.0"},
		Materials: []record.Material{
			{URI: "pkg:golang/example.com/x@v1.0.0", Sum: "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=", Needs: []string{"pkg:golang/stdlib@1.26.0"}},
			{URI: "pkg:golang/stdlib@1.26.0"},
		}})
	sast := scanned("high")
	sast.Policy = "acme rules sha256:" + strings.Repeat("c", 64)
	w.stage(record.StageSAST, record.Passed, sast)
	w.stage(record.StageSecrets, record.Passed, scanned("low")) // as before the record named the policy
	noWait := func(context.Context, time.Duration) error { return nil }
	w.deps = sign.Deps{Images: oci.Client{Wait: noWait}, Evidence: referrers.Registry{Wait: noWait}, Signer: w.key, Wait: noWait}
	return w
}

func bomOf(digest string) []byte {
	return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"hashes":[{"alg":"SHA-256","content":"` +
		strings.TrimPrefix(digest, "sha256:") + `"}]}}}`)
}

func spdxOf(digest string) []byte {
	return []byte(`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[{"SPDXID":"SPDXRef-image","checksums":[{"algorithm":"SHA256","checksumValue":"` +
		strings.TrimPrefix(digest, "sha256:") + `"}]}],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relatedSpdxElement":"SPDXRef-image","relationshipType":"DESCRIBES"}]}`)
}

func scanned(failOn string) record.Scan {
	return record.Scan{Coverage: record.Coverage{Unit: "packages", Expected: 3, Scanned: 3}, FailOn: failOn, Commit: commit, Platform: "linux/amd64"}
}

func (w *world) stage(name string, outcome record.Outcome, evidence any) {
	w.t.Helper()
	data, err := json.Marshal(evidence)
	expect.NoError(w.t, err)
	s := record.Stage{Name: name, Outcome: outcome, StartedAt: started, DurationMS: 1500, Evidence: data,
		Tool: &record.Tool{Name: "tool of " + name, Version: "1.0.0"}}
	if outcome != record.Passed {
		s.Reason = "because of a test"
	}
	w.inputs.Record.Put(s)
}

func (w *world) fails(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil && w.fail(r) {
		return true
	}
	if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
		w.puts = append(w.puts, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}
	return false
}

// failOn makes the registry fail on the requests that match; nil mends it.
func (w *world) failOn(f func(*http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) run() (sign.Outputs, error) { return sign.Run(w.t.Context(), w.inputs, w.deps) }

// tagged gives the digest that a tag points at; empty where there is none.
func (w *world) tagged(tag string) string {
	w.t.Helper()
	ref, err := name.ParseReference(w.inputs.Registry + ":" + tag)
	expect.NoError(w.t, err)
	desc, err := remote.Head(ref)
	if err != nil {
		return ""
	}
	return desc.Digest.String()
}

// served gives the statements on the image that the key signed.
func (w *world) served() []attest.Statement {
	w.t.Helper()
	attached, err := referrers.Registry{}.Read(w.t.Context(), w.inputs.Registry+"@"+w.digest)
	expect.NoError(w.t, err)
	var list []attest.Statement
	for _, a := range attached {
		s, err := w.key.Verify(w.t.Context(), a.Bundle, w.digest)
		expect.NoError(w.t, err)
		list = append(list, s.Statement)
	}
	return list
}

var predicates = []string{"https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom", "https://spdx.dev/Document",
	"https://in-toto.io/attestation/test-result/v0.1", "https://in-toto.io/attestation/test-result/v0.1"}

func TestSigns(t *testing.T) {
	t.Parallel()
	for mode, listed := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, listed)
			out, err := w.run()
			expect.NoError(t, err)
			want := record.Sign{Reference: w.inputs.Registry + "@" + w.digest, Predicates: predicates, Signer: w.key.Fingerprint(), Tag: commit}
			if d := cmp.Diff(want, out.Evidence); d != "" {
				t.Error(d)
			}
			if out.Summary != "provenance, SBOM, scans → "+w.inputs.Registry {
				t.Errorf("summary %q", out.Summary)
			}
			if w.tagged(commit) != w.digest {
				t.Errorf("the tag points at %q", w.tagged(commit))
			}
			if got := len(w.served()); got != 6 {
				t.Errorf("%d statements are served, expected 6", got)
			}
			if w.puts[0] != w.digest || w.puts[len(w.puts)-1] != commit {
				t.Errorf("manifests were put in the order %v, expected the image first and the tag last", w.puts)
			}

			again, err := w.run()
			expect.NoError(t, err)
			if !strings.HasPrefix(again.Summary, "nothing new: ") || len(w.served()) != 6 {
				t.Errorf("a second run says %q, and %d statements are served", again.Summary, len(w.served()))
			}
		})
	}
}

// The statements in full, as a reader of the specifications expects them.
func TestStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.inputs.Record.Run = record.Run{ID: "7", Attempt: 2, URL: "https://github.com/acme/checkout/actions/runs/7/attempts/2", Event: "push", // as the runner describes it
		RepositoryID: "42", OwnerID: "9", Runner: "github-hosted", Workflow: "acme/ci/.github/workflows/deliver.yml@refs/heads/main", WorkflowSHA: strings.Repeat("ab", 20)}
	_, err := w.run()
	expect.NoError(t, err)
	got := map[string]any{}
	for _, s := range w.served() {
		key := s.PredicateType
		if s.Predicate == nil {
			got[key] = nil
			continue
		}
		var predicate map[string]any
		expect.NoError(t, json.Unmarshal(s.Predicate, &predicate))
		if key == attest.PredicateSBOM {
			delete(predicate, "metadata") // the image is a random one
		}
		if key == attest.PredicateSPDX {
			delete(predicate, "packages")
		}
		if scan, ok := predicate["idpScan"].(map[string]any); ok {
			key = scan["stage"].(string)
		}
		got[key] = predicate
	}
	var want map[string]any
	data, err := os.ReadFile(filepath.Join("testdata", "statements.json"))
	expect.NoError(t, err)
	expect.NoError(t, json.Unmarshal(data, &want))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSkippedScanIsNotAttested(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.stage(record.StageSAST, record.Skipped, nil)
	out, err := w.run()
	expect.NoError(t, err)
	if len(w.served()) != 5 || len(out.Evidence.Predicates) != 5 || !strings.Contains(out.Summary, "provenance, SBOM, secrets scan →") {
		t.Errorf("%d served, %q", len(w.served()), out.Summary)
	}
}

// A refusal and a bad input leave the registry untouched.
func TestNothingIsPushed(t *testing.T) {
	t.Parallel()
	without := func(stage string) func(*world) {
		return func(w *world) {
			kept := w.inputs.Record.Stages
			w.inputs.Record.Stages = nil
			for _, s := range kept {
				if s.Name != stage {
					w.inputs.Record.Put(s)
				}
			}
		}
	}
	outcome := func(stage string, o record.Outcome) func(*world) {
		return func(w *world) { w.stage(stage, o, scanned("low")) }
	}
	tests := map[string]struct {
		spoil func(*world)
		kind  fault.Kind
		want  string
	}{
		"sast failed":     {outcome("sast", record.Failed), fault.Failed, "sast: failed: because of a test"},
		"sast undecided":  {outcome("sast", record.Error), fault.Failed, "sast: error: because of a test"},
		"no sast":         {without("sast"), fault.Failed, "sast: not in the delivery record"},
		"secrets failed":  {outcome("secrets", record.Failed), fault.Failed, "secrets: failed"},
		"secrets undone":  {outcome("secrets", record.Error), fault.Failed, "secrets: error"},
		"secrets skipped": {outcome("secrets", record.Skipped), fault.Failed, "secrets: skipped"},
		"no secrets":      {without("secrets"), fault.Failed, "secrets: not in the delivery record"},
		"other commit":    {func(w *world) { s := scanned("low"); s.Commit = "beef"; w.stage("secrets", record.Passed, s) }, fault.Failed, "looked at commit beef"},
		"other platform":  {func(w *world) { s := scanned("high"); s.Platform = "linux/arm64"; w.stage("sast", record.Passed, s) }, fault.Failed, "linux/arm64"},
		"dirty tree":      {func(w *world) { w.inputs.Record.Source.Dirty = true }, fault.BadInput, "the working tree differs from commit"},
		"no evidence":     {func(w *world) { w.stage("secrets", record.Passed, "x") }, fault.Failed, "evidence of stage secrets"},
		"build failed":    {outcome("build", record.Failed), fault.Failed, "build is failed"},
		"no build":        {without("build"), fault.BadInput, "has no build"},
		"no registry":     {func(w *world) { w.inputs.Registry = "" }, fault.BadInput, "no registry is given"},
		"wrong registry":  {func(w *world) { w.inputs.Registry = "https://ghcr.io/x" }, fault.BadInput, "without scheme"},
		"no key":          {func(w *world) { w.deps.Signer = nil }, fault.BadInput, "no signing key"},
		"public key":      {func(w *world) { w.deps.Signer = w.publicKey() }, fault.BadInput, "cannot sign"},
		"no record":       {func(w *world) { w.inputs.Record = nil }, fault.BadInput, "no delivery record"},
		"no SBOM":         {func(w *world) { w.inputs.SBOM += ".gone" }, fault.Undetermined, "no such file"},
		"SBOM of no form": {func(w *world) { expect.NoError(w.t, os.WriteFile(w.inputs.SBOM, []byte("{}"), 0o600)) }, fault.Undetermined, "is not CycloneDX"},
		"SBOM of another image": {func(w *world) {
			expect.NoError(w.t, os.WriteFile(w.inputs.SBOM, bomOf("sha256:"+strings.Repeat("d", 64)), 0o600))
		}, fault.Undetermined, "is not of the image that was built"},
		"no SPDX":         {func(w *world) { w.inputs.SPDX += ".gone" }, fault.Undetermined, "no such file"},
		"SPDX of no form": {func(w *world) { expect.NoError(w.t, os.WriteFile(w.inputs.SPDX, []byte("{}"), 0o600)) }, fault.Undetermined, "is not SPDX 2.3"},
		"SPDX cut off":    {func(w *world) { expect.NoError(w.t, os.WriteFile(w.inputs.SPDX, []byte(`{"spdx`), 0o600)) }, fault.Undetermined, "unexpected end of JSON"},
		"SPDX of another image": {func(w *world) {
			expect.NoError(w.t, os.WriteFile(w.inputs.SPDX, spdxOf("sha256:"+strings.Repeat("d", 64)), 0o600))
		}, fault.Undetermined, "is not of the image that was built"},
		"SPDX that describes another package": {func(w *world) {
			expect.NoError(w.t, os.WriteFile(w.inputs.SPDX, bytes.Replace(spdxOf(w.digest), []byte("DESCRIBES"), []byte("CONTAINS"), 1), 0o600))
		}, fault.Undetermined, "is not of the image that was built"},
		"SBOM of no image": {func(w *world) {
			expect.NoError(w.t, os.WriteFile(w.inputs.SBOM, []byte(`{"bomFormat":"CycloneDX"}`), 0o600))
		}, fault.Undetermined, "is not of the image that was built"},
		"no layout": {func(w *world) { w.inputs.Layout += "-gone" }, fault.BadInput, "not an OCI image layout"},
		"no time of build": {func(w *world) {
			s, _ := w.inputs.Record.Stage("build")
			s.StartedAt = time.Time{}
			w.inputs.Record.Put(s)
		}, fault.Undetermined, "does not say when build ran"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			tc.spoil(w)
			out, err := w.run()
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(strings.Join(fault.Lines(err), "\n"), tc.want) {
				t.Errorf("gives %v, expected kind %v with %q", err, tc.kind, tc.want)
			}
			if len(w.puts) > 0 || out.Evidence.Tag != "" {
				t.Errorf("the registry got %v", w.puts)
			}
		})
	}
}

// The image that is pushed has to be the one that was built, else neither is signed.
func TestOtherImageInTheLayout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	other := "sha256:" + strings.Repeat("d", 64)
	w.stage(record.StageBuild, record.Passed, record.Build{Digest: other, Platform: "linux/amd64"})
	expect.NoError(t, os.WriteFile(w.inputs.SBOM, bomOf(other), 0o600))
	expect.NoError(t, os.WriteFile(w.inputs.SPDX, spdxOf(other), 0o600))
	_, err := w.run()
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "was built; nothing was pushed") {
		t.Errorf("gives %v", err)
	}
	if len(w.puts) > 0 || w.tagged(commit) != "" {
		t.Error("something was pushed or tagged")
	}
}

// Wherever the registry fails, no tag moves, the result is not known, and a second run completes the first.
func TestOutage(t *testing.T) {
	t.Parallel()
	after := func(n int, part string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			if strings.Contains(r.Method+" "+r.URL.Path, part) {
				n--
			}
			return n < 0
		}
	}
	tests := map[string]func(*http.Request) bool{
		"from the start":     func(*http.Request) bool { return true },
		"while pushing":      after(1, "/blobs/"),
		"after the push":     after(0, "/referrers/"),
		"between two pieces": after(3, "PUT /v2/acme/checkout/manifests/sha256:"),
		"before the tag":     func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/"+commit) },
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.failOn(fail)
			out, err := w.run()
			if err == nil || fault.KindOf(err) != fault.Undetermined {
				t.Fatalf("gives %v, expected undetermined", err)
			}
			w.failOn(nil)
			if w.tagged(commit) != "" || out.Evidence.Tag != "" {
				t.Error("the tag moved")
			}
			if _, err := w.run(); err != nil {
				t.Fatalf("a second run: %v", err)
			}
			if len(w.served()) != 6 || w.tagged(commit) != w.digest {
				t.Errorf("after the second run %d statements are served, the tag points at %q", len(w.served()), w.tagged(commit))
			}
		})
	}
}

// What was attached and is not served afterwards is not signed: the last writer of a fallback tag may drop others.
func TestLostEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.deps.Evidence = forgetful{referrers.Registry{}}
	_, err := w.run()
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), "https://slsa.dev/provenance/v1") {
		t.Errorf("gives %v", err)
	}
	if w.tagged(commit) != "" {
		t.Error("the tag moved")
	}
}

// forgetful serves the evidence without the provenance.
type forgetful struct{ referrers.Registry }

func (f forgetful) Read(ctx context.Context, ref string) ([]attest.Attached, error) {
	all, err := f.Registry.Read(ctx, ref)
	var kept []attest.Attached
	for _, a := range all {
		if a.Statement.PredicateType != attest.PredicateProvenance {
			kept = append(kept, a)
		}
	}
	return kept, err
}

// What cosign keeps in a tag says the same as a signature of ours that is not served, and does not stand for it.
func TestATagDoesNotStandForWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.deps.Evidence = tagging{}
	if _, err := w.run(); err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), attest.PredicateSignature) {
		t.Errorf("%v", err)
	}
	if got := w.tagged(commit); got != "" {
		t.Errorf("tagged %s", got)
	}
}

// tagging is a registry in which all that was attached is in a tag.
type tagging struct{ referrers.Registry }

func (f tagging) Read(ctx context.Context, ref string) ([]attest.Attached, error) {
	list, err := f.Registry.Read(ctx, ref)
	for i := range list {
		list[i].Tagged = true
	}
	return list, err
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	w.deps.Progress = func(what string) {
		if what == "reading it back" {
			cancel()
		}
	}
	_, err := sign.Run(ctx, w.inputs, w.deps)
	if !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("gives %v", err)
	}
	if w.tagged(commit) != "" {
		t.Error("the tag moved")
	}
}
