package app

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/signing"
)

const targetLocal = service.Local

// embedded is what the local target brings along when it is not given: a registry in this process, and a key that lives
// as long as it.
type embedded struct {
	allowed bool // only a whole path to the local target has it; single stages could not hand it on

	mu     sync.Mutex
	server *oci.Server
	keys   map[string]*signing.Key
}

func (e *embedded) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		_ = e.server.Close() // it holds nothing that outlives this process
	}
}

// registry is where the image goes: the input, or the embedded one.
func (d *delivery) registry(ctx context.Context, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	e := &d.local
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.allowed {
		return "", fault.BadInputf("no registry is given").WithNext("Give it: --registry ghcr.io/acme/" + d.svc.Name)
	}
	if e.server == nil {
		server, err := oci.Serve(context.WithoutCancel(ctx)) // closed by end, so that cleaning up can still read
		if err != nil {
			return "", fmt.Errorf("the embedded registry does not start: %w", err)
		}
		e.server = server
	}
	return e.server.Host() + "/" + d.svc.Name, nil
}

// key is what signs and verifies: the file, or a new one for the run, whose public half is left in the output folder.
func (d *delivery) key(ctx context.Context, file string) (*signing.Key, error) {
	e := &d.local
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
	public := d.out("cosign.pub")
	if err := record.WriteFile(public, k.PublicPEM(), 0o644); err != nil {
		return nil, unwritable(d.opts.Out, err)
	}
	d.wrote(record.StageSign, public, "the public key; cosign verify takes it as --key")
	return k, nil
}

// loadKey reads a key from a file, from a variable as env://NAME, or finds it in a key management service.
func (d *delivery) loadKey(ctx context.Context, file string) (*signing.Key, error) {
	if name, ok := strings.CutPrefix(file, "env://"); ok {
		value := d.world.Getenv(name)
		if value == "" {
			return nil, fault.BadInputf("key %s: the variable is not set", file).WithNext("Set it to what is in the key file, from a secret of the repository.")
		}
		d.runner.Mask(value)
		return signing.ParseKey(file, []byte(value), d.password)
	}
	if strings.Contains(file, "://") {
		return signing.LoadKMS(ctx, file)
	}
	if file != "" {
		return signing.LoadKey(file, d.password)
	}
	if !d.local.allowed {
		return nil, fault.BadInputf("no key is given").
			WithNext("Make one with: cosign generate-key-pair", "Then give it: --key cosign.key, with its password in COSIGN_PASSWORD",
				"Of what was signed keyless, name the trusted root: --trusted-root FILE")
	}
	return signing.GenerateKey()
}

// password is that of the key file, which may well be empty; the runner hides it from now on.
func (d *delivery) password() ([]byte, error) {
	password := d.world.Getenv("COSIGN_PASSWORD")
	d.runner.Mask(password)
	return []byte(password), nil
}
