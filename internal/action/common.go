package action

import (
	"strings"

	"github.com/org/idp/internal/finding"
)

// The inputs below mean the same in every action that has them, so they are declared here and nowhere else.

// Common is what every action takes.
type Common struct {
	Service, Environment, Policy, Record, Out string
}

// Declare declares the inputs of every action.
func (c *Common) Declare(s *Set) {
	s.String(&c.Service, Input{Name: "service", Default: ".", Example: "services/checkout",
		Usage: "Folder of the service, where its idp.yaml is."})
	s.String(&c.Environment, Input{Name: "environment", Example: "staging",
		Usage: "Environment that is delivered to. Default: local for the local target, else the only one in idp.yaml."})
	s.String(&c.Policy, Input{Name: "policy", Example: "policy.yaml",
		Usage: "Policy file. Default: the one built in."})
	s.String(&c.Record, Input{Name: "record", Example: "record.json",
		Usage: "File of the delivery record. Default: idp/record.json below the runner's temporary folder, else record.json in the output folder."})
	s.String(&c.Out, Input{Name: "out", Default: ".idp", Example: ".idp",
		Usage: "Folder for everything that is written for people and other tools to read."})
}

// Reports is what every scanning action takes.
type Reports struct {
	SARIF, JSON, FailOn, Baseline string
}

// Declare declares the inputs of a scanning action.
func (r *Reports) Declare(s *Set) {
	s.String(&r.SARIF, Input{Name: "sarif", Example: "findings.sarif", Usage: "File for the findings as SARIF 2.1.0, besides those in the output folder."})
	s.String(&r.JSON, Input{Name: "json", Example: "findings.json", Usage: "File for the findings as JSON."})
	s.String(&r.FailOn, Input{Name: "fail-on", OneOf: finding.Thresholds(), Example: "medium",
		Usage: "Lowest severity that fails the gate. Default: what the policy says. A gap in coverage is an error whatever it is."})
	s.String(&r.Baseline, Input{Name: "baseline", Example: "origin/main",
		Usage: "What was there before and does not fail: a git ref to compare with, or a file, which is a baseline or SARIF. Default: where the branch left the default branch, and idp-baseline.json."})
}

// Import declares the SARIF of other scanners. It is not called sarif, as the file that is written is.
func Import(s *Set, target *[]string) {
	s.List(target, Input{Name: "import", Example: "findings/*.sarif",
		Usage: "SARIF 2.1.0 files of other scanners, whose findings go through the same gate. A pattern that matches no file is an error."})
}

// Tests declares the results of the tests of the service.
func Tests(s *Set, target *[]string) {
	s.List(target, Input{Name: "tests", Example: "test.json",
		Usage: "Results of the tests on this commit, as JUnit XML or as go test -json. A test that failed keeps the image from being pushed and signed; what passed is signed. A pattern that matches no file is an error."})
}

// Platform declares what the service is built for.
func Platform(s *Set, target *string) {
	s.String(target, Input{Name: "platform", Example: "linux/amd64,linux/arm64",
		Usage: "Platform of the image, as OS/ARCH, and so of the code that is compiled and scanned; several with commas make an image for each of them and an index. Default: linux on the architecture of this machine, or this machine itself for the local target."})
}

// Platforms takes the input platform apart.
func Platforms(input string) []string {
	list := strings.Split(input, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// Registry declares where images are.
func Registry(s *Set, target *string) {
	s.String(target, Input{Name: "registry", Example: "ghcr.io/acme/checkout",
		Usage: "Registry and repository of the image. Default for the local target: a registry in this process."})
}

// Key declares the signing key.
func Key(s *Set, target *string) {
	s.String(target, Input{Name: "key", Example: "cosign.key",
		Usage: "The cosign key: a file, or env://NAME for what a variable holds; the private one signs, either one verifies. A build with -tags kms takes the references of a key management service, too. Its password is taken from COSIGN_PASSWORD. Default for the local target: a key made for the run; else a job with the permission id-token: write signs keyless."})
}

// Target declares the deploy target.
func Target(s *Set, target *string) {
	s.String(target, Input{Name: "target", Default: "kubernetes", OneOf: []string{"local", "kubernetes"}, Example: "local",
		Usage: "Where the service runs: local is a process on this machine."})
}
