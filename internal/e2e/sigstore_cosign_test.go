//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/org/idp/internal/testkit/sigstore"
)

// byCosign signs an image with cosign and attests every statement that idp makes of it, and gives the image. How cosign is
// to sign is in the flags, such as a key.
func byCosign(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service, s *scanned, flags ...string) string {
	t.Helper()
	model := s.signed(registry, unique("model", t))
	ref := k.PushImage(t, registry, unique("theirs", t), s.image())
	flags = append(flags, k.ForCosign(version)...)
	env := append(k.Job(t, nil), "COSIGN_PASSWORD=correct horse")
	run := func(args ...string) {
		t.Helper()
		if out, complaints, err := k.Cosign(t, version, env, append(append(args, flags...), ref)...); err != nil {
			t.Fatalf("cosign %q: %v\n%s%s", args, err, out, complaints)
		}
	}
	run("sign")
	for name := range types {
		out, complaints, err := k.Cosign(t, "v3", nil, "verify-attestation", "--key", s.key("key.pub"), "--insecure-ignore-tlog",
			"--trusted-root", k.TrustedRoot, "--type", name, model)
		if err != nil {
			t.Fatalf("%v\n%s", err, complaints)
		}
		for i, statement := range claimed(t, out) {
			file := filepath.Join(t.TempDir(), fmt.Sprintf("predicate-%d.json", i))
			write(t, file, string(statement.Predicate))
			run("attest", "--type", name, "--predicate", file)
		}
	}
	return ref
}

// unique names a repository of this test alone: in the fallback tag, where a registry keeps no list of referrers, of two that write at
// once one loses what it wrote, and cosign does not look.
func unique(name string, t *testing.T) string {
	return "acme/" + name + "-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "").Replace(t.Name()))
}

// image is what was built.
func (s *scanned) image() v1.Image {
	s.t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(s.out, "image"))
	check(s.t, err)
	manifests, err := index.IndexManifest()
	check(s.t, err)
	image, err := index.Image(manifests.Manifests[0].Digest)
	check(s.t, err)
	return image
}

// What cosign signs and attests with a key, idp verifies against a policy. By another key than the policy's it is unsigned.
func TestSigstoreWeVerifyKeysOfCosign(t *testing.T) {
	eachPeer(t, func(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service) {
		s := newScanned(t)
		image := byCosign(t, k, version, registry, s, "--key", s.key("key.pem"))
		if code, text := s.idp(nil, "verify", "--image", image); code != 0 {
			t.Errorf("idp verify: exit %d\n%s", code, text)
		}
		_, other := keyPair(t)
		write(t, filepath.Join(s.out, "other.pub"), other)
		write(t, filepath.Join(s.out, "policy.yaml"), strings.Replace(rules, "key.pub", "other.pub", 1))
		if code, text := s.idp(nil, "verify", "--image", image, "--policy", filepath.Join(s.out, "policy.yaml")); code != 1 || !strings.Contains(text, "signature") {
			t.Errorf("idp verify with another key: exit %d\n%s", code, text)
		}
	})
}

// Signatures as cosign made them before there were bundles, in tags beside the image, are not evidence: the image is refused
// as unsigned, and that is determined.
func TestSigstoreWeDoNotReadTags(t *testing.T) {
	t.Parallel()
	k := sigstore.Open(t)
	s := newScanned(t)
	image := k.PushImage(t, k.Registry, "acme/tags", s.image())
	env := []string{"COSIGN_PASSWORD=correct horse"}
	if out, complaints, err := k.Cosign(t, "v2", env, "sign", "--key", s.key("key.pem"), "--tlog-upload=false", image); err != nil {
		t.Fatalf("cosign sign: %v\n%s%s", err, out, complaints)
	}
	if out, complaints, err := k.Cosign(t, "v2", nil, "verify", "--key", s.key("key.pub"), "--insecure-ignore-tlog", image); err != nil {
		t.Fatalf("cosign verify: %v\n%s%s", err, out, complaints)
	}
	if code, text := s.idp(nil, "verify", "--image", image); code != 1 || !strings.Contains(text, "signature") {
		t.Errorf("idp verify: exit %d\n%s", code, text)
	}
}
