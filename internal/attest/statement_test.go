package attest_test

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/attest"
)

var digestA = "sha256:" + strings.Repeat("a", 64)

func TestStatementIsAboutADigest(t *testing.T) {
	t.Parallel()
	for _, digest := range []string{"", "latest", "sha256:abc", digestA + "0", "sha512:" + digestA[7:], strings.ToUpper(digestA)} {
		if _, err := attest.NewStatement(digest, attest.PredicateSignature, nil); err == nil {
			t.Errorf("a statement about %q", digest)
		}
	}
}

// The example is that of the in-toto specification of digest sets.
func TestDirHash(t *testing.T) {
	t.Parallel()
	got := attest.DirHash("h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=")["dirHash"]
	if got != "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f" {
		t.Errorf("dirHash is %s", got)
	}
	for _, sum := range []string{"", "h1:", "h1:AAAA", "h2:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="} {
		if got := attest.DirHash(sum); got != nil {
			t.Errorf("%q gives %v", sum, got)
		}
	}
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"aa"}}],"predicateType":"x","predicate":{}}`))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[null],"predicateType":"x"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := attest.ParseStatement(data)
		if err != nil {
			return
		}
		if digest, err := s.Digest(); err == nil && len(digest) != len(digestA) {
			t.Fatalf("digest %q", digest)
		}
	})
}

// cosign attest writes version 0.1 of the statement, whose fields are those of version 1. Of any other version nobody here
// knows what they mean.
func TestVersionsOfStatements(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"v1": true, "v0.1": true, "v0.2": false, "v2": false, "": false} {
		payload := `{"_type":"https://in-toto.io/Statement/` + version + `","predicateType":"https://cyclonedx.org/bom","subject":[{"name":"ghcr.io/acme/checkout","digest":{"sha256":"` +
			strings.Repeat("a", 64) + `"}}],"predicate":{}}`
		s, err := attest.ParseStatement([]byte(payload))
		if (err == nil) != known {
			t.Errorf("version %q: %v", version, err)
		}
		if known && (s.PredicateType != attest.PredicateSBOM || s.Subject[0].Digest["sha256"] != strings.Repeat("a", 64)) {
			t.Errorf("version %q: %+v", version, s)
		}
	}
}
