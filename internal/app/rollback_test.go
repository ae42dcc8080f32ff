package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
)

// Whoever goes back by hand leaves on the image that is live again what a deploy leaves: signed with the same key. Without a key
// nothing is said and that is said; when the registry is down the release is live, and that is no success.
func TestRollbackSaysSoOnTheImage(t *testing.T) {
	t.Parallel()
	m, s := newMachine(t), newRegistryServer(t)
	key, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	var digests, commits []string
	for _, text := range []string{"one", "two", "three"} {
		m.commit(map[string]string{"copy.txt": text})
		m.deliver("--registry", s.repo, "--key", key, "--keep").end(patience, 0)
		digests, commits = append(digests, m.record().Artifact.Digest), append(commits, m.git("rev-parse", "HEAD"))
	}
	back := func(code int, args ...string) (string, record.Attest) {
		t.Helper()
		out := m.start(append([]string{"rollback", "--service", "svc", "--target", "local", "--out", "out"}, args...)...).end(patience, code)
		said, _ := record.EvidenceOf[record.Attest](m.record(), record.StageAttest)
		return out, said
	}
	evidence := func(digest string) string {
		t.Helper()
		return m.start("evidence", s.repo+"@"+digest, "--key", "cosign.pub").end(patience, 0)
	}
	if n := strings.Count(evidence(digests[1]), "live in local"); n != 1 {
		t.Fatalf("said %d times to be live before anybody went back", n)
	}
	out, said := back(0, "--key", key)
	if said.Reference != s.repo+"@"+digests[1] || said.Added != 1 || len(said.Predicates) != 1 || !strings.Contains(out, "deployment → "+s.repo) {
		t.Errorf("%+v\n%s", said, out)
	}
	m.wantLive(commits[1])
	if out := evidence(digests[1]); strings.Count(out, "live in local") != 2 {
		t.Errorf("it does not say that it is live again:\n%s", out)
	}

	s.answer(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	out, _ = back(3, "--key", key)
	if !strings.Contains(out, "Do not run this again") || strings.Contains(out, "run this again.") {
		t.Error(out)
	}
	s.answer(nil)
	m.wantLive(commits[0])
	if got := strings.Join(outcomes(m.record()), ", "); !strings.Contains(got, "rollback passed, smoke passed, attest error, catalog passed") {
		t.Error(got)
	}

	m.deliver("--registry", s.repo, "--key", key, "--keep").end(patience, 0)
	before := evidence(digests[1])
	if out, _ := back(2, "--key", "none.key"); !strings.Contains(out, "none.key") {
		t.Error(out)
	}
	m.wantLive(commits[2])
	if out, _ := back(0); !strings.Contains(out, "nothing is given to sign it with") {
		t.Error(out)
	}
	if evidence(digests[1]) != before {
		t.Error("something was said without a key")
	}
	m.start("stop", "--out", "out").end(patience, 0)
}
