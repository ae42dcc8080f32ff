package app_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A job that only deploys has a policy and no idp.yaml. The action verify holds any image against it, as the command does, and leaves
// what every action leaves: an outcome, a summary and a record, which is not that of an earlier step.
func TestVerifyActionWithoutService(t *testing.T) {
	t.Parallel()
	m, s, digest := delivered(t)
	commit := m.git("rev-parse", "HEAD")
	policy := "name: acme\ndefaults:\n  signer: {key: ../cosign.pub}\n  require: [provenance, sbom]\n  evidence-max-age: 30d\n"
	m.write("deploy", map[string]string{"policy.yaml": policy, "strict.yaml": policy + "environments: {production: {require: [provenance, sbom, tests]}}\n",
		"secrets.yaml": strings.Replace(policy, "provenance, sbom]", "secrets]\n  secrets: {fail-on: low}", 1),
		"run.yaml":     strings.Replace(policy, "../cosign.pub", "run", 1), "empty.yaml": "{}\n"})
	m.inRun()
	m.setenv("RUNNER_TEMP", m.path("temp"))
	pinned := s.repo + "@" + digest
	for name, c := range map[string]struct {
		folder string
		inputs map[string]string
		code   int
		want   []string // of the log
	}{
		"a digest":            {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "policy.yaml"}, 0, []string{"✓ verify", "4 of 4 clauses"}},
		"a tag":               {"deploy", map[string]string{"IMAGE": s.repo + ":" + commit, "POLICY": "policy.yaml"}, 0, []string{"4 of 4 clauses"}},
		"what it is from":     {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "policy.yaml", "REPOSITORY": "svc", "COMMIT": commit}, 0, []string{"4 of 4 clauses"}},
		"another repository":  {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "policy.yaml", "REPOSITORY": "acme/plain"}, 1, []string{"it was built from svc, not from acme/plain"}},
		"another commit":      {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "policy.yaml", "COMMIT": strings.Repeat("a", 40)}, 1, []string{"it was built from commit " + commit[:12]}},
		"an environment":      {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "strict.yaml", "ENVIRONMENT": "production"}, 1, []string{"tests"}},
		"one not listed":      {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "strict.yaml", "ENVIRONMENT": "prodution"}, 0, []string{"policy acme/prodution (which it does not list: its defaults)"}},
		"no provenance asked": {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "secrets.yaml", "REPOSITORY": "acme/plain", "COMMIT": commit}, 1, []string{"it was built from svc, not from acme/plain"}},
		"an empty policy":     {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "empty.yaml"}, 1, []string{"does not say signer"}},
		"no such policy":      {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "none.yaml"}, 2, []string{"there is no policy file none.yaml"}},
		"no policy":           {"deploy", map[string]string{"IMAGE": pinned}, 2, []string{"idp.yaml"}},
		"no image":            {"deploy", map[string]string{"POLICY": "policy.yaml"}, 2, []string{"idp.yaml"}},
		"keyless of nobody":   {"deploy", map[string]string{"IMAGE": pinned, "POLICY": "run.yaml"}, 2, []string{"--repository acme/checkout"}},
		"neither":             {"deploy", map[string]string{"IMAGE": s.repo, "POLICY": "policy.yaml"}, 2, []string{"has neither a digest nor a tag"}},
		"no such tag":         {"deploy", map[string]string{"IMAGE": s.repo + ":none", "POLICY": "policy.yaml"}, 3, []string{"could not be determined", "404"}},
		"a password":          {"deploy", map[string]string{"IMAGE": "ada:s3cr3t@" + pinned, "POLICY": "policy.yaml"}, 2, []string{"without scheme or credentials"}},
	} {
		env := slices.Clone(m.env)
		for input, value := range c.inputs {
			m.setenv("INPUT_"+input, value)
		}
		for _, file := range []string{"output", "step-summary"} {
			check(t, os.RemoveAll(m.path(file)))
		}
		out := m.startIn(c.folder, "verify").end(patience, c.code)
		m.env = env
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: does not say %q:\n%s", name, want, out)
			}
		}
		if strings.Contains(out, "s3cr3t") {
			t.Errorf("%s: shows a password:\n%s", name, out)
		}
		outputs, err := os.ReadFile(m.path("output"))
		check(t, err)
		if c.code == 0 && (!strings.Contains(string(outputs), "\n"+pinned+"\n")) {
			t.Errorf("%s: the outputs do not name the image by digest:\n%s", name, outputs)
		}
		if want := []string{"passed", "failed", "error", "error"}[c.code]; !strings.Contains(string(outputs), "\n"+want+"\n") {
			t.Errorf("%s: the outputs have no %s:\n%s", name, want, outputs)
		}
		summary, err := os.ReadFile(m.path("step-summary"))
		check(t, err)
		if head := map[int]string{0: "passed", 1: "failed", 2: "", 3: "could not be determined"}[c.code]; !strings.Contains(string(summary), head) || strings.Contains(string(summary), "s3cr3t") {
			t.Errorf("%s: the summary is\n%s", name, summary)
		}
	}
	if r := m.recordAt(m.path("deploy", ".idp", "verify.json")); r.Service.Owner != "" || r.Source.Dirty {
		t.Errorf("the record is %+v", r)
	}
}

// Beside an idp.yaml the image is that of the delivery, and what it has to be from is not a question.
func TestVerifyActionOfADelivery(t *testing.T) {
	t.Parallel()
	m, s, digest := delivered(t)
	m.write(".", map[string]string{"policy.yaml": "name: acme\ndefaults:\n  signer: {key: cosign.pub}\n  require: [provenance, sbom]\n  evidence-max-age: 30d\n"})
	args := []string{"verify", "--service", "svc", "--environment", "local", "--image", s.repo + "@" + digest, "--policy", "policy.yaml"}
	m.start(args...).end(patience, 0)
	if out := m.start(append(args, "--repository", "svc")...).end(patience, 2); !strings.Contains(out, "Leave them out.") {
		t.Error(out)
	}
	m.commit(map[string]string{"copy.txt": "changed"})
	m.start(args...).end(patience, 1) // it is not of this commit, which no input can turn off
}

// Two services of one repository, of one commit, signed by one key: neither is delivered as the other.
func TestVerifyAnotherServiceOfTheRepository(t *testing.T) {
	t.Parallel()
	m, s := newMachine(t), newRegistryServer(t)
	key, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	m.commit(map[string]string{"cart/idp.yaml": "name: cart\nowner: team-plain\n", "cart/main.go": "package main\n\nfunc main() {}\n"})
	m.deliver("--registry", s.repo, "--key", key).end(patience, 0)
	m.write(".", map[string]string{"policy.yaml": "name: acme\ndefaults:\n  signer: {key: cosign.pub}\n  require: [provenance, sbom]\n  evidence-max-age: 30d\n"})
	args := []string{"verify", "--environment", "local", "--image", s.repo + "@" + m.record().Artifact.Digest, "--policy", "policy.yaml", "--out", "other"}
	m.start(append(args, "--service", "svc")...).end(patience, 0)
	if out := m.start(append(args, "--service", "svc/cart", "--out", "cart")...).end(patience, 1); !strings.Contains(out, "it was built from the root of svc, not from folder cart: it is another service") {
		t.Error(out)
	}
}
