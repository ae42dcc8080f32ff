package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/idp/internal/tools/ports"
)

// startLimit is far above the three seconds that a start takes.
const startLimit = 5 * time.Minute

// origin names the log in its checkpoints, as the host of a public instance does.
const origin = "rekor.idp.test"

// addresses are where the parts answer; services.json has them. Those of sigstore are URLs, those of registries HOST:PORT.
type addresses struct {
	Fulcio, Rekor, Timestamp string
	Issuer                   string // as it is named in tokens
	Tokens                   string // where jobs get them
	Registry                 string // go-containerregistry's, which lists referrers
	DebianRegistry           string // without a list of referrers
	Bin                      string // folder of cosign-v2 and cosign-v3
}

// instance is one that runs.
type instance struct {
	addresses
	dir   string
	bin   string
	parts []*exec.Cmd
	ended chan error // of a part that ended while it was needed
}

// start gives what was started also when it fails, so that it can be stopped.
func start(ctx context.Context, bin, debian string) (*instance, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	i := &instance{bin: bin, addresses: addresses{Bin: bin}, ended: make(chan error, 8)}
	var err error
	if i.dir, err = os.MkdirTemp("", "idp-sigstore-"); err != nil {
		return i, err
	}
	for _, step := range []func(context.Context) error{
		func(context.Context) error { return os.Mkdir(i.path("logs"), 0o700) },
		i.startIssuer, i.startFulcio, i.startCTLog, i.startRekor, i.startTimestamp, i.startRegistry,
		func(ctx context.Context) error { return i.startDebianRegistry(ctx, debian) },
		i.trust, i.describe,
	} {
		if err := step(ctx); err != nil {
			return i, err
		}
	}
	say("ready in %.1fs: %s", time.Since(begun).Seconds(), i.dir)
	return i, nil
}

func (i *instance) path(parts ...string) string {
	return filepath.Join(append([]string{i.dir}, parts...)...)
}

func (i *instance) startIssuer(context.Context) error {
	issuer, err := startIssuer()
	if err != nil {
		return err
	}
	i.Issuer, i.Tokens = issuer.url, issuer.tokens
	return os.WriteFile(i.path("issuer.pem"), issuer.pem, 0o600)
}

// startFulcio starts the certificate authority. Its key is in memory; the CT log, whose roots are its certificates, starts
// after it, at an address that it is told now.
func (i *instance) startFulcio(ctx context.Context) error {
	at, err := ports.Free(4)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("oidc-issuers:\n  %[1]q:\n    issuer-url: %[1]q\n    client-id: sigstore\n    type: github-workflow\n", i.Issuer)
	if err := os.WriteFile(i.path("fulcio.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(i.path("ct-log"), []byte(at[3]), 0o600); err != nil {
		return err
	}
	i.Fulcio = "http://127.0.0.1:" + at[0]
	if err := i.spawn("fulcio", "serve", "--ca=ephemeralca", "--config-path="+i.path("fulcio.yaml"), "--ct-log-url=http://127.0.0.1:"+at[3],
		"--host=127.0.0.1", "--port="+at[0], "--grpc-host=127.0.0.1", "--grpc-port="+at[1], "--metrics-port="+at[2],
		"--legacy-unix-domain-socket="+i.path("fulcio.sock")); err != nil {
		return err
	}
	answer, err := i.get(ctx, i.Fulcio+"/api/v2/trustBundle")
	if err != nil {
		return err
	}
	var bundle struct {
		Chains []struct{ Certificates []string }
	}
	if err := json.Unmarshal(answer, &bundle); err != nil || len(bundle.Chains) != 1 {
		return fmt.Errorf("the trust bundle of Fulcio has %d chains: %w", len(bundle.Chains), err)
	}
	chain := strings.Join(bundle.Chains[0].Certificates, "")
	return os.WriteFile(i.path("fulcio.pem"), []byte(chain), 0o600)
}

func (i *instance) startCTLog(ctx context.Context) error {
	port, err := os.ReadFile(i.path("ct-log"))
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := i.writeKey("ct", key); err != nil {
		return err
	}
	// A certificate waits for its entry only, not for the next checkpoint of the log.
	if err := i.spawn("ct-server", "--http_endpoint=127.0.0.1:"+string(port), "--origin=ct.idp.test", "--storage_dir="+i.path("ct-data"),
		"--roots_pem_file="+i.path("fulcio.pem"), "--private_key="+i.path("ct.key"), "--enable_publication_awaiter=false",
		"--batch_max_age=10ms", "--checkpoint_interval=100ms"); err != nil {
		return err
	}
	_, err = i.get(ctx, "http://127.0.0.1:"+string(port)+"/ct/v1/get-roots")
	return err
}

func (i *instance) startRekor(ctx context.Context) error {
	at, err := ports.Free(3)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if err := i.writeKey("rekor", key); err != nil {
		return err
	}
	i.Rekor = "http://127.0.0.1:" + at[0]
	if err := i.spawn("rekor-server", "serve", "--hostname="+origin, "--storage-dir="+i.path("rekor-data"), "--signer-filepath="+i.path("rekor.key"),
		"--http-address=127.0.0.1", "--http-port="+at[0], "--grpc-address=127.0.0.1", "--grpc-port="+at[1], "--http-metrics-port="+at[2],
		"--batch-max-age=10ms", "--checkpoint-interval=100ms"); err != nil {
		return err
	}
	_, err = i.get(ctx, i.Rekor+"/healthz")
	return err
}

func (i *instance) startTimestamp(ctx context.Context) error {
	at, err := ports.Free(1)
	if err != nil {
		return err
	}
	i.Timestamp = "http://127.0.0.1:" + at[0]
	if err := i.spawn("timestamp-server", at[0]); err != nil {
		return err
	}
	chain, err := i.get(ctx, i.Timestamp+"/api/v1/timestamp/certchain")
	if err != nil {
		return err
	}
	return os.WriteFile(i.path("timestamp.pem"), chain, 0o600)
}

func (i *instance) startRegistry(context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	i.Registry = listener.Addr().String()
	handler := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	go func() { log.Print(serve(listener, handler)) }()
	return nil
}

func (i *instance) startDebianRegistry(ctx context.Context, program string) error {
	at, err := ports.Free(1)
	if err != nil {
		return err
	}
	i.DebianRegistry = "127.0.0.1:" + at[0]
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n",
		i.path("registry-data"), i.DebianRegistry)
	if err := os.WriteFile(i.path("registry.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	if err := i.spawn(program, "serve", i.path("registry.yaml")); err != nil {
		return err
	}
	_, err = i.get(ctx, "http://"+i.DebianRegistry+"/v2/")
	return err
}

// describe writes services.json.
func (i *instance) describe(context.Context) error {
	data, err := json.MarshalIndent(i.addresses, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(i.path("services.json"), data, 0o600)
}

// spawn starts a program, of ours where it is named without a folder.
func (i *instance) spawn(program string, args ...string) error {
	name := filepath.Base(program)
	if name == program {
		program = filepath.Join(i.bin, program)
	}
	out, err := os.Create(i.path("logs", name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(program, args...) // #nosec G204 -- programs that were built for this
	cmd.Dir, cmd.Stdout, cmd.Stderr = i.dir, out, out
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+i.path("issuer.pem")) // Fulcio asks the issuer for its keys
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	i.parts = append(i.parts, cmd)
	go func() { i.ended <- fmt.Errorf("%s ended: %w", name, cmd.Wait()) }()
	return nil
}

// get asks until there is an answer that is a success.
func (i *instance) get(ctx context.Context, url string) ([]byte, error) {
	for {
		data, err := fetch(ctx, url)
		if err == nil {
			return data, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case ended := <-i.ended:
			return nil, ended
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// stop ends all parts and removes what they kept.
func (i *instance) stop() error {
	for _, part := range i.parts {
		_ = part.Process.Kill() // one that has ended is fine, too
	}
	for range i.parts {
		select {
		case <-i.ended:
		case <-time.After(time.Second): // its end was read before, by get
		}
	}
	if i.dir == "" {
		return nil
	}
	return os.RemoveAll(i.dir)
}

// writeKey writes NAME.key and NAME.pub.
func (i *instance) writeKey(name string, key crypto.Signer) error {
	kind := "PRIVATE KEY"
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if ec, ok := key.(*ecdsa.PrivateKey); ok { // the CT log reads no other form
		kind = "EC PRIVATE KEY"
		private, err = x509.MarshalECPrivateKey(ec)
	}
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(i.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: private}), 0o600),
		os.WriteFile(i.path(name+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}
