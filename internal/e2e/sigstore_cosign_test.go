//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	registries "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/testkit/sigstore"
	"github.com/org/idp/internal/testkit/sigstorefake"
)

// byCosign signs an image with cosign and attests every statement that idp makes of it, and gives the image. How cosign is
// to sign is in the flags, such as a key.
func byCosign(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service, s *scanned, flags ...string) string {
	t.Helper()
	return attestedBy(t, k, version, registry, s, k.Job(t, nil), append(flags, k.ForCosign(version)...)...)
}

// attestedBy is byCosign in an environment, with flags that say all of how it is to sign.
func attestedBy(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service, s *scanned, env []string, flags ...string) string {
	t.Helper()
	model := s.signed(registry, unique("model", t))
	ref := k.PushImage(t, registry, unique("theirs", t), s.image())
	env = append(env, "COSIGN_PASSWORD=correct horse")
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

// inTags signs and attests as cosign does by default up to version 2: in tags beside the image.
func inTags(t *testing.T, k *sigstore.Kit, registry *sigstore.Service, s *scanned, env []string, flags ...string) string {
	t.Helper()
	image := attestedBy(t, k, "v2", registry, s, env, flags...)
	for _, suffix := range []string{".sig", ".att"} {
		if _, err := registries.Get(tagOf(t, image, suffix), registries.WithContext(t.Context())); err != nil {
			t.Fatalf("cosign does not keep it in tags: %v", err)
		}
	}
	return image
}

// tagOf is where cosign keeps what it signs of HOST/REPOSITORY@DIGEST.
func tagOf(t *testing.T, image, suffix string) name.Tag {
	t.Helper()
	repository, digest, _ := strings.Cut(image, "@")
	repo, err := name.NewRepository(repository, name.Insecure)
	check(t, err)
	return repo.Tag(strings.Replace(digest, ":", "-", 1) + suffix)
}

// eachRegistry runs a test for each registry.
func eachRegistry(t *testing.T, test func(t *testing.T, k *sigstore.Kit, registry *sigstore.Service)) {
	t.Parallel()
	for kind := range sigstore.Open(t).Registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			k := sigstore.Open(t)
			test(t, k, k.Registries()[kind])
		})
	}
}

// What cosign keeps in tags, idp verifies by a key as it does bundles; by another key it is unsigned, and so is another image to which
// somebody moves the tags.
func TestSigstoreWeVerifyTagsOfCosign(t *testing.T) {
	eachRegistry(t, func(t *testing.T, k *sigstore.Kit, registry *sigstore.Service) {
		s := newScanned(t)
		image := inTags(t, k, registry, s, nil, "--key", s.key("key.pem"), "--tlog-upload=false")
		if code, text := s.idp(nil, "verify", "--image", image); code != 0 {
			t.Errorf("idp verify: exit %d\n%s", code, text)
		}
		alone := func(args ...string) (int, string) {
			cmd := exec.CommandContext(t.Context(), needEnv(t, "IDP_E2E_IDP"), append(args, "--policy", filepath.Join(s.dir, "policy.yaml"))...)
			cmd.Dir = t.TempDir()
			text, _ := cmd.CombinedOutput() // the exit code says all
			return cmd.ProcessState.ExitCode(), string(text)
		}
		if code, text := alone("evidence", image); code != 0 || strings.Count(text, "✓") < len(types)+1 || strings.Contains(text, "? ") {
			t.Errorf("idp evidence: exit %d\n%s", code, text)
		}
		_, other := keyPair(t)
		write(t, filepath.Join(s.out, "other.pub"), other)
		write(t, filepath.Join(s.out, "other.yaml"), strings.Replace(rules, "key.pub", "other.pub", 1))
		if code, text := s.idp(nil, "verify", "--image", image, "--policy", filepath.Join(s.out, "other.yaml")); code != 1 || !strings.Contains(text, "signature") {
			t.Errorf("idp verify with another key: exit %d\n%s", code, text)
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(image, registry.Host()+"/"), "@")
		replayed := k.Push(t, registry, repository)
		for _, suffix := range []string{".sig", ".att"} {
			retag(t, image, suffix, replayed)
		}
		if code, text := alone("verify", replayed); code != 1 || !strings.Contains(text, "not about this digest") {
			t.Errorf("idp verify of an image with the tags of another: exit %d\n%s", code, text)
		}
	})
}

// retag puts what cosign keeps of one image beside another in the same repository.
func retag(t *testing.T, of, suffix, beside string) {
	t.Helper()
	there, err := registries.Get(tagOf(t, of, suffix), registries.WithContext(t.Context()))
	check(t, err)
	check(t, registries.Tag(tagOf(t, beside, suffix), there, registries.WithContext(t.Context())))
}

// Keyless is the same: by a timestamp where the trusted root has no log, and by the log where it has one. A real Rekor v1, as the public
// instance has, cannot be had without a database, so this one is of our tests; all else is real.
func TestSigstoreWeVerifyTagsOfWorkflowsOfCosign(t *testing.T) {
	eachRegistry(t, func(t *testing.T, k *sigstore.Kit, registry *sigstore.Service) {
		log, stranger := sigstorefake.Start(t, sigstorefake.Options{Rekor: 1}), sigstorefake.Start(t, sigstorefake.Options{Rekor: 1})
		stamped := []string{"--timestamp-server-url", k.Timestamp.URL + "/api/v1/timestamp"}
		logged := []string{"--rekor-url", log.URL}
		for form, c := range map[string]struct {
			flags        []string
			trust, other string // trusted roots: of the instance that signs, and one that asks for another proof
		}{
			"timestamp":         {append(stamped, "--tlog-upload=false"), withLogs(t, k.TrustedRoot, nil), k.TrustedRoot},
			"log":               {logged, withLogs(t, k.TrustedRoot, log), withLogs(t, k.TrustedRoot, stranger)},
			"log and timestamp": {append(logged, stamped...), withLogs(t, k.TrustedRoot, log), withLogs(t, k.TrustedRoot, stranger)},
		} {
			t.Run(form, func(t *testing.T) {
				t.Parallel()
				s := newScanned(t)
				env := append(k.Job(t, nil), "SIGSTORE_REKOR_PUBLIC_KEY="+log.LogKey())
				image := inTags(t, k, registry, s, env, append(c.flags, "--fulcio-url", k.Fulcio.URL, "--insecure-skip-verify")...)
				by := *k
				by.TrustedRoot = c.trust
				for repository, want := range map[string]int{"acme/checkout": 0, "mallory/checkout": 1} {
					if code, text := s.idp(nil, "verify", "--image", image, "--policy", keylessRules(s, &by, repository)); code != want {
						t.Errorf("idp verify as %s: exit %d, expected %d\n%s", repository, code, want, text)
					}
				}
				by.TrustedRoot = c.other
				if code, text := s.idp(nil, "verify", "--image", image, "--policy", keylessRules(s, &by, "acme/checkout")); code != 1 || !strings.Contains(text, "log inclusion") {
					t.Errorf("idp verify with the log of others: exit %d\n%s", code, text)
				}
			})
		}
	})
}

// withLogs is a trusted root in which the log of signatures is that of an instance; of none without one.
func withLogs(t *testing.T, trustedRoot string, of *sigstorefake.Instance) string {
	t.Helper()
	data, err := os.ReadFile(trustedRoot)
	check(t, err)
	var parts, others map[string]any
	check(t, json.Unmarshal(data, &parts))
	delete(parts, "tlogs")
	if of != nil {
		check(t, json.Unmarshal(of.TrustedRoot(), &others))
		parts["tlogs"] = others["tlogs"]
	}
	data, err = json.Marshal(parts)
	check(t, err)
	file := filepath.Join(t.TempDir(), "trusted-root.json")
	write(t, file, string(data))
	return file
}
