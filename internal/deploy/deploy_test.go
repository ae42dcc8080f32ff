package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/target"
)

const digest = "sha256:9d0c4e5f60718293a4b5c6d7e8f9001122334455667788990aabbccddeeff001"

// place is a target that notes whether it was asked.
type place struct {
	asked bool
	err   error
}

func (p *place) Deploy(ctx context.Context, guard target.Guard) (target.Outputs, error) {
	p.asked = true
	if err := guard(ctx, &record.Deployment{Commit: "live"}); err != nil {
		return target.Outputs{}, err
	}
	return target.Outputs{Summary: "first release", Evidence: record.Deploy{Release: "v1"}}, p.err
}

func inputs() Inputs {
	return Inputs{Target: "local", Wait: time.Minute, Reference: "127.0.0.1:5000/hello@" + digest, Digest: digest, Manifests: "out/manifests.yaml"}
}

func deps(p *place) Deps {
	return Deps{Target: p,
		Verify: func(_ context.Context, ref string) error {
			if ref != "127.0.0.1:5000/hello@"+digest {
				return errors.New("asked for " + ref)
			}
			return nil
		},
		Guard: func(context.Context, *record.Deployment) error { return nil },
	}
}

func TestVerifiedImageIsDeployed(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), inputs(), deps(&place{}))
	want := record.Deploy{Target: "local", Release: "v1", Digest: digest, Manifests: "out/manifests.yaml"}
	if err != nil || out.Evidence.Release != want.Release || out.Evidence.Digest != want.Digest || out.Evidence.Target != want.Target || out.Evidence.Manifests != want.Manifests {
		t.Errorf("%v %+v", err, out.Evidence)
	}
}

func TestNothingIsDeployed(t *testing.T) {
	t.Parallel()
	refused := fault.Failedf("clause signer is not met")
	for name, c := range map[string]struct {
		change func(*Inputs, *Deps)
		kind   fault.Kind
		text   string
		asked  bool // the target, which must then ask the guard
	}{
		"the policy refuses": {func(_ *Inputs, d *Deps) { d.Verify = func(context.Context, string) error { return refused } }, fault.Failed, "clause signer", false},
		"the policy is not asked": {func(_ *Inputs, d *Deps) {
			d.Verify = func(context.Context, string) error { return errors.New("registry died") }
		}, fault.Undetermined, "registry died", false},
		"a guard refuses": {func(_ *Inputs, d *Deps) {
			d.Guard = func(context.Context, *record.Deployment) error { return fault.Failedf("frozen") }
		}, fault.Failed, "frozen", true},
		"no policy check":          {func(_ *Inputs, d *Deps) { d.Verify = nil }, fault.Undetermined, "no policy check", false},
		"no guard":                 {func(_ *Inputs, d *Deps) { d.Guard = nil }, fault.Undetermined, "no policy check, guard", false},
		"no target":                {func(_ *Inputs, d *Deps) { d.Target = nil }, fault.Undetermined, "or target", false},
		"no digest":                {func(in *Inputs, _ *Deps) { in.Digest = "" }, fault.Undetermined, "the image is not known", false},
		"no patience":              {func(in *Inputs, _ *Deps) { in.Wait = 0 }, fault.BadInput, "input wait", false},
		"two kubeconfigs":          {func(in *Inputs, _ *Deps) { in.Cluster = Cluster{Kubeconfig: "a", Content: "b"} }, fault.BadInput, "both given", false},
		"the target does not work": {func(_ *Inputs, d *Deps) { d.Target.(*place).err = fault.Failedf("never healthy") }, fault.Failed, "never healthy", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{}
			in, d := inputs(), deps(p)
			c.change(&in, &d)
			_, err := Run(t.Context(), in, d)
			if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if p.asked != c.asked {
				t.Errorf("the target was asked: %v", p.asked)
			}
		})
	}
}
