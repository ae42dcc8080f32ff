package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/record"
)

// comparison is one image that is ready to be signed, and the statements about it.
type comparison struct {
	dir      string // with service (a repository), out (the image and the record), policies and keys
	idp      string // the program, an absolute path
	instance string // folder of the services
	services struct{ Registry, Issuer string }
	digest   string
	attested []predicate
	out      io.Writer
}

// predicate is what cosign attests: the same that idp does.
type predicate struct{ kind, file string }

// mode is whose signature it is.
type mode struct {
	name            string
	policy          string   // file
	ours            []string // flags of idp sign
	signs, verifies []string // flags of cosign
}

func (b *comparison) path(name string) string { return filepath.Join(b.dir, name) }

func (b *comparison) keyless() mode {
	config, trust := filepath.Join(b.instance, "signing-config.json"), filepath.Join(b.instance, "trusted-root.json")
	return mode{name: "keyless, the job's token, a certificate, a log and a time", policy: b.path("keyless.yaml"),
		ours:  []string{"--signing-config", config, "--trusted-root", trust},
		signs: []string{"--signing-config", config, "--trusted-root", trust},
		verifies: []string{"--trusted-root", trust, "--use-signed-timestamps", "--certificate-oidc-issuer", b.services.Issuer, "--certificate-identity",
			"https://github.com/acme/checkout/.github/workflows/release.yml@refs/heads/main"}}
}

func (b *comparison) key() mode {
	return mode{name: "a key, nobody is asked", policy: b.path("policy.yaml"), ours: []string{"--key", b.path("cosign.key")},
		signs:    []string{"--key", b.path("cosign.key"), "--signing-config", b.path("nobody.json")},
		verifies: []string{"--key", b.path("cosign.pub"), "--insecure-ignore-tlog"}}
}

const policy = `name: bench
defaults:
  signer: SIGNER
  require: [provenance, sbom, sast, secrets]
  sast: {fail-on: high}
  secrets: {fail-on: low}
  evidence-max-age: 1d
`

// prepare scans and builds the service, and signs it once, so that cosign can attest what idp does.
func (b *comparison) prepare(ctx context.Context, service string) error {
	data, err := os.ReadFile(filepath.Join(b.instance, "services.json")) // #nosec G304 -- of whoever started this
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &b.services); err != nil {
		return err
	}
	if err := os.CopyFS(b.path("service"), os.DirFS(service)); err != nil {
		return err
	}
	trust := filepath.Join(b.instance, "trusted-root.json")
	for name, text := range map[string]string{
		"event.json":       "{}",
		"service/idp.yaml": "name: plain\nowner: team-plain\nenvironments: {staging: {}}\n",
		"policy.yaml":      strings.Replace(policy, "SIGNER", "{key: cosign.pub}", 1),
		"keyless.yaml":     strings.Replace(policy, "SIGNER", fmt.Sprintf("{keyless: {issuer: %q, repository: acme/checkout, trusted-root: %q}}", b.services.Issuer, trust), 1),
	} {
		if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"git", "-C", "service", "init", "-q", "-b", "main"},
		{"git", "-C", "service", "remote", "add", "origin", "https://github.com/acme/checkout"},
		{"git", "-C", "service", "add", "-A"},
		{"git", "-C", "service", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-qm", "service"},
		{"cosign-v3", "generate-key-pair"},
		{"cosign-v3", "signing-config", "create", "--out", "nobody.json"},
	} {
		if _, err := b.call(ctx, args...); err != nil {
			return err
		}
	}
	for _, stage := range []string{"sast", "secrets", "build"} {
		if _, err := b.stage(ctx, b.path("policy.yaml"), stage); err != nil {
			return err
		}
	}
	model := b.services.Registry + "/bench/model"
	if _, err := b.stage(ctx, b.path("policy.yaml"), "sign", "--registry", model, "--key", b.path("cosign.key")); err != nil {
		return err
	}
	rec, err := record.Read(b.path("out/record.json"))
	if err != nil {
		return err
	}
	b.digest = rec.Artifact.Digest
	return b.statements(ctx, model+"@"+b.digest)
}

// statements writes what idp attested as predicates for cosign.
func (b *comparison) statements(ctx context.Context, model string) error {
	for _, kind := range []string{"slsaprovenance1", "cyclonedx", "spdxjson", "https://in-toto.io/attestation/test-result/v0.1"} {
		out, err := b.call(ctx, "cosign-v3", "verify-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog", "--type", kind, model)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			var envelope struct{ Payload string }
			if json.Unmarshal([]byte(line), &envelope) != nil || envelope.Payload == "" {
				continue // what cosign tells people
			}
			payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
			if err != nil {
				return err
			}
			var statement struct{ Predicate json.RawMessage }
			if err := json.Unmarshal(payload, &statement); err != nil {
				return err
			}
			file := b.path(fmt.Sprintf("predicate-%d.json", len(b.attested)))
			if err := os.WriteFile(file, statement.Predicate, 0o600); err != nil {
				return err
			}
			b.attested = append(b.attested, predicate{kind, file})
		}
	}
	_, err := fmt.Fprintf(b.out, "one image, a signature and %d statements\n", len(b.attested))
	return err
}

// ours signs and verifies with idp.
func (b *comparison) ours(ctx context.Context, m mode, round int) (s sample, err error) {
	repository := fmt.Sprintf("%s/bench/ours-%d-%d", b.services.Registry, round, time.Now().UnixNano())
	if s.sign, err = b.stage(ctx, m.policy, append([]string{"sign", "--registry", repository}, m.ours...)...); err != nil {
		return s, err
	}
	s.verify, err = b.stage(ctx, m.policy, "verify")
	return s, err
}

// theirs signs, attests and verifies with cosign, one call for each thing as it is meant to be used.
func (b *comparison) theirs(ctx context.Context, m mode, round int) (s sample, err error) {
	image := fmt.Sprintf("%s/bench/theirs-%d-%d@%s", b.services.Registry, round, time.Now().UnixNano(), b.digest)
	if err := b.push(ctx, image); err != nil {
		return s, err
	}
	begun := time.Now()
	if _, err = b.call(ctx, append(append([]string{"cosign-v3", "sign"}, m.signs...), image)...); err != nil {
		return s, err
	}
	kinds := map[string]bool{}
	for _, p := range b.attested {
		kinds[p.kind] = true
		if _, err = b.call(ctx, append(append([]string{"cosign-v3", "attest", "--type", p.kind, "--predicate", p.file}, m.signs...), image)...); err != nil {
			return s, err
		}
	}
	s.sign, begun = time.Since(begun), time.Now()
	if _, err = b.call(ctx, append(append([]string{"cosign-v3", "verify"}, m.verifies...), image)...); err != nil {
		return s, err
	}
	for kind := range kinds {
		if _, err = b.call(ctx, append(append([]string{"cosign-v3", "verify-attestation", "--type", kind}, m.verifies...), image)...); err != nil {
			return s, err
		}
	}
	s.verify = time.Since(begun)
	return s, nil
}

// push puts the image where cosign finds it, which is not measured.
func (b *comparison) push(ctx context.Context, image string) error {
	index, err := layout.ImageIndexFromPath(b.path("out/image"))
	if err != nil {
		return err
	}
	manifests, err := index.IndexManifest()
	if err != nil {
		return err
	}
	img, err := index.Image(manifests.Manifests[0].Digest)
	if err != nil {
		return err
	}
	ref, err := name.NewDigest(image, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithContext(ctx))
}

// stage runs idp, and gives the time from the start of the process to its end.
func (b *comparison) stage(ctx context.Context, policy string, args ...string) (time.Duration, error) {
	begun := time.Now()
	_, err := b.call(ctx, append(append([]string{b.idp}, args...), "--service", "service", "--environment", "staging", "--policy", policy,
		"--out", "out", "--record", "out/record.json")...)
	return time.Since(begun), err
}

func (b *comparison) call(ctx context.Context, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) // #nosec G204 -- programs that are measured
	cmd.Dir, cmd.Stderr = b.dir, &stderr
	cmd.Env = append(os.Environ(), "COSIGN_YES=true", "COSIGN_PASSWORD=bench",
		// A job of GitHub, which alone may sign keyless; its token is in the environment already.
		"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=workflow_dispatch", "GITHUB_EVENT_PATH="+b.path("event.json"), "GITHUB_SERVER_URL=https://github.com",
		"GITHUB_REPOSITORY=acme/checkout", "GITHUB_REF=refs/heads/main", "GITHUB_ACTOR=octocat", "GITHUB_RUN_ID=3003", "GITHUB_RUN_ATTEMPT=1")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}
