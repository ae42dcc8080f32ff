//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/sigstore"
)

// A deploy is behind the same gate: what the workflow of the repository signed comes live, and for another repository's policy
// nothing is changed. What became of it is said by the job of the deploy.
func TestSigstoreGatesADeploy(t *testing.T) {
	t.Parallel()
	k := sigstore.Open(t)
	s := keyless(t, k, k.Registry)
	if code, text := s.run(); code != 0 {
		t.Fatalf("idp sign: exit %d\n%s", code, text)
	}
	t.Cleanup(func() { s.stop() })
	code, text := s.idp(nil, "deploy", "--target", "local", "--policy", keylessRules(s.scanned, k, "mallory/checkout"))
	if code != 1 || !strings.Contains(text, "mallory/checkout") {
		t.Errorf("idp deploy for another repository: exit %d\n%s", code, text)
	}
	if running := s.stop(); !strings.Contains(running, "nothing runs") {
		t.Errorf("it runs:\n%s", running)
	}
	image := s.image + "@" + s.record().Artifact.Digest
	before := sigstoreGo(t, k, image, sigstore.Workflow)
	if code, text := s.idp(s.env, append([]string{"deploy", "--target", "local"}, s.flags...)...); code != 0 {
		t.Errorf("idp deploy: exit %d\n%s", code, text)
	}
	// The verdict and the deployment are signed by the job, too.
	if after := sigstoreGo(t, k, image, sigstore.Workflow); s.record().stage(t, "attest").Outcome != "passed" || after != before+2 {
		t.Errorf("%d statements before the deploy, %d after it; %+v", before, after, s.record().stage(t, "attest"))
	}
	if running := s.stop(); !strings.Contains(running, " of plain in staging") {
		t.Errorf("it did not run:\n%s", running)
	}
}

// stop ends what runs, and gives what idp says of it.
func (s *scanned) stop() string {
	s.t.Helper()
	text, err := exec.Command(needEnv(s.t, "IDP_E2E_IDP"), "stop", "--out", s.out).CombinedOutput()
	check(s.t, err)
	return string(text)
}
