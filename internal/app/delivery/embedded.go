package delivery

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/signing"
)

// Platform is what the service is compiled for: the input, for the local target this machine, else linux. It is empty in a
// folder that is no service, of which nothing is built.
func (d *Delivery) Platform(input string) string {
	switch {
	case input != "":
		return strings.Join(action.Platforms(input), ",")
	case !record.Exists(filepath.Join(d.Dir(), service.File)):
		return ""
	case d.Local.Allowed:
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return "linux/" + runtime.GOARCH
}

// TargetKubernetes is the cluster of an environment.
const TargetKubernetes = "kubernetes"

// TargetLocal is this machine.
const TargetLocal = service.Local

// embedded is what the local target brings along when it is not given: a registry in this process, and a key that lives
// as long as it.
type embedded struct {
	Allowed bool // only a whole path to the local target has it; single stages could not hand it on

	mu     sync.Mutex
	server *oci.Server
	keys   map[string]*signing.Key
}

// Close ends what it started.
func (e *embedded) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		_ = e.server.Close() // it holds nothing that outlives this process
	}
}

// Registry is where the image goes: the input, or the embedded one.
func (d *Delivery) Registry(ctx context.Context, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	e := &d.Local
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.Allowed {
		return "", fault.BadInputf("no registry is given").WithNext("Give it: --registry ghcr.io/acme/" + d.Service.Name)
	}
	if e.server == nil {
		server, err := oci.Serve(context.WithoutCancel(ctx)) // closed by end, so that cleaning up can still read
		if err != nil {
			return "", fmt.Errorf("the embedded registry does not start: %w", err)
		}
		e.server = server
	}
	return e.server.Host() + "/" + d.Service.Name, nil
}

// Key is what signs and verifies: the file, or a new one for the run, whose public half is left in the output folder.
func (d *Delivery) Key(ctx context.Context, file string) (*signing.Key, error) {
	e := &d.Local
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.keys[file]; k != nil {
		return k, nil
	}
	k, err := d.loadKey(ctx, file)
	if err != nil {
		return nil, err
	}
	if e.keys == nil {
		e.keys = map[string]*signing.Key{}
	}
	e.keys[file] = k
	public := d.Out("cosign.pub")
	if err := record.WriteFile(public, k.PublicPEM(), 0o644); err != nil {
		return nil, Unwritable(d.Options.Out, err)
	}
	d.Wrote(record.StageSign, public, "the public key; cosign verify takes it as --key")
	return k, nil
}

// loadKey reads a key from a file, from a variable as env://NAME, or finds it in a key management service.
func (d *Delivery) loadKey(ctx context.Context, file string) (*signing.Key, error) {
	if name, ok := strings.CutPrefix(file, "env://"); ok {
		value := d.World.Getenv(name)
		if value == "" {
			return nil, fault.BadInputf("key %s: the variable is not set", file).WithNext("Set it to what is in the key file, from a secret of the repository.")
		}
		d.Runner.Mask(value)
		return signing.ParseKey(file, []byte(value), d.password)
	}
	if strings.Contains(file, "://") {
		return signing.LoadKMS(ctx, file)
	}
	if file != "" {
		return signing.LoadKey(file, d.password)
	}
	if !d.Local.Allowed {
		return nil, fault.BadInputf("no key is given").
			WithNext("Make one with: cosign generate-key-pair", "Then give it: --key cosign.key, with its password in COSIGN_PASSWORD",
				"Of what was signed keyless, name the trusted root: --trusted-root FILE")
	}
	return signing.GenerateKey()
}

// password is that of the key file, which may well be empty; the runner hides it from now on.
func (d *Delivery) password() ([]byte, error) {
	password := d.World.Getenv("COSIGN_PASSWORD")
	d.Runner.Mask(password)
	return []byte(password), nil
}
