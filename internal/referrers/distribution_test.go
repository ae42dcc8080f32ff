//go:build e2e

package referrers_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/distribution"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

// loggedIn makes the configuration of docker for this test one that knows a user of host.
func loggedIn(t *testing.T, config string) {
	t.Helper()
	home := t.TempDir()
	expect.NoError(t, os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600))
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
}

// pushed puts a new image into the registry as sign does, evidence and tag included.
func pushed(t *testing.T, key *signing.Key, repo string) (digest string) {
	t.Helper()
	img, err := random.Image(1<<20, 3)
	expect.NoError(t, err)
	h, err := img.Digest()
	expect.NoError(t, err)
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	expect.NoError(t, err)
	expect.NoError(t, l.AppendImage(img))
	images := oci.Client{}
	expect.NoError(t, images.Push(t.Context(), dir, repo, h.String()))
	n, err := referrers.Registry{}.Attach(t.Context(), repo+"@"+h.String(), key,
		signed.Bundle(t, key, h.String(), attest.PredicateSignature, nil), signed.Bundle(t, key, h.String(), attest.PredicateSBOM, map[string]any{"a": 1}))
	if err != nil || n != 2 {
		t.Fatalf("%d attached, %v", n, err)
	}
	for range 2 {
		expect.NoError(t, images.Tag(t.Context(), repo, h.String(), "main"))
	}
	return h.String()
}

// TestRegistryWithoutReferrers: the evidence is in the fallback tag, and is read from there.
func TestRegistryWithoutReferrers(t *testing.T) {
	r, key := distribution.Start(t, distribution.Options{User: "bot", Password: "hunter2"}), signed.Key(t)
	repo := r.Addr + "/acme/checkout"
	loggedIn(t, `{}`)
	_, err := oci.Client{}.Pull(t.Context(), repo+"@sha256:"+strings.Repeat("0", 64))
	expect.Error(t, err, "401 Unauthorized")

	loggedIn(t, `{"auths":{"`+r.Addr+`":{"auth":"Ym90Omh1bnRlcjI="}}}`) // bot:hunter2
	digest := pushed(t, key, repo)
	index, err := random.Index(1024, 2, 3)
	expect.NoError(t, err)
	layouts := t.TempDir()
	l, err := layout.Write(layouts, empty.Index)
	expect.NoError(t, err)
	expect.NoError(t, l.AppendIndex(index))
	h, err := index.Digest()
	expect.NoError(t, err)
	expect.NoError(t, oci.Client{}.Push(t.Context(), layouts, repo, h.String()))
	expect.NoError(t, oci.Client{}.Tag(t.Context(), repo, h.String(), "index"))

	for range 2 { // the second time nothing is added
		served, err := referrers.Registry{}.Read(t.Context(), repo+"@"+digest)
		if err != nil || len(served) != 2 {
			t.Fatalf("%d pieces of evidence, %v", len(served), err)
		}
		n, err := referrers.Registry{}.Attach(t.Context(), repo+"@"+digest, key, served[0].Bundle, served[1].Bundle)
		if err != nil || n != 0 {
			t.Fatalf("%d attached again, %v", n, err)
		}
	}
}

// TestRegistryThatIsAPullThroughCache: image and evidence are read through it; nothing can be pushed to it, and it is said why.
func TestRegistryThatIsAPullThroughCache(t *testing.T) {
	loggedIn(t, `{}`)
	upstream, key := distribution.Start(t, distribution.Options{}), signed.Key(t)
	digest := pushed(t, key, upstream.Addr+"/acme/checkout")
	mirror := distribution.Start(t, distribution.Options{Upstream: upstream.Addr})
	repo := mirror.Addr + "/acme/checkout"

	img, err := oci.Client{}.Pull(t.Context(), repo+"@"+digest)
	expect.NoError(t, err)
	expect.NoError(t, oci.Client{}.Unpack(t.Context(), img, filepath.Join(t.TempDir(), "root")))
	served, err := referrers.Registry{}.Read(t.Context(), repo+"@"+digest)
	if err != nil || len(served) != 2 {
		t.Fatalf("%d pieces of evidence, %v", len(served), err)
	}
	for _, a := range served {
		if _, err := key.Verify(t.Context(), a.Bundle, digest); err != nil {
			t.Error(err)
		}
	}
	err = oci.Client{}.Tag(t.Context(), repo, digest, "other")
	if fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), "pull-through cache takes no images") {
		t.Errorf("a push to a pull-through cache: %v", err)
	}

	// What the cache has it serves when the registry behind it is gone; what it does not have is not said to be absent.
	upstream.Kill()
	if _, err := (oci.Client{}).Pull(t.Context(), repo+"@"+digest); err != nil {
		t.Errorf("cached: %v", err)
	}
	quick := referrers.Registry{Wait: client.Wait}
	if served, err := quick.Read(t.Context(), repo+"@"+digest); err == nil && len(served) != 2 {
		t.Errorf("the evidence is said to be %d pieces when it cannot be read", len(served))
	}
}

// TestRegistryThatRestarts: what is under way when a registry restarts goes on when it is back.
func TestRegistryThatRestarts(t *testing.T) {
	loggedIn(t, `{}`)
	r, key := distribution.Start(t, distribution.Options{}), signed.Key(t)
	digest := pushed(t, key, r.Addr+"/acme/checkout")
	r.Kill()
	type answer struct {
		served []attest.Attached
		err    error
	}
	read, failed, up := make(chan answer, 1), make(chan struct{}), make(chan struct{})
	var once sync.Once
	pause := func(context.Context, time.Duration) error { // as long as the start takes
		once.Do(func() { close(failed) })
		<-up
		return nil
	}
	go func() {
		served, err := referrers.Registry{Wait: pause}.Read(t.Context(), r.Addr+"/acme/checkout@"+digest)
		read <- answer{served, err}
	}()
	<-failed
	distribution.Start(t, distribution.Options{Folder: r.Folder, Addr: r.Addr})
	close(up)
	if got := <-read; got.err != nil || len(got.served) != 2 {
		t.Errorf("%d pieces of evidence, %v", len(got.served), got.err)
	}
}
