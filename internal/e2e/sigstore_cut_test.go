//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	gcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/testkit/sigstore"
)

// signing is a run of idp sign, into a repository of its own, that something goes wrong with.
type signing struct {
	*scanned
	k     *sigstore.Kit
	image string   // HOST:PORT/REPOSITORY
	env   []string // of the job
	flags []string // whose signature
}

func newSigning(t *testing.T, k *sigstore.Kit, registry *sigstore.Service, env []string, flags ...string) *signing {
	t.Helper()
	return &signing{scanned: newScanned(t), k: k, image: registry.Host() + "/acme/" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "").Replace(t.Name())),
		env: env, flags: flags}
}

func withKey(t *testing.T, k *sigstore.Kit, registry *sigstore.Service) *signing {
	t.Helper()
	s := newSigning(t, k, registry, nil)
	s.flags = []string{"--key", s.key("key.pem")}
	return s
}

func (s *signing) start() *exec.Cmd {
	s.t.Helper()
	return s.command(s.env, append([]string{"sign", "--registry", s.image}, s.flags...)...)
}

func (s *signing) run() (int, string) {
	s.t.Helper()
	return s.idp(s.env, append([]string{"sign", "--registry", s.image}, s.flags...)...)
}

// cut wants what has to be so after a signing that was cut off: no tag, unless of an image that verifies, and a record that is
// no pass. Then the same signing completes, of the image that was built before, and the image verifies.
func (s *signing) cut() {
	s.t.Helper()
	built := s.record().stage(s.t, "build")
	if rec := s.record(); rec.Outcome == "passed" || rec.stage(s.t, "sign").Outcome != "error" {
		s.t.Errorf("the record is %s, its stage sign %+v", rec.Outcome, rec.stage(s.t, "sign"))
	}
	repository, err := name.NewRepository(s.image, name.Insecure)
	check(s.t, err)
	verify := []string{"verify", "--image", s.image + "@" + s.record().Artifact.Digest}
	if tags := s.tags(repository); len(tags) > 0 {
		if code, text := s.idp(nil, verify...); code != 0 {
			s.t.Errorf("tags of an image that is not signed: %q: exit %d\n%s", tags, code, text)
		}
	}
	if code, text := s.run(); code != 0 {
		s.t.Fatalf("idp sign again: exit %d\n%s", code, text)
	}
	if again := s.record().stage(s.t, "build"); string(again.Evidence) != string(built.Evidence) {
		s.t.Errorf("built again:\n%s\nbefore:\n%s", again.Evidence, built.Evidence)
	}
	if tags := s.tags(repository); len(tags) != 1 {
		s.t.Errorf("tags after the signing: %q", tags)
	}
	if code, text := s.idp(nil, verify...); code != 0 {
		s.t.Errorf("idp verify: exit %d\n%s", code, text)
	}
}

// tags are those that point at images; a registry without a list of referrers has one for them, too.
func (s *signing) tags(repository name.Repository) []string {
	s.t.Helper()
	tags, err := gcr.List(repository)
	if err != nil && !strings.Contains(err.Error(), "NAME_UNKNOWN") {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "sha256-") })
}

// steps are the requests of a whole signing, and the first of each kind among them: nothing else lies between two of the same. They are
// those of the shorter of two, since a machine that stood still may have made one ask again, and no other signing comes as far then.
func steps(t *testing.T, kind string) (all int, kinds []int) {
	t.Helper()
	var requests []string
	for i := range 2 {
		k := sigstore.Open(t)
		s := withKey(t, k, k.Registries()[kind])
		s.image += fmt.Sprint("-", i)
		if code, text := s.run(); code != 0 {
			t.Fatalf("idp sign: exit %d\n%s", code, text)
		}
		if made := k.Registries()[kind].Requests(); i == 0 || len(made) < len(requests) {
			requests = made
		}
	}
	seen := map[string]bool{}
	for i, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		kind := method
		for _, part := range []string{"/manifests/", "/blobs/uploads/", "/blobs/", "/referrers/"} {
			if strings.Contains(path, part) {
				kind += part
				break
			}
		}
		if !seen[kind] {
			kinds = append(kinds, i)
		}
		seen[kind] = true
	}
	return len(requests), kinds
}

// A signing that is killed before any of its requests leaves no tag and no pass, and can be completed.
func TestSigstoreKilledAnywhere(t *testing.T) {
	t.Parallel()
	for kind := range sigstore.Open(t).Registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			all, kinds := steps(t, kind)
			last := all - 8 // from here on it is about the tag
			for at := range all {
				if kind == "fallback tag" && at < last && !slices.Contains(kinds, at) {
					continue // its requests differ, but not what lies between them
				}
				t.Run(fmt.Sprint(at), func(t *testing.T) {
					t.Parallel()
					k := sigstore.Open(t)
					registry := k.Registries()[kind]
					s := withKey(t, k, registry)
					cmd := s.start()
					killAt(t, cmd, registry, at)
					s.cut()
				})
			}
		})
	}
}

// killAt runs a program and kills it when it makes its request number at to a service, which does not see that one.
func killAt(t *testing.T, cmd *exec.Cmd, service *sigstore.Service, at int) {
	t.Helper()
	var started sync.WaitGroup
	started.Add(1)
	service.FailWhen(func(n int, _ *http.Request) sigstore.Fault {
		if n < at {
			return ""
		}
		started.Wait()
		_ = cmd.Process.Kill() // a second request finds it dead
		return sigstore.Down
	})
	check(t, cmd.Start())
	started.Done()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("idp sign ended with %v", err)
	}
	service.Heal()
}

// A registry that fails from any kind of request on leaves no tag and no pass; the exit code is 3, and the signing can be
// completed.
func TestSigstoreRegistryFails(t *testing.T) {
	t.Parallel()
	for kind := range sigstore.Open(t).Registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, kinds := steps(t, kind)
			for _, fault := range []sigstore.Fault{sigstore.Down, sigstore.ServerError, sigstore.Garbage, sigstore.Slow, sigstore.Trickle} {
				for _, at := range kinds {
					if fault == sigstore.Trickle && at > 0 {
						continue // of what is left then, nothing may have an answer that anybody reads
					}
					t.Run(fmt.Sprint(fault, " ", at), func(t *testing.T) {
						t.Parallel()
						k := sigstore.Open(t)
						registry := k.Registries()[kind]
						s := withKey(t, k, registry)
						limit := time.Minute
						if fault == sigstore.Slow || fault == sigstore.Trickle {
							limit = enough // left alone it gives up after minutes, which internal/sign tests
						}
						s.fails(registry, at, fault, limit)
						s.cut()
					})
				}
			}
		})
	}
}

// While a registry does not answer, the log says every ten seconds what is waited for.
func TestSigstoreRegistryIsSilent(t *testing.T) {
	t.Parallel()
	k := sigstore.Open(t)
	s := withKey(t, k, k.Registry)
	words := []string{"… sign", "pushing " + s.image}
	out := s.fails(k.Registry, 0, sigstore.Slow, time.Second, words...) // left alone it would give up after a minute
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("it does not say what is waited for, %q:\n%s", w, out)
		}
	}
	s.cut()
}
