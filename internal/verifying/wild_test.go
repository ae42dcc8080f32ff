package verifying_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/verifying"
)

// ofModule is a file that a dependency carries for its own tests.
func ofModule(t *testing.T, module, file string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	expect.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), filepath.FromSlash(file)))
	expect.NoError(t, err)
	return data
}

type object = map[string]any

func objectOf(t *testing.T, data []byte) (o object) {
	t.Helper()
	expect.NoError(t, json.Unmarshal(data, &o))
	return o
}

// entry is the one entry of a log in a bundle.
func entry(bundle object) object {
	return bundle["verificationMaterial"].(object)["tlogEntries"].([]any)[0].(object)
}

// flip changes one bit in the middle of what a field holds.
func flip(o object, key string) {
	raw, err := base64.StdEncoding.DecodeString(o[key].(string))
	if err != nil {
		panic(err)
	}
	raw[len(raw)/2] ^= 1
	o[key] = base64.StdEncoding.EncodeToString(raw)
}

// What a person attested with cosign on the public instance, which cosign carries for its own tests, is signed; and by somebody else than
// a workflow. Each way in which sigstore's conformance suite spoils a bundle leaves it unsigned:
// https://github.com/sigstore/sigstore-conformance/tree/main/test/assets/bundle-verify.
func TestBundleOfCosignSpoilt(t *testing.T) {
	t.Parallel()
	const digest = "sha256:732112270d7e59418a8c080b134b24cabd67d250d0d0147a97ed95ba5c280aa4"
	const unsigned, unread = "not signed keyless as", "not a sigstore bundle"
	genuine := ofModule(t, "github.com/sigstore/cosign/v2", "pkg/cosign/testdata/oci-attestation.sigstore.json")
	other := objectOf(t, ofModule(t, "github.com/sigstore/sigstore-go", "pkg/testing/data/bundles/dsse.sigstore.json"))
	trust, err := verifying.ReadTrust("testdata/public/trusted_root.json")
	expect.NoError(t, err)
	v, err := verifying.NewKeyless(trust, verifying.Identity{Issuer: "https://github.com/login/oauth", Repository: "acme/checkout"})
	expect.NoError(t, err)
	envelope := func(b object) object { return b["dsseEnvelope"].(object) }
	signature := func(b object) object { return envelope(b)["signatures"].([]any)[0].(object) }
	material := func(b object) object { return b["verificationMaterial"].(object) }
	payload := func(from, to string) func(object) {
		return func(b object) {
			raw, err := base64.StdEncoding.DecodeString(envelope(b)["payload"].(string))
			expect.NoError(t, err)
			if !strings.Contains(string(raw), from) {
				t.Fatalf("%q is not in %s", from, raw)
			}
			envelope(b)["payload"] = base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(raw), from, to, 1)))
		}
	}
	for name, c := range map[string]struct {
		spoil func(object)
		want  string
	}{
		"as it is":                          {func(object) {}, `its workflow is "cody@soyland.com", not one of its repository`},
		"dsse-invalid-sig":                  {func(b object) { flip(signature(b), "sig") }, unsigned},
		"dsse-mismatch-envelope":            {payload(`\"foo\"`, `\"fop\"`), unsigned},
		"dsse-mismatch-sig":                 {func(b object) { signature(b)["sig"] = signatureOf(other) }, unsigned},
		"dsse-statement-missing-type":       {payload(`"_type":"https://in-toto.io/Statement/v0.1",`, ""), "statement of type"},
		"dsse-statement-unknown-type":       {payload("Statement/v0.1", "Statement/v9"), "statement of type"},
		"subject-digest-mismatch":           {payload("732112270d", "832112270d"), "is about sha256:832112270d"},
		"dsse-2sigs":                        {func(b object) { envelope(b)["signatures"] = append(envelope(b)["signatures"].([]any), signature(b)) }, unsigned},
		"no-signature":                      {func(b object) { envelope(b)["signatures"] = []any{} }, unsigned},
		"payload-type":                      {func(b object) { envelope(b)["payloadType"] = "text/plain" }, "holds no in-toto statement"},
		"cve-2022-36056-swapped-tlog-entry": {func(b object) { material(b)["tlogEntries"] = material(other)["tlogEntries"] }, ""},
		"tlog-body-error":                   {func(b object) { entry(b)["canonicalizedBody"] = entry(other)["canonicalizedBody"] }, ""},
		"tlog-body-flipped":                 {func(b object) { flip(entry(b), "canonicalizedBody") }, ""},
		"tlog-timestamp-error":              {func(b object) { entry(b)["integratedTime"] = "1740770292" }, unsigned},
		"tlog-timestamp-missing":            {func(b object) { entry(b)["integratedTime"] = "0" }, ""},
		"invalid-set":                       {func(b object) { flip(entry(b)["inclusionPromise"].(object), "signedEntryTimestamp") }, unsigned},
		"no-set":                            {func(b object) { delete(entry(b), "inclusionPromise") }, unsigned},
		"invalid-inclusion-proof":           {func(b object) { flip(entry(b)["inclusionProof"].(object), "rootHash") }, unsigned},
		"no-inclusion-proof":                {func(b object) { delete(entry(b), "inclusionProof") }, unread},
		"another-position":                  {func(b object) { entry(b)["inclusionProof"].(object)["logIndex"] = "53604733" }, unsigned},
		"no-checkpoint":                     {func(b object) { delete(entry(b)["inclusionProof"].(object), "checkpoint") }, ""},
		"checkpoint-wrong-roothash":         {func(b object) { spoilCheckpoint(b) }, unsigned},
		"wrong-log":                         {func(b object) { flip(entry(b)["logId"].(object), "keyId") }, ""},
		"no-tlog-entry":                     {func(b object) { material(b)["tlogEntries"] = []any{} }, unsigned},
		"cert-flipped":                      {func(b object) { flip(material(b)["certificate"].(object), "rawBytes") }, ""},
		"no-cert":                           {func(b object) { delete(material(b), "certificate") }, unread},
		"media-type":                        {func(b object) { b["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json" }, unread},
		"no-content":                        {func(b object) { delete(b, "dsseEnvelope") }, unread},
	} {
		b := objectOf(t, genuine)
		c.spoil(b)
		data, err := json.Marshal(b)
		expect.NoError(t, err)
		got, err := v.Verify(t.Context(), data, digest)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != nil || !strings.Contains(text, c.want) || text == "" || name != "as it is" && strings.Contains(text, "somebody else") {
			t.Errorf("%s: %v, error %q, expected %q", name, got, text, c.want)
		}
	}
}

func signatureOf(bundle object) any {
	return bundle["dsseEnvelope"].(object)["signatures"].([]any)[0].(object)["sig"]
}

// spoilCheckpoint changes the root hash that the log has signed.
func spoilCheckpoint(bundle object) {
	c := entry(bundle)["inclusionProof"].(object)["checkpoint"].(object)
	lines := strings.Split(c["envelope"].(string), "\n")
	flipped := object{"hash": lines[2]}
	flip(flipped, "hash")
	lines[2] = flipped["hash"].(string)
	c["envelope"] = strings.Join(lines, "\n")
}

// Of packages that are no images, and of what no statement is in, nothing is said here.
func TestBundlesOfOtherThings(t *testing.T) {
	t.Parallel()
	trust, err := verifying.ReadTrust("testdata/public/trusted_root.json")
	expect.NoError(t, err)
	v, err := verifying.NewKeyless(trust, verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: "sigstore/sigstore-js"})
	expect.NoError(t, err)
	for file, want := range map[string]string{
		"pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json": "not about a sha256 digest", // npm's are about sha512
		"pkg/testing/data/bundles/dsse.sigstore.json":                         "not about a sha256 digest",
		"pkg/testing/data/bundles/dsse-2sigs.sigstore.json":                   "not a",
		"pkg/testing/data/bundles/othername.sigstore.json":                    "holds no in-toto statement", // a blob's signature
		"examples/bundle-publish.json":                                        "not about a sha256 digest",
		"examples/trusted-root-public-good.json":                              "not a sigstore bundle",
	} {
		_, err := v.Verify(t.Context(), ofModule(t, "github.com/sigstore/sigstore-go", file), digestA)
		expect.Error(t, err, want)
	}
}
