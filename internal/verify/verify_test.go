package verify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/verify"
)

const (
	commit = "4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2"
	hour   = time.Hour
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is one image in a registry and who may sign it.
type world struct {
	t           *testing.T
	server      *httptest.Server
	ref, digest string
	key         *signing.Key
	inputs      verify.Inputs
	client      referrers.Registry
}

func newWorld(t *testing.T, referrers bool) *world {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/acme/checkout"
	img, err := random.Image(64, 1)
	expect.NoError(t, err)
	tag, err := name.ParseReference(repo + ":base")
	expect.NoError(t, err)
	expect.NoError(t, remote.Write(tag, img))
	h, err := img.Digest()
	expect.NoError(t, err)
	key, err := signing.GenerateKey()
	expect.NoError(t, err)
	w := &world{t: t, server: server, ref: repo + "@" + h.String(), digest: h.String(), key: key}
	w.client.Wait = func(context.Context, time.Duration) error { return nil }
	w.inputs = verify.Inputs{Reference: w.ref, Environment: "staging", Policy: "default", PolicyDigest: "sha256:" + strings.Repeat("c", 64),
		Rules: policy.Rules{Signer: policy.Signer{Key: "run"}, Require: []string{"provenance", "sbom", "sast", "secrets"},
			SAST: policy.Gate{FailOn: "high"}, Secrets: policy.Gate{FailOn: "low"}, EvidenceMaxAge: "24h"},
		Signer: key, Repository: "acme/checkout", Commit: commit}
	return w
}

// piece is one statement to attach; the zero values of by and about are the world's own.
type piece struct {
	by        *signing.Key
	about     string
	kind      string
	predicate any
}

func (w *world) bundle(p piece) []byte {
	w.t.Helper()
	if p.by == nil {
		p.by = w.key
	}
	if p.about == "" {
		p.about = w.digest
	}
	return signed.Bundle(w.t, p.by, p.about, p.kind, p.predicate)
}

func (w *world) attach(pieces ...piece) {
	w.t.Helper()
	for _, p := range pieces {
		w.put(w.bundle(p))
	}
}

// put attaches any bytes, as someone with write access to the registry can.
func (w *world) put(layer []byte) {
	w.t.Helper()
	subject, err := name.NewDigest(w.ref)
	expect.NoError(w.t, err)
	desc, err := remote.Head(subject)
	expect.NoError(w.t, err)
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, "application/vnd.oci.empty.v1+json"), types.OCIManifestSchema1)
	img, err = mutate.AppendLayers(img, static.NewLayer(layer, attest.BundleType))
	expect.NoError(w.t, err)
	img = mutate.Subject(img, *desc).(v1.Image)
	h, err := img.Digest()
	expect.NoError(w.t, err)
	expect.NoError(w.t, remote.Write(subject.Context().Digest(h.String()), img))
}

func (w *world) run() (verify.Outputs, error) {
	w.t.Helper()
	return verify.Run(w.t.Context(), w.inputs, verify.Deps{Evidence: w.client, Now: func() time.Time { return now }})
}

func signature() piece { return piece{kind: attest.PredicateSignature} }

func sbom() piece {
	return bom(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []any{
		map[string]any{"type": "library", "name": "a", "purl": "pkg:golang/example.com/a@v1.0.0"}, map[string]any{"type": "library", "name": "b", "purl": "pkg:golang/example.com/b@v1.0.0"}}})
}

func bom(doc any) piece { return piece{kind: attest.PredicateSBOM, predicate: doc} }

func provenance(change func(*attest.Provenance)) piece {
	p := attest.Provenance{
		BuildDefinition: attest.BuildDefinition{BuildType: attest.BuildType,
			ExternalParameters: attest.ExternalParameters{Source: attest.Source{Repository: "acme/checkout", Commit: commit}}},
		RunDetails: attest.RunDetails{Metadata: attest.BuildMetadata{StartedOn: now.Add(-2 * hour), FinishedOn: now.Add(-2 * hour)}},
	}
	if change != nil {
		change(&p)
	}
	return piece{kind: attest.PredicateProvenance, predicate: p}
}

func scan(stage string, change func(*attest.TestResult)) piece {
	r := attest.TestResult{Result: attest.ResultPassed, PassedTests: []string{stage}, Configuration: []attest.Resource{{Name: "default"}},
		Scan: &attest.Scan{Stage: stage, Tool: record.Tool{Name: "scanner of " + stage, Version: "1"}, FinishedOn: now.Add(-hour),
			Scan: record.Scan{FailOn: "low", Commit: commit, Coverage: record.Coverage{Unit: "packages", Expected: 3, Scanned: 3}}}}
	if change != nil {
		change(&r)
	}
	return piece{kind: attest.PredicateTestResult, predicate: r}
}

func whole() []piece {
	return []piece{signature(), provenance(nil), sbom(), scan("sast", nil), scan("secrets", nil)}
}

// without leaves one piece of the whole out, by its place, and adds others.
func without(i int, others ...piece) []piece {
	all := whole()
	return append(append(all[:i:i], all[i+1:]...), others...)
}

func TestPasses(t *testing.T) {
	t.Parallel()
	for mode, referrers := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, referrers)
			w.attach(whole()...)
			out, err := w.run()
			expect.NoError(t, err)
			if out.Summary != "policy default/staging: 6 of 6 clauses" {
				t.Errorf("summary %q", out.Summary)
			}
			want := record.Verify{Reference: w.ref, Policy: "default sha256:" + strings.Repeat("c", 64), Environment: "staging", Clauses: []record.Clause{
				{Name: "signature", Met: true, Reason: "signed by " + w.key.Fingerprint()},
				{Name: "provenance", Met: true, Reason: "built from acme/checkout at 4f1c2ab4f1c2"},
				{Name: "sbom", Met: true, Reason: "CycloneDX 1.6, 2 components"},
				{Name: "sast", Met: true, Reason: "scanner of sast passed at fail-on low, 1h0m0s ago"},
				{Name: "secrets", Met: true, Reason: "scanner of secrets passed at fail-on low, 1h0m0s ago"},
				{Name: "age", Met: true, Reason: "the oldest evidence is 2h0m0s old"},
			}}
			if d := cmp.Diff(want, out.Evidence); d != "" {
				t.Error(d)
			}
		})
	}
}

// Each case spoils one thing and names the clauses that refuse it, with a part of the reason.
func TestRefuses(t *testing.T) {
	t.Parallel()
	stranger, err := signing.GenerateKey()
	expect.NoError(t, err)
	other := "sha256:" + strings.Repeat("d", 64)
	byStranger := func(p piece) piece { p.by = stranger; return p }
	tests := map[string]struct {
		pieces []piece
		change func(*verify.Inputs)
		want   map[string]string // of the refused clauses
	}{
		"unsigned": {pieces: nil, want: map[string]string{"signature": "nothing is attached", "provenance": "nothing is attached",
			"sbom": "nothing is attached", "sast": "nothing is attached", "secrets": "nothing is attached", "age": "no evidence"}},
		"no image signature": {pieces: without(0), want: map[string]string{"signature": "no image signature"}},
		"signed by another":  {pieces: without(0, byStranger(signature())), want: map[string]string{"signature": "not signed by"}},
		"all by another": {pieces: []piece{byStranger(signature()), byStranger(provenance(nil)), byStranger(sbom()), byStranger(scan("sast", nil)), byStranger(scan("secrets", nil))},
			want: map[string]string{"signature": "not signed by", "provenance": "not signed by", "sbom": "not signed by", "sast": "not signed by",
				"secrets": "not signed by", "age": "no evidence"}},
		"signature of another image":  {pieces: without(0, piece{kind: attest.PredicateSignature, about: other}), want: map[string]string{"signature": "is about " + other}},
		"provenance of another image": {pieces: without(1, piece{kind: attest.PredicateProvenance, about: other}), want: map[string]string{"provenance": "is about " + other}},
		"no provenance":               {pieces: without(1), want: map[string]string{"provenance": "no provenance"}},
		"no SBOM":                     {pieces: without(2), want: map[string]string{"sbom": "no SBOM"}},

		"SBOM of another format":     {pieces: without(2, bom(map[string]any{"spdxVersion": "SPDX-2.3", "packages": []any{map[string]any{"name": "a"}}})), want: map[string]string{"sbom": "SPDX 2.3, which is not what its type says"}},
		"SBOM of a later SPDX":       {pieces: without(2, piece{kind: attest.PredicateSPDX, predicate: map[string]any{"spdxVersion": "SPDX-3.0"}}), want: map[string]string{"sbom": "SPDX-3.0, which this program cannot read"}},
		"SBOM that is none":          {pieces: without(2, bom(map[string]any{"components": "x"})), want: map[string]string{"sbom": "neither CycloneDX nor SPDX"}},
		"SBOM of no form":            {pieces: without(2, bom(map[string]any{"bomFormat": "CycloneDX", "components": "x"})), want: map[string]string{"sbom": "cannot be read"}},
		"SBOM of nothing":            {pieces: without(2, bom(map[string]any{"bomFormat": "CycloneDX", "components": []any{}})), want: map[string]string{"sbom": "lists nothing"}},
		"a second SBOM is none":      {pieces: append(whole(), bom(map[string]any{})), want: map[string]string{"sbom": "neither CycloneDX nor SPDX"}},
		"no sast":                    {pieces: without(3), want: map[string]string{"sast": "no sast result"}},
		"sast by another":            {pieces: without(3, byStranger(scan("sast", nil))), want: map[string]string{"sast": "not signed by"}},
		"sast failed":                {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Result = attest.ResultFailed })), want: map[string]string{"sast": `result is "FAILED"`}},
		"sast among the failed":      {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.FailedTests = []string{"sast"} })), want: map[string]string{"sast": "did not pass"}},
		"sast did not say it passed": {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.PassedTests = nil })), want: map[string]string{"sast": "did not pass"}},
		"result without scan":        {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan = nil })), want: map[string]string{"sast": "no sast result"}},
		"failed later than passed":   {pieces: append(whole(), scan("sast", func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Scan.FinishedOn = now.Add(-time.Minute) })), want: map[string]string{"sast": "did not pass"}},
		"failed at the same second":  {pieces: append(whole(), scan("sast", func(r *attest.TestResult) { r.Result = attest.ResultFailed })), want: map[string]string{"sast": "did not pass"}},
		"weaker threshold":           {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.FailOn = "critical" })), want: map[string]string{"sast": "fail-on critical, the policy asks for high"}},
		"no threshold then":          {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.FailOn = "none" })), want: map[string]string{"sast": "fail-on none, the policy asks for high"}},
		"threshold of no name":       {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.FailOn = "" })), want: map[string]string{"sast": "threshold"}},
		"no threshold today":         {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.SAST.FailOn = "" }, want: map[string]string{"policy": "it does not say sast.fail-on", "sast": "policy sets no threshold"}},
		"findings despite a pass":    {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.New = map[string]int{"critical": 1} })), want: map[string]string{"sast": "1 new critical finding"}},
		"findings of no name":        {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.New = map[string]int{"dire": 2} })), want: map[string]string{"sast": "2 new dire findings"}},
		"nothing of the source":      {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.Coverage = record.Coverage{Unit: "packages"} })), want: map[string]string{"sast": "covered nothing"}},
		"less than no findings":      {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.Known = map[string]int{"high": 3, "low": -3} })), want: map[string]string{"sast": "counts -3 findings"}},
		"scans of a commit that nobody knows": {pieces: without(1), change: func(in *verify.Inputs) { in.Commit, in.Rules.Require = "", []string{"sast", "secrets"} },
			want: map[string]string{"sast": "is not known", "secrets": "is not known", "age": "no evidence"}},
		"part of the source":        {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.Coverage.Scanned = 2 })), want: map[string]string{"sast": "covered 2 of 3 packages"}},
		"secrets of another commit": {pieces: without(4, scan("secrets", func(r *attest.TestResult) { r.Scan.Commit = "beef" })), want: map[string]string{"secrets": "scanned commit beef"}},
		"scan and build differ": {pieces: without(4, scan("secrets", func(r *attest.TestResult) { r.Scan.Commit = "beef" })),
			change: func(in *verify.Inputs) { in.Commit = "" }, want: map[string]string{"secrets": "from which this image was not built"}},
		"another repository": {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Repository = "evil/checkout" })), want: map[string]string{"provenance": "from evil/checkout, not from acme/checkout"}},
		"asked where it is from, and the policy is not interested": {pieces: whole(), change: func(in *verify.Inputs) {
			in.Rules.Require, in.Repository, in.Asked = []string{"secrets"}, "evil/checkout", true
		}, want: map[string]string{"provenance": "from acme/checkout, not from evil/checkout"}},
		"asked where it is from, and nothing says": {pieces: without(1), change: func(in *verify.Inputs) {
			in.Rules.Require, in.Asked = []string{"secrets"}, true
		}, want: map[string]string{"provenance": "no provenance"}},
		"another service of the repository": {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Path = "services/cart" })),
			change: func(in *verify.Inputs) { path := ""; in.Path = &path }, want: map[string]string{"provenance": "from folder services/cart of acme/checkout, not from the root: it is another service"}},
		"another commit":     {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Commit = "beef" })), want: map[string]string{"provenance": "from commit beef"}},
		"no commit":          {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Commit = "" })), want: map[string]string{"provenance": "does not say which commit"}},
		"changed tree":       {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Dirty = true })), want: map[string]string{"provenance": "working tree that differs"}},
		"another build type": {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = "x" })), want: map[string]string{"provenance": `build type is "x"`}},
		"built elsewhere":    {pieces: without(1, provenance(elsewhere)), want: map[string]string{"provenance": "was built elsewhere, and delivered for acme/checkout, and the policy's build-types do not have elsewhere"}},
		"built elsewhere, by a builder": {pieces: without(1, provenance(elsewhere)), change: func(in *verify.Inputs) {
			in.Rules.Provenance = policy.Provenance{BuildTypes: []string{"elsewhere"}, Builders: []string{"**"}, BaseImages: []string{"**"}}
		}, want: map[string]string{"builder": "does not say by whom", "base-image": "does not say which image"}},
		"no build type at all": {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.Provenance.BuildTypes = []string{} }, want: map[string]string{"provenance": "do not have go-image"}},
		"a Dockerfile where only Go is allowed": {pieces: without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = attest.BuildTypeDockerfile })),
			change: func(in *verify.Inputs) { in.Rules.Provenance.BuildTypes = []string{"go-image"} }, want: map[string]string{"provenance": "do not have dockerfile"}},
		"expired":             {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.EvidenceMaxAge = "1h" }, want: map[string]string{"age": "2h0m0s old, allowed are 1h"}},
		"expired scan only":   {pieces: without(4, scan("secrets", func(r *attest.TestResult) { r.Scan.FinishedOn = now.Add(-30 * hour) })), want: map[string]string{"age": "30h0m0s old"}},
		"build of the future": {pieces: without(1, provenance(func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = now.Add(6 * time.Minute) })), want: map[string]string{"provenance": "in the future"}},
		"scan of the future": {pieces: without(3, scan("sast", func(r *attest.TestResult) { r.Scan.FinishedOn = now.Add(6 * time.Minute) })),
			want: map[string]string{"sast": "in the future"}},
		"build of no time":    {pieces: without(1, provenance(func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = time.Time{} })), want: map[string]string{"provenance": "does not say when", "age": "does not say when"}},
		"age of nothing":      {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.Require = []string{"sbom"} }, want: map[string]string{"age": "no evidence whose age"}},
		"an age that is none": {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.EvidenceMaxAge = "-1h" }, want: map[string]string{"age": `age "-1h"`}},
		"empty policy":        {pieces: whole(), change: func(in *verify.Inputs) { in.Rules = policy.Rules{} }, want: map[string]string{"policy": "it does not say signer, require, evidence-max-age", "signature": "names no signer"}},
		"policy of no rules":  {pieces: nil, change: func(in *verify.Inputs) { in.Rules = policy.Rules{}; in.Signer = nil }, want: map[string]string{"policy": "signer, require", "signature": "names no signer"}},
		"no signer": {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.Signer.Key = ""; in.Rules.Require = []string{"sbom"} },
			want: map[string]string{"policy": "it does not say signer", "signature": "names no signer", "sbom": "names no signer", "age": "no evidence"}},
		"no age":              {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.EvidenceMaxAge = "" }, want: map[string]string{"policy": "it does not say evidence-max-age"}},
		"no requirement":      {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.Require = nil }, want: map[string]string{"policy": "it does not say require", "age": "no evidence"}},
		"unknown requirement": {pieces: whole(), change: func(in *verify.Inputs) { in.Rules.Require = []string{"fuzzing"} }, want: map[string]string{"fuzzing": "does not know", "age": "no evidence"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(tc.pieces...)
			if tc.change != nil {
				tc.change(&w.inputs)
			}
			out, err := w.run()
			if err == nil || fault.KindOf(err) != fault.Failed {
				t.Fatalf("gives %v, expected a refusal", err)
			}
			if !strings.HasPrefix(err.Error(), "policy default/staging refuses "+w.digest+": ") {
				t.Errorf("headline %q", err)
			}
			refused := map[string]bool{}
			for _, c := range out.Evidence.Clauses {
				if c.Met {
					continue
				}
				refused[c.Name] = true
				if tc.want[c.Name] == "" || !strings.Contains(c.Reason, tc.want[c.Name]) {
					t.Errorf("%s: %q, expected %q", c.Name, c.Reason, tc.want[c.Name])
				}
				if !strings.Contains(strings.Join(fault.Lines(err), "\n"), "\n"+c.Name+": "+c.Reason) {
					t.Errorf("%s is not told", c.Name)
				}
			}
			if len(refused) != len(tc.want) {
				t.Errorf("refused %v, expected %v", refused, tc.want)
			}
		})
	}
}

// What else is attached does no harm: evidence of other signers, of other days, of other kinds.
func TestPassesDespite(t *testing.T) {
	t.Parallel()
	stranger, err := signing.GenerateKey()
	expect.NoError(t, err)
	failed := scan("sast", func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Scan.FinishedOn = now })
	failed.by = stranger
	tests := map[string]struct {
		pieces []piece
		change func(*verify.Inputs)
	}{
		"a stranger's failure": {pieces: append(whole(), failed)},
		"an earlier failure": {pieces: append(whole(), scan("sast", func(r *attest.TestResult) {
			r.Result = attest.ResultFailed
			r.Scan.FinishedOn = now.Add(-30 * hour)
		}))},
		"an older provenance":          {pieces: append(whole(), provenance(func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = now.Add(-30 * hour) }))},
		"a second commit":              {pieces: append(whole(), provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Commit = "beef" }))},
		"a clock that differs":         {pieces: without(1, provenance(func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = now.Add(4 * time.Minute) }))},
		"other tests":                  {pieces: append(whole(), scan("sast", func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Scan = nil }))},
		"a delivery that is not known": {pieces: whole(), change: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" }},
		"no sast where none is asked":  {pieces: without(3), change: func(in *verify.Inputs) { in.Rules.Require = []string{"provenance", "sbom", "secrets"} }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(tc.pieces...)
			if tc.change != nil {
				tc.change(&w.inputs)
			}
			if _, err := w.run(); err != nil {
				t.Errorf("refused: %v", fault.Lines(err))
			}
		})
	}
}

// A payload that was changed after it was signed does not count.
func TestTamperedPayload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.attach(without(4)...)
	var doc map[string]any
	expect.NoError(t, json.Unmarshal(w.bundle(scan("secrets", func(r *attest.TestResult) { r.Result = attest.ResultFailed })), &doc))
	envelope := doc["dsseEnvelope"].(map[string]any)
	payload, err := base64.StdEncoding.DecodeString(envelope["payload"].(string))
	expect.NoError(t, err)
	envelope["payload"] = base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(payload), "FAILED", "PASSED", 1)))
	tampered, err := json.Marshal(doc)
	expect.NoError(t, err)
	w.put(tampered)
	out, err := w.run()
	if fault.KindOf(err) != fault.Failed || err == nil {
		t.Fatalf("gives %v, expected a refusal", err)
	}
	if c := out.Evidence.Clauses[4]; c.Name != "secrets" || c.Met || !strings.Contains(c.Reason, "not signed by") {
		t.Errorf("clause %+v", c)
	}
}

func TestUndetermined(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*world){
		"truncated referrer": func(w *world) { b := w.bundle(signature()); w.put(b[:len(b)-20]) },
		"registry down":      func(w *world) { w.server.Close() },
		"image not there":    func(w *world) { w.inputs.Reference = w.inputs.Reference[:len(w.inputs.Reference)-4] + "0000" },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(whole()...)
			spoil(w)
			out, err := w.run()
			if err == nil || fault.KindOf(err) != fault.Undetermined {
				t.Errorf("gives %v, expected undetermined", err)
			}
			if len(out.Evidence.Clauses) != 0 {
				t.Errorf("clauses %v without evidence", out.Evidence.Clauses)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, true)
		w.attach(whole()...)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := verify.Run(ctx, w.inputs, verify.Deps{Evidence: cancelling{w.client, cancel}, Now: func() time.Time { return now }})
		if err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("gives %v, expected undetermined", err)
		}
	})
}

// cancelling ends the run between reading and judging.
type cancelling struct {
	referrers.Registry
	cancel func()
}

func (c cancelling) Read(ctx context.Context, ref string) ([]attest.Attached, error) {
	defer c.cancel()
	return c.Registry.Read(ctx, ref)
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	for _, ref := range []string{"", "checkout", "ghcr.io/acme/checkout:v1", "ghcr.io/acme/checkout@sha256:abc", w.digest} {
		w.inputs.Reference = ref
		if _, err := w.run(); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%q gives %v", ref, err)
		}
	}
	w.inputs.Reference, w.inputs.Signer = w.ref, nil
	if _, err := w.run(); fault.KindOf(err) != fault.BadInput {
		t.Errorf("a signer without a key gives %v", err)
	}
	w.inputs.Signer = w.key
	if _, err := verify.Run(t.Context(), w.inputs, verify.Deps{Evidence: w.client}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("no clock gives %v", err)
	}
}

// elsewhere makes it the provenance of an image that was not built here.
func elsewhere(p *attest.Provenance) { p.BuildDefinition.BuildType = attest.BuildTypeElsewhere }

// TestBuildTypes: what the policy lets images be built as is met, and said to be no more than it is.
func TestBuildTypes(t *testing.T) {
	t.Parallel()
	for buildType, want := range map[string]string{attest.BuildTypeDockerfile: "built from a Dockerfile of acme/checkout at",
		attest.BuildTypeElsewhere: "built elsewhere, and delivered for acme/checkout at"} {
		w := newWorld(t, true)
		w.attach(without(1, provenance(func(p *attest.Provenance) { p.BuildDefinition.BuildType = buildType }))...)
		w.inputs.Rules.Provenance.BuildTypes = []string{"dockerfile", "elsewhere"}
		out, err := w.run()
		if err != nil || !strings.HasPrefix(out.Evidence.Clauses[1].Reason, want) {
			t.Errorf("%s: %+v, %v", buildType, out.Evidence.Clauses, err)
		}
	}
}
