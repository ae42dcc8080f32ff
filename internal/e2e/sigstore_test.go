//go:build e2e

package e2e

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/org/idp/internal/testkit/sigstore"
)

// scanned is a delivery that is ready to be signed: a service with its scans and its image, which are made once.
type scanned struct {
	t      *testing.T
	origin string // the repository
	dir    string // key.pem, key.pub and policy.yaml
	out    string // the image, the SBOMs and the record; each test has its own
	policy string // file; empty for that of dir
}

var scans struct {
	sync.Once
	dir string
	err error
}

// newScanned gives a test its own copy.
func newScanned(t *testing.T) *scanned {
	t.Helper()
	scans.Do(func() { scans.dir, scans.err = scan(t) })
	if scans.err != nil {
		t.Fatal(scans.err)
	}
	s := &scanned{t: t, dir: scans.dir, origin: filepath.Join(scans.dir, "origin"), out: filepath.Join(t.TempDir(), "out")}
	copyDir(t, s.out, filepath.Join(scans.dir, "out"))
	return s
}

func scan(t *testing.T) (string, error) {
	dir, err := os.MkdirTemp("", "idp-signing-")
	if err != nil {
		return "", err
	}
	private, public := keyPair(t)
	copyDir(t, filepath.Join(dir, "origin"), inRepo("testdata", "services", "plain"))
	write(t, filepath.Join(dir, "event.json"), "{}")
	write(t, filepath.Join(dir, "key.pem"), private)
	write(t, filepath.Join(dir, "key.pub"), public)
	write(t, filepath.Join(dir, "policy.yaml"), rules)
	s := &scanned{t: t, origin: filepath.Join(dir, "origin"), dir: dir, out: filepath.Join(dir, "out")}
	r := &repository{t, s.origin}
	write(t, filepath.Join(s.origin, "idp.yaml"), "name: plain\nowner: team-plain\nenvironments: {staging: {}}\n")
	r.git("init", "--quiet", "--initial-branch", "main")
	r.git("remote", "add", "origin", remote)
	r.commit()
	for _, stage := range []string{"sast", "secrets", "build"} {
		if code, text := s.idp(nil, stage); code != 0 {
			return dir, errors.New("idp " + stage + ": " + text)
		}
	}
	return dir, nil
}

// idp runs a stage with the record of this delivery, and gives its exit code and all that it wrote.
func (s *scanned) idp(env []string, args ...string) (int, string) {
	s.t.Helper()
	cmd := s.command(env, args...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

func (s *scanned) command(env []string, args ...string) *exec.Cmd {
	s.t.Helper()
	args = append(args, "--service", s.origin, "--environment", "staging", "--out", s.out, "--record", filepath.Join(s.out, "record.json"))
	if !slices.Contains(args, "--policy") {
		args = append(args, "--policy", cmp.Or(s.policy, filepath.Join(s.dir, "policy.yaml")))
	}
	cmd := exec.CommandContext(s.t.Context(), needEnv(s.t, "IDP_E2E_IDP"), args...)
	cmd.Env = append(withoutTokens(), "COSIGN_PASSWORD=correct horse", "DOCKER_CONFIG="+s.t.TempDir())
	// All of it is one job of GitHub, which only some stages are given the token of.
	cmd.Env = append(cmd.Env, "GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=workflow_dispatch", "GITHUB_EVENT_PATH="+filepath.Join(s.dir, "event.json"),
		"GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=acme/checkout", "GITHUB_REF=refs/heads/main", "GITHUB_ACTOR=octocat",
		"GITHUB_RUN_ID=3003", "GITHUB_RUN_ATTEMPT=1")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// withoutTokens is the environment without what lets a job ask for a token, which only some tests are.
func withoutTokens() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ACTIONS_ID_TOKEN_") {
			env = append(env, v)
		}
	}
	return env
}

func (s *scanned) record() aRecord {
	s.t.Helper()
	rec, err := readRecord(filepath.Join(s.out, "record.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}

// signed signs with the key into a registry and gives the image.
func (s *scanned) signed(registry *sigstore.Service, repository string) string {
	s.t.Helper()
	image := registry.Host() + "/" + repository
	if code, text := s.idp(nil, "sign", "--registry", image, "--key", filepath.Join(s.dir, "key.pem")); code != 0 {
		s.t.Fatalf("idp sign: exit %d\n%s", code, text)
	}
	return image + "@" + s.record().Artifact.Digest
}

func (s *scanned) key(name string) string { return filepath.Join(s.dir, name) }

// types are the predicates that idp attaches, in the words of cosign where it has one.
var types = map[string]string{
	"slsaprovenance1": "https://slsa.dev/provenance/v1", "cyclonedx": "https://cyclonedx.org/bom", "spdxjson": "https://spdx.dev/Document",
	"https://in-toto.io/attestation/test-result/v0.1": "https://in-toto.io/attestation/test-result/v0.1",
}

// newFormat is what version 2 has to be told.
func newFormat(version string) []string {
	if version == "v2" {
		return []string{"--new-bundle-format"}
	}
	return nil
}

// eachPeer runs a test for each version of cosign and each registry.
func eachPeer(t *testing.T, test func(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service)) {
	t.Parallel()
	for _, version := range sigstore.Versions {
		for kind := range sigstore.Open(t).Registries() {
			t.Run("cosign "+version+", "+kind, func(t *testing.T) {
				t.Parallel()
				k := sigstore.Open(t)
				test(t, k, version, k.Registries()[kind])
			})
		}
	}
}

// What idp signs with a key, cosign verifies with the public half: the image and each statement; with another key, or a type
// that nobody attested, nothing.
func TestSigstoreCosignVerifiesOurKey(t *testing.T) {
	eachPeer(t, func(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service) {
		s := newScanned(t)
		image := s.signed(registry, "acme/ours-"+version)
		cosign := func(key string, args ...string) (string, error) {
			args = append(append(args, "--key", key, "--insecure-ignore-tlog", "--trusted-root", k.TrustedRoot, image), newFormat(version)...)
			out, complaints, err := k.Cosign(t, version, nil, args...)
			if err != nil {
				out = complaints
			}
			return out, err
		}
		if out, err := cosign(s.key("key.pub"), "verify"); err != nil || !strings.Contains(out, s.record().Artifact.Digest) {
			t.Errorf("cosign verify: %v\n%s", err, out)
		}
		for name, uri := range types {
			out, err := cosign(s.key("key.pub"), "verify-attestation", "--type", name)
			if err != nil {
				t.Errorf("cosign verify-attestation --type %s: %v\n%s", name, err, out)
				continue
			}
			if got := claimed(t, out)[0]; got.PredicateType != uri || "sha256:"+got.Subject[0].Digest["sha256"] != s.record().Artifact.Digest {
				t.Errorf("--type %s gave a statement of type %s about %v", name, got.PredicateType, got.Subject)
			}
		}
		if out, err := cosign(s.key("key.pub"), "verify-attestation", "--type", "vuln"); err == nil {
			t.Errorf("cosign finds an attestation that nobody made:\n%s", out)
		}
		_, other := keyPair(t)
		write(t, filepath.Join(s.out, "other.pub"), other)
		if out, err := cosign(filepath.Join(s.out, "other.pub"), "verify"); err == nil {
			t.Errorf("cosign accepts another key:\n%s", out)
		}
	})
}

// aStatement is an in-toto statement as others read it.
type aStatement struct {
	PredicateType string
	Subject       []struct{ Digest map[string]string }
	Predicate     json.RawMessage
}

// claimed reads what cosign verify-attestation prints: an envelope a line.
func claimed(t *testing.T, out string) (list []aStatement) {
	t.Helper()
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var envelope struct{ Payload string }
		var statement aStatement
		if err := json.Unmarshal([]byte(line), &envelope); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &statement); err != nil {
			t.Fatal(err)
		}
		list = append(list, statement)
	}
	if len(list) == 0 {
		t.Fatalf("cosign printed no statement:\n%s", out)
	}
	return list
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
