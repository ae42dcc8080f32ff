package reading

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/evidence"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/ui"
	"github.com/org/idp/internal/verify"
)

// What idp verify is as a gate of its own, for the help.
const (
	AloneUsage = "--policy FILE [--environment NAME] [--key FILE | --trusted-root FILE] [--repository OWNER/NAME] [--commit SHA]"
	AloneDoes  = "Holds an image of anyone against a policy: no idp.yaml and no git are needed, and no record is written."
)

// ImageInputs are what the commands take that are about an image of anyone, outside of any service.
type ImageInputs struct {
	policyFile, environment string
	key, trustedRoot        string
	repository, commit      string
	json                    bool

	policy *policy.Policy
	rules  policy.Rules
	image  oci.Resolved
}

func (in *ImageInputs) declareFor(s *action.Set, name string) {
	s.String(&in.policyFile, action.Input{Name: "policy", Usage: "Policy file. Default: the one built in."})
	s.String(&in.environment, action.Input{Name: "environment", Usage: "Environment whose rules count. Default: the defaults of the policy."})
	s.String(&in.key, action.Input{Name: "key", Usage: "File of the cosign key that a policy with signer.key: run asks for."})
	delivery.DeclareTrust(s, &in.trustedRoot)
	s.String(&in.repository, action.Input{Name: "repository", Usage: "Repository that it has to be built from, as OWNER/NAME; and signed in, where it is signed keyless and the policy names no other."})
	if name == record.StageVerify {
		s.String(&in.commit, action.Input{Name: "commit", Usage: "Full commit that it has to be built from."})
	} else {
		s.Bool(&in.json, action.Input{Name: "json", Usage: "Print JSON."})
	}
}

// Declare declares the inputs of idp evidence.
func (in *ImageInputs) Declare(s *action.Set) { in.declareFor(s, "evidence") }

// NamesImage tells whether the command line has something that is no flag and no value of one.
func NamesImage(args []string) bool {
	var in ImageInputs
	var set action.Set
	in.declareFor(&set, record.StageVerify)
	fs := cli.FlagsOf(&set, record.StageVerify)
	fs.ParseErrorsAllowlist.UnknownFlags = true
	return fs.Parse(args) == nil && fs.NArg() > 0
}

// Read takes the command line, reads the policy and finds the digest of the image.
func (in *ImageInputs) Read(ctx context.Context, w cli.World, name string, args []string) error {
	var set action.Set
	in.declareFor(&set, name)
	given, rest, err := cli.ParseArgs(&set, name, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fault.BadInputf("idp %s takes one image", name).WithNext("Such as: idp " + name + " ghcr.io/acme/checkout:v1")
	}
	// Only the command line counts: in a step, the variables are those of the action.
	if err := set.Fill(given, func(string) string { return "" }); err != nil {
		return err
	}
	if in.policy, err = policy.Load(in.policyFile); err != nil {
		return err
	}
	in.rules = in.policy.Defaults
	if in.environment != "" {
		if in.rules, err = in.policy.For(in.environment); err != nil {
			return err
		}
	}
	in.image, err = oci.Client{}.Resolve(ctx, rest[0])
	return err
}

// Signer is who the policy asks for; nil where it names nobody, and where nobody is known for signer.key: run.
func (in *ImageInputs) Signer(ctx context.Context, w cli.World) (attest.Verifier, error) {
	rules, file := in.rules.Signer, in.rules.Signer.Key
	switch {
	case file == policy.RunKey && in.key == "" && in.repository != "":
		rules.Keyless = &policy.Keyless{}
	case file == policy.RunKey:
		file = in.key
	case in.key != "":
		return nil, fault.BadInputf("policy %s names its signer, so --key does not count", in.policy.Name).WithNext("Leave it out.")
	}
	if k := rules.Keyless; k != nil {
		if k.TrustedRoot != "" && in.trustedRoot != "" {
			return nil, fault.BadInputf("policy %s names its trusted root, so --trusted-root does not count", in.policy.Name).WithNext("Leave it out.")
		}
		return new(delivery.Sigstore).Verifier(ctx, w, *k, cmp.Or(k.TrustedRoot, in.trustedRoot), runner.Project{Repository: in.repository})
	}
	if file == "" {
		return nil, nil
	}
	key, err := signing.LoadKey(file, nil)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

// VerifyImage is idp verify as a gate of its own.
func VerifyImage(ctx context.Context, w cli.World, args []string) error {
	var in ImageInputs
	if err := in.Read(ctx, w, record.StageVerify, args); err != nil {
		return err
	}
	signer, err := in.Signer(ctx, w)
	if err != nil {
		return err
	}
	p := func(format string, args ...any) {
		_, _ = fmt.Fprintln(w.Stdout, ui.Clean(fmt.Sprintf(format, args...)))
	}
	p("image   %s", in.image.Reference())
	if in.image.Tag != "" {
		p("        which is what tag %s is now", in.image.Tag)
	}
	out, err := verify.Run(ctx, verify.Inputs{Reference: in.image.Reference(), Environment: in.environment, Policy: in.policy.Name,
		PolicyDigest: in.policy.Digest, Rules: in.rules, Signer: signer, Repository: in.repository, Commit: in.commit,
		Asked: in.repository != "" || in.commit != "", Unlisted: !in.policy.Lists(in.environment)},
		verify.Deps{Evidence: referrers.Registry{}, Now: w.Now})
	p("policy  %s", out.Evidence.Policy)
	p("")
	for _, c := range out.Evidence.Clauses {
		p("  %s %-11s %s", marks[c.Met], c.Name, c.Reason)
	}
	if len(out.Evidence.Clauses) > 0 {
		p("")
	}
	var refused *fault.Error
	if errors.As(err, &refused) && refused.Kind == fault.Failed {
		refused.Detail = nil // the clauses are printed
	}
	if err == nil {
		p("passed: %s", out.Summary)
		if in.repository == "" && slices.Contains(in.rules.Evidence(), policy.EvidenceProvenance) {
			p("From which repository it has to be was not asked: --repository OWNER/NAME")
		}
	}
	return err
}

var marks = map[bool]string{true: "✓", false: "✗"}

// EvidenceCommand prints what is attached to an image.
func EvidenceCommand(ctx context.Context, w cli.World, args []string) error {
	var in ImageInputs
	if err := in.Read(ctx, w, "evidence", args); err != nil {
		return err
	}
	signer, err := in.Signer(ctx, w)
	if err != nil {
		return err
	}
	chain, err := evidence.Read(ctx, evidence.Inputs{Image: in.image.Repository, Tag: in.image.Tag, Digest: in.image.Digest, Signer: signer},
		referrers.Registry{})
	if err != nil {
		return err
	}
	if in.json {
		err = chain.WriteJSON(w.Stdout)
	} else {
		err = chain.WriteText(w.Runner.Log(), w.Width)
	}
	if err != nil {
		return err
	}
	return chain.Verdict()
}
