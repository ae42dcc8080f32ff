//go:build e2e

package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/testkit/sigstore"
)

// keylessRules writes a policy that asks for the workflow of a repository, and gives its file.
func keylessRules(s *scanned, k *sigstore.Kit, repository string) string {
	s.t.Helper()
	file := filepath.Join(s.out, "keyless-"+strings.ReplaceAll(repository, "/", "-")+".yaml")
	write(s.t, file, strings.Replace(rules, "signer: {key: key.pub}",
		fmt.Sprintf("signer: {keyless: {issuer: %q, repository: %s, trusted-root: %q}}", k.IssuerURL, repository, k.TrustedRoot), 1))
	return file
}

func keyless(t *testing.T, k *sigstore.Kit, registry *sigstore.Service) *signing {
	t.Helper()
	s := newSigning(t, k, registry, k.Job(t, nil))
	s.policy = keylessRules(s.scanned, k, "acme/checkout")
	s.flags = []string{"--signing-config", k.SigningConfig, "--trusted-root", k.TrustedRoot}
	return s
}

// What idp signs keyless, cosign verifies by the identity of the workflow, and sigstore-go does; another workflow is refused
// by each of them.
func TestSigstoreOthersVerifyOurWorkflow(t *testing.T) {
	eachPeer(t, func(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service) {
		s := keyless(t, k, registry)
		if code, text := s.run(); code != 0 {
			t.Fatalf("idp sign: exit %d\n%s", code, text)
		}
		for name, service := range k.Services() {
			if len(service.Requests()) == 0 {
				t.Errorf("%s was not asked", name)
			}
		}
		image := s.image + "@" + s.record().Artifact.Digest
		cosign := func(workflow string, args ...string) (string, error) {
			args = append(append(args, "--trusted-root", k.TrustedRoot, "--use-signed-timestamps", "--certificate-identity", workflow,
				"--certificate-oidc-issuer", k.IssuerURL, image), newFormat(version)...)
			out, complaints, err := k.Cosign(t, version, nil, args...)
			return out + complaints, err
		}
		if out, err := cosign(sigstore.Workflow, "verify"); err != nil {
			t.Errorf("cosign verify: %v\n%s", err, out)
		}
		for name := range types {
			if out, err := cosign(sigstore.Workflow, "verify-attestation", "--type", name); err != nil {
				t.Errorf("cosign verify-attestation --type %s: %v\n%s", name, err, out)
			}
		}
		const other = "https://github.com/mallory/checkout/.github/workflows/release.yml@refs/heads/main"
		if out, err := cosign(other, "verify"); err == nil {
			t.Errorf("cosign accepts another workflow:\n%s", out)
		}
		if n := sigstoreGo(t, k, image, sigstore.Workflow); n < len(types)+1 {
			t.Errorf("sigstore-go verified %d bundles", n)
		}
		if n := sigstoreGo(t, k, image, other); n != 0 {
			t.Errorf("sigstore-go verified %d bundles of another workflow", n)
		}
		if code, text := s.idp(nil, "verify"); code != 0 {
			t.Errorf("idp verify: exit %d\n%s", code, text)
		}
		if code, text := s.idp(nil, "verify", "--policy", keylessRules(s.scanned, k, "mallory/checkout")); code != 1 {
			t.Errorf("idp verify of another repository: exit %d\n%s", code, text)
		}
	})
}

// sigstoreGo verifies what is attached with the library that others use, with a log entry, a timestamp and the certificate's
// own entry, and gives how many bundles are the workflow's.
func sigstoreGo(t *testing.T, k *sigstore.Kit, image, workflow string) (good int) {
	t.Helper()
	trusted, err := root.NewTrustedRootFromPath(k.TrustedRoot)
	check(t, err)
	verifier, err := verify.NewVerifier(trusted, verify.WithSignedTimestamps(1), verify.WithTransparencyLog(1), verify.WithSignedCertificateTimestamps(1))
	check(t, err)
	identity, err := verify.NewShortCertificateIdentity(k.IssuerURL, "", workflow, "")
	check(t, err)
	_, digest, _ := strings.Cut(image, "@sha256:")
	sum, err := hex.DecodeString(digest)
	check(t, err)
	attached, err := referrers.Registry{}.Read(t.Context(), image)
	check(t, err)
	for _, a := range attached {
		b := new(bundle.Bundle)
		check(t, b.UnmarshalJSON(a.Bundle))
		if _, err := verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithCertificateIdentity(identity))); err == nil {
			good++
		}
	}
	return good
}

// What cosign signs and attests in a job, idp verifies by the identity in the policy; of another repository it is refused, and
// so is what was not logged although the trusted root has a log, as version 2 signs here.
func TestSigstoreWeVerifyWorkflowsOfCosign(t *testing.T) {
	eachPeer(t, func(t *testing.T, k *sigstore.Kit, version string, registry *sigstore.Service) {
		s := newScanned(t)
		image := byCosign(t, k, version, registry, s)
		want := map[string]int{"v2": 1, "v3": 0}[version]
		if code, text := s.idp(nil, "verify", "--image", image, "--policy", keylessRules(s, k, "acme/checkout")); code != want {
			t.Errorf("idp verify: exit %d, expected %d\n%s", code, want, text)
		}
		if code, text := s.idp(nil, "verify", "--image", image, "--policy", keylessRules(s, k, "mallory/checkout")); code != 1 {
			t.Errorf("idp verify of another repository: exit %d\n%s", code, text)
		}
	})
}

// enough is how long a signing may try to reach a service before the test ends it, as the time limit of a job would. Left
// alone it gives up after minutes, which internal/sign tests at every request, by a clock of its own.
const enough = 4 * time.Second

// A service that fails in whichever way, at its first request, one in the middle or its last, leaves no tag and no pass; the exit code is 3, and
// the signing can be completed.
func TestSigstoreServiceFails(t *testing.T) {
	t.Parallel()
	for name, last := range requests(t) {
		for _, fault := range sigstore.Faults {
			for _, at := range slices.Compact([]int{0, last / 2, last}) {
				t.Run(fmt.Sprint(name, " ", fault, " ", at), func(t *testing.T) {
					t.Parallel()
					k := sigstore.Open(t)
					s := keyless(t, k, k.Registry)
					s.fails(k.Services()[name], at, fault, enough)
					s.cut()
				})
			}
		}
	}
}

// fails runs a signing while a service fails from a request on, until a time limit ends it, as that of a job does: it could not be
// determined. The limit counts from the first failure, so that a slow machine comes as far, and it has said these words before. The
// output says what was waited for.
func (s *signing) fails(service *sigstore.Service, from int, fault sigstore.Fault, limit time.Duration, words ...string) string {
	s.t.Helper()
	failed, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	service.FailWhen(func(n int, _ *http.Request) sigstore.Fault {
		if n < from {
			return ""
		}
		once.Do(func() { close(failed) })
		return fault
	})
	cmd := s.start()
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	check(s.t, cmd.Start())
	go func() {
		select {
		case <-failed:
		case <-ended:
			return
		}
		for {
			select {
			case <-time.After(limit):
				if out.has(words) {
					_ = cmd.Process.Signal(os.Interrupt)
					return
				}
				limit = 50 * time.Millisecond
			case <-ended:
				return
			}
		}
	}()
	_ = cmd.Wait() // the exit code says all
	close(ended)
	service.Heal()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		s.t.Errorf("idp sign: exit %d, record %+v\n%s", code, s.record().stage(s.t, "sign"), out.String())
	}
	return out.String()
}

// output is what a program writes, for somebody who reads it meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) has(words []string) bool {
	text := o.String()
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// requests are the numbers of the last request that a whole signing makes of each service, in the one of two that makes fewer; see steps.
func requests(t *testing.T) map[string]int {
	t.Helper()
	last := map[string]int{}
	for i := range 2 {
		k := sigstore.Open(t)
		s := keyless(t, k, k.Registry)
		s.image += fmt.Sprint("-", i)
		if code, text := s.run(); code != 0 {
			t.Fatalf("idp sign: exit %d\n%s", code, text)
		}
		for name, service := range k.Services() {
			n := len(service.Requests()) - 1
			if before, known := last[name]; !known || n < before {
				last[name] = n
			}
		}
	}
	return last
}

// A keyless signing that is killed before any request to any service leaves no tag and no pass, and can be completed.
func TestSigstoreKilledKeyless(t *testing.T) {
	t.Parallel()
	for name, last := range requests(t) {
		for at := range last + 1 {
			t.Run(fmt.Sprint(name, " ", at), func(t *testing.T) {
				t.Parallel()
				k := sigstore.Open(t)
				s := keyless(t, k, k.Registry)
				killAt(t, s.start(), k.Services()[name], at)
				s.cut()
			})
		}
	}
}

// One failure of each service is borne: the signing passes.
func TestSigstoreServiceFailsOnce(t *testing.T) {
	t.Parallel()
	for name := range sigstore.Open(t).Services() {
		for _, fault := range []sigstore.Fault{sigstore.Down, sigstore.ServerError} {
			t.Run(fmt.Sprint(name, " ", fault), func(t *testing.T) {
				t.Parallel()
				k := sigstore.Open(t)
				s := keyless(t, k, k.Registry)
				k.Services()[name].FailWhen(func(n int, _ *http.Request) sigstore.Fault {
					if n == 0 {
						return fault
					}
					return ""
				})
				if code, text := s.run(); code != 0 {
					t.Errorf("idp sign: exit %d\n%s", code, text)
				}
			})
		}
	}
}
