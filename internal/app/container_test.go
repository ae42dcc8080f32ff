package app_test

import (
	"testing"

	"github.com/org/idp/internal/record"
)

// TestImageFromElsewhereStaysWhereItIs: without a registry, what is signed is the image in the repository that it was taken from.
func TestImageFromElsewhereStaysWhereItIs(t *testing.T) {
	t.Parallel()
	m, s := built(t), newRegistryServer(t)
	m.copyOf("base", "first")
	m.start("sign", "--service", "svc", "--environment", "local", "--out", "first", "--registry", s.repo, "--key", "cosign.key").end(patience, 0)
	image := m.recordAt(m.path("first", "record.json")).Artifact.Reference()

	for _, call := range [][]string{{"sast"}, {"secrets"}, {"build", "--image", image}, {"sign", "--key", "cosign.key"}} {
		m.start(append(call, "--service", "svc", "--environment", "local", "--out", "taken")...).end(patience, 0)
	}
	rec := m.recordAt(m.path("taken", "record.json"))
	signed, err := record.EvidenceOf[record.Sign](rec, record.StageSign)
	check(t, err)
	built, err := record.EvidenceOf[record.Build](rec, record.StageBuild)
	check(t, err)
	if signed.Reference != image || built.Origin != image || built.Type != record.BuiltElsewhere || rec.Artifact.Reference() != image {
		t.Errorf("signed %s, taken from %s (%s), want %s", signed.Reference, built.Origin, built.Type, image)
	}
	// One that was made of a file has no place of its own.
	m.start("build", "--image", "base/image", "--service", "svc", "--environment", "local", "--out", "file").end(patience, 0)
	for _, call := range [][]string{{"sast"}, {"secrets"}} {
		m.start(append(call, "--service", "svc", "--environment", "local", "--out", "file")...).end(patience, 0)
	}
	m.start("sign", "--key", "cosign.key", "--service", "svc", "--environment", "local", "--out", "file").end(patience, 2)
}
