package evidence_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/evidence"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/verifying"
)

var update = flag.Bool("update", false, "write the golden files")

const commit = "4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2"

var (
	digest = "sha256:" + strings.Repeat("d", 64)
	built  = time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC)
)

// served is what a registry lists; an error stands for one that cannot be asked.
type served struct {
	bundles [][]byte
	err     error
}

func (s served) Read(_ context.Context, ref string) ([]attest.Attached, error) {
	var list []attest.Attached
	for i, b := range s.bundles {
		statement, _, err := verifying.Claimed(b)
		if err != nil {
			return nil, err
		}
		list = append(list, attest.Attached{Manifest: "sha256:" + strings.Repeat(string("0123456789abcdef"[i]), 64), Bundle: b, Statement: statement})
	}
	return list, s.err
}

func provenance(change func(*attest.Provenance)) attest.Provenance {
	p := attest.Provenance{BuildDefinition: attest.BuildDefinition{BuildType: attest.BuildType,
		ExternalParameters:   attest.ExternalParameters{Source: attest.Source{Repository: "acme/checkout", Commit: commit, Ref: "refs/heads/main"}},
		ResolvedDependencies: make([]attest.Resource, 23)},
		RunDetails: attest.RunDetails{Builder: attest.Builder{ID: "https://github.com/org/idp"},
			Metadata: attest.BuildMetadata{InvocationID: "https://github.com/acme/checkout/actions/runs/9876543210/attempts/1", FinishedOn: built}}}
	if change != nil {
		change(&p)
	}
	return p
}

func scan(stage string) attest.TestResult {
	return attest.TestResult{Result: "PASSED", PassedTests: []string{stage}, URL: "https://github.com/acme/checkout/actions/runs/9876543210/attempts/1",
		Scan: &attest.Scan{Stage: stage, Tool: record.Tool{Name: "gosec", Version: "2.30.0"}, FinishedOn: built.Add(time.Minute),
			Scan: record.Scan{Coverage: record.Coverage{Unit: "packages", Expected: 14, Scanned: 14}, FailOn: "high", Commit: commit, Known: map[string]int{"low": 3}}}}
}

// whole is what a delivery leaves, and what others attach to it.
func whole(t *testing.T, key *signing.Key) [][]byte {
	return [][]byte{
		signed.Bundle(t, key, digest, "https://slsa.dev/verification_summary/v1", map[string]any{"verifier": map[string]any{"id": "https://github.com/org/idp"},
			"timeVerified": built.Add(time.Hour), "idpVerdict": map[string]any{"environment": "production", "clauses": []string{"signature", "provenance", "age"}}, "resourceUri": "ghcr.io/acme/checkout", "policy": map[string]any{"uri": "policy.yaml"}, "verificationResult": "PASSED"}),
		signed.Bundle(t, key, digest, attest.PredicateApproval, attest.Approval{Properties: []string{attest.Approved}, TimeCreated: built.Add(time.Hour),
			Detail: attest.ApprovalMore{Environment: "production", Commit: commit, By: "ada", URL: "https://github.com/acme/checkout/pull/7#issuecomment-1"}}),
		signed.Bundle(t, key, digest, attest.PredicateDeployment, attest.Deployment{Attributes: []attest.Attribute{{Attribute: attest.Deployed,
			Conditions: attest.DeployedWhen{Environment: "production", Target: "kubernetes", Release: "checkout-12", FinishedOn: built.Add(2 * time.Hour)}}}}),
		signed.Bundle(t, key, digest, attest.PredicateTestResult, attest.TestResult{Result: "PASSED", PassedTests: []string{"get /", "smoke"},
			Smoke: &attest.Smoke{Environment: "production", Commit: commit, Rounds: 3, P95MS: 4.2, FinishedOn: built.Add(3 * time.Hour)}}),
		signed.Bundle(t, key, digest, attest.PredicateTestResult, scan("sast")),
		signed.Bundle(t, key, digest, attest.PredicateTestResult, attest.TestResult{Result: "WARNED", PassedTests: []string{"a", "b"}, WarnedTests: []string{"c"}}),
		signed.Bundle(t, key, digest, attest.PredicateSBOM, map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []any{1}}),
		signed.Bundle(t, key, digest, "https://spdx.dev/Document/v2.3", map[string]any{"spdxVersion": "SPDX-2.3", "packages": []any{1, 2}}),
		signed.Bundle(t, key, digest, attest.PredicateProvenance, provenance(nil)),
		signed.Bundle(t, key, digest, attest.PredicateSignature, nil),
		signed.Bundle(t, signed.Key(t), digest, attest.PredicateProvenance, provenance(func(p *attest.Provenance) {
			p.BuildDefinition.BuildType = "https://actions.github.io/buildtypes/workflow/v1"
			p.BuildDefinition.ResolvedDependencies = []attest.Resource{{URI: "git+https://github.com/evil/checkout@refs/heads/main"}}
		})),
		signed.Bundle(t, key, "sha256:"+strings.Repeat("e", 64), attest.PredicateTestResult, scan("secrets")),
		signed.Bundle(t, key, digest, "https://example.com/unheard-of", map[string]any{}),
		signed.Bundle(t, key, digest, attest.PredicateTestResult, map[string]any{"result": 1}),
	}
}

func read(t *testing.T, signer attest.Verifier, bundles ...[]byte) *evidence.Chain {
	t.Helper()
	c, err := evidence.Read(t.Context(), evidence.Inputs{Image: "ghcr.io/acme/checkout", Tag: "v1", Digest: digest, Signer: signer}, served{bundles: bundles})
	expect.NoError(t, err)
	return c
}

// The golden files are what a person sees in terminals of 80 and 120 columns; the fingerprint differs from run to run.
func TestText(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	chain := read(t, key.Public(), whole(t, key)...)
	for name, width := range map[string]int{"80.txt": 80, "120.txt": 120} {
		var b strings.Builder
		expect.NoError(t, chain.WriteText(&b, width))
		got := strings.ReplaceAll(b.String(), key.Fingerprint(), "sha256:FINGERPRINT")
		for _, line := range strings.Split(got, "\n") {
			if n := len([]rune(line)); n > width && len(strings.Fields(line)) > 2 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		golden := filepath.Join("testdata", name)
		if *update {
			expect.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
		}
		want, err := os.ReadFile(golden)
		expect.NoError(t, err)
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// What is not verified is never told as a fact, whoever reads it.
func TestUnverifiedIsAClaim(t *testing.T) {
	t.Parallel()
	key, stranger := signed.Key(t), signed.Key(t)
	all := whole(t, key)
	for name, c := range map[string]struct {
		signer   attest.Verifier
		bundles  [][]byte
		verified int
		verdict  string
	}{
		"the signer":    {key.Public(), all, 12, ""},
		"another":       {stranger.Public(), all, 0, "nothing of it is signed by " + stranger.Fingerprint()},
		"nobody":        {nil, all, 0, "not said whose signature counts"},
		"nothing there": {key.Public(), nil, 0, "nothing is attached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain := read(t, c.signer, c.bundles...)
			verified := 0
			for _, item := range chain.Items {
				if item.Verified {
					verified++
				} else if item.Reason == "" || item.Signer != "" || item.SignedAt != nil {
					t.Errorf("unverified: %+v", item)
				}
			}
			var b strings.Builder
			expect.NoError(t, chain.WriteText(&b, 100))
			if verified != c.verified || strings.Count(b.String(), "✓ ") != c.verified || strings.Count(b.String(), "not verified: ") != len(c.bundles)-c.verified ||
				strings.Count(b.String(), "claims: ") != len(c.bundles)-c.verified {
				t.Errorf("%d verified:\n%s", verified, b.String())
			}
			err := chain.Verdict()
			if (err == nil) != (c.verdict == "") || err != nil && (fault.KindOf(err) != fault.Failed || !strings.Contains(err.Error(), c.verdict)) {
				t.Errorf("verdict %v", err)
			}
		})
	}
}

func TestUndetermined(t *testing.T) {
	t.Parallel()
	in := evidence.Inputs{Image: "ghcr.io/acme/checkout", Digest: digest}
	if _, err := evidence.Read(t.Context(), in, served{err: errors.New("referrer cannot be read")}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a registry that fails gives %v", err)
	}
	key := signed.Key(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in.Signer = key
	if _, err := evidence.Read(ctx, in, served{bundles: whole(t, key)}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("cancelled gives %v", err)
	}
}

// Whatever a statement says, a terminal prints it and a runner takes it for text.
func TestHostileText(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	for name, text := range map[string]string{
		"terminal sequence": "\x1b]0;x\x07\x1b[2J", "C1 sequence": "\u009b2J", "line": "x\n  ✓ sbom        \r\n::set-output name=a::b",
		"command": "##[set-output name=a;]b", "right to left": "\u202etxt\u2066", "tag characters": "\U000E0041\U000E007F",
		"line separator": "a\u2028b\u2029", "DEL": "a\x7fb", "HTML": "</script><b>&", "long": strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle := signed.Bundle(t, key, digest, attest.PredicateProvenance, provenance(func(p *attest.Provenance) {
				p.BuildDefinition.ExternalParameters.Source.Repository, p.RunDetails.Builder.ID = text, text
				p.RunDetails.Metadata.InvocationID, p.BuildDefinition.ExternalParameters.Source.Ref = text, text
			}))
			chain := read(t, key.Public(), bundle, signed.Bundle(t, key, digest, "https://example.com/"+text, nil), signed.Bundle(t, key, digest, attest.PredicateTestResult,
				attest.TestResult{Result: text, Scan: &attest.Scan{Stage: text, Tool: record.Tool{Name: text}}}))
			var forPeople, forPrograms strings.Builder
			expect.NoError(t, chain.WriteText(&forPeople, 80))
			expect.NoError(t, chain.WriteJSON(&forPrograms))
			for kind, out := range map[string]string{"text": forPeople.String(), "JSON": forPrograms.String()} {
				for _, r := range out {
					if r != '\n' && !unicode.IsGraphic(r) {
						t.Fatalf("%s has %U", kind, r)
					}
				}
				for _, line := range strings.Split(out, "\n") {
					if strings.HasPrefix(strings.TrimSpace(line), "::") || kind == "JSON" && strings.Contains(line, "##[") {
						t.Errorf("%s has the command %.80q", kind, line)
					}
				}
			}
			if n := strings.Count(forPeople.String(), "\n  ✓ "); n != len(chain.Items) || len(forPeople.String()) > 20_000 {
				t.Errorf("%d marks in %d bytes", n, len(forPeople.String()))
			}
			var back evidence.Chain
			expect.NoError(t, json.Unmarshal([]byte(forPrograms.String()), &back))
			var p attest.Provenance
			expect.NoError(t, json.Unmarshal(back.Items[0].Statement.Predicate, &p))
			if got := p.BuildDefinition.ExternalParameters.Source.Repository; back.Items[0].Kind == "provenance" && got != text {
				t.Errorf("JSON says %.80q", got)
			}
		})
	}
}

// A time that JSON has no form for is left out; it keeps nobody from reading the rest.
func TestTimeWithoutAForm(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	for _, at := range []string{"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"} {
		chain := read(t, key.Public(), signed.Bundle(t, key, digest, "https://slsa.dev/verification_summary/v1",
			map[string]any{"timeVerified": at, "verificationResult": "PASSED"}))
		var b strings.Builder
		if err := chain.WriteJSON(&b); err != nil || chain.Items[0].MadeAt != nil || chain.Items[0].Kind != "verdict" {
			t.Errorf("%s: %v, %+v", at, err, chain.Items[0])
		}
	}
}

// FuzzWriteJSON: JSON stays JSON, says the same, and has nothing in it that does not print.
func FuzzWriteJSON(f *testing.F) {
	f.Add("##[x]\u202e", "\x1b[2J")
	f.Add("##", "[\U000E0041")
	f.Fuzz(func(t *testing.T, a, b string) {
		chain := &evidence.Chain{Schema: evidence.Schema, Image: a, Items: []evidence.Item{{Kind: b, Summary: []string{a + b}}}}
		var out strings.Builder
		expect.NoError(t, chain.WriteJSON(&out))
		var back evidence.Chain
		expect.NoError(t, json.Unmarshal([]byte(out.String()), &back))
		if back.Image != strings.ToValidUTF8(a, "\ufffd") && back.Image == a {
			t.Errorf("%q became %q", a, back.Image)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Fatalf("it has %U", r)
			}
		}
		expect.NoError(t, chain.WriteText(&out, len(a)))
	})
}

// claims is a registry with statements that nobody signed.
type claims []attest.Statement

func (c claims) Read(context.Context, string) ([]attest.Attached, error) {
	var list []attest.Attached
	for i := range c {
		list = append(list, attest.Attached{Manifest: "sha256:x", Statement: &c[i]})
	}
	return list, nil
}

// FuzzStatement: any predicate of any type that is read here can be shown.
func FuzzStatement(f *testing.F) {
	types := []string{attest.PredicateProvenance, attest.PredicateSBOM, attest.PredicateSPDX, attest.PredicateTestResult, attest.PredicateVerdict, attest.PredicateApproval, attest.PredicateDeployment, "x"}
	for i, predicate := range []any{provenance(nil), map[string]any{"bomFormat": "CycloneDX"}, map[string]any{"spdxVersion": "SPDX-2.3"}, scan("sast")} {
		data, err := json.Marshal(predicate)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
	}
	f.Fuzz(func(t *testing.T, kind int, predicate []byte) {
		if !json.Valid(predicate) {
			return // no statement holds such a thing
		}
		chain, err := evidence.Read(t.Context(), evidence.Inputs{Image: "x/y", Digest: digest},
			claims{{PredicateType: types[max(kind, -kind, 0)%len(types)], Predicate: predicate}})
		expect.NoError(t, err)
		var b strings.Builder
		expect.NoError(t, chain.WriteText(&b, 80))
		expect.NoError(t, chain.WriteJSON(&b))
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Fatalf("it has %U", r)
			}
		}
	})
}
