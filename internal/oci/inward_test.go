package oci

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/org/idp/internal/fault"
)

// A registry elsewhere cannot have this machine's own services asked, nor those of the cloud on its link; one on this machine may lead
// to itself.
func TestWhereARegistryLeads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		registry, to string
		want         error
	}{
		{"ghcr.io", "https://ghcr.io/token", nil},
		{"ghcr.io", "https://pkg-containers.githubusercontent.com/x", nil},
		{"ghcr.io", "https://10.1.2.3/x", nil}, // a registry of a company, whose storage is beside it
		{"ghcr.io", "http://127.0.0.1:8080/stop", errInward},
		{"ghcr.io", "https://localhost/x", errInward},
		{"ghcr.io", "http://[::1]:9/x", errInward},
		{"ghcr.io", "https://[::ffff:127.0.0.1]/x", errInward},
		{"ghcr.io", "https://169.254.169.254/latest/meta-data", errInward},
		{"ghcr.io", "https://[::ffff:169.254.169.254]/x", errInward},
		{"ghcr.io", "https://[fe80::1]/x", errInward},
		{"ghcr.io", "https://[fe80::1%25eth0]/x", errInward},
		{"ghcr.io", "https://[fd00:ec2::254]/x", errInward},
		{"ghcr.io", "https://[fd20:ce::254]/x", errInward},
		{"ghcr.io", "https://100.100.100.200/x", errInward},
		{"ghcr.io", "https://168.63.129.16/x", errInward},
		{"ghcr.io", "https://0.0.0.0/x", errInward},
		{"ghcr.io", "http://169.254.169.254/latest/meta-data", errInward},
		{"ghcr.io", "http://ghcr.io/x", errPlain},
		{"ghcr.io", "file:///etc/passwd", errPlain},
		{"127.0.0.1", "http://127.0.0.1:5001/x", nil},
		{"127.0.0.1", "http://localhost:5001/x", nil},
		{"127.0.0.1", "https://169.254.169.254/x", errInward},
		{"169.254.7.7", "https://169.254.7.7/x", nil}, // whoever names it means it
	} {
		to, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (guarded{registry: c.registry, network: shared}).way(to); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: %v, expected %v", c.registry, c.to, err, c.want)
		}
	}
}

// names is a name server that says of every name in it what it is told to, and of others that there are none.
func names(t *testing.T, of map[string]string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := answered(buffer[:n], of); answer != nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	dialer := net.Dialer{}
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answered is the answer to a question about a name; nil to what is none.
func answered(query []byte, of map[string]string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}
	ip, err := netip.ParseAddr(of[strings.TrimSuffix(q.Name.String(), ".")])
	switch {
	case err != nil:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA && ip.Is4():
		reply.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: ip.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && ip.Is6():
		reply.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}}
	}
	data, err := reply.Pack()
	if err != nil {
		return nil
	}
	return data
}

// listening is a server with TLS whose certificate is believed for every name, and counts who connects.
func listening(t *testing.T, h http.HandlerFunc) (port string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port(), connections
}

// lied is the network with a name server that lies.
func lied(t *testing.T, of map[string]string) network {
	t.Helper()
	n := newNetwork(names(t, of))
	for _, way := range []*http.Transport{n.named, n.led, n.ledHere} {
		way.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- the certificate is of a name that is not this one
		t.Cleanup(way.CloseIdleConnections)
	}
	n.named.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	return n
}

// liars are names that stand for where no registry may lead.
var liars = map[string]string{
	"here.example": "127.0.0.1", "link.example": "169.254.169.254", "link6.example": "fe80::1", "aws6.example": "fd00:ec2::254",
	"google6.example": "fd20:ce::254", "azure.example": "168.63.129.16", "alibaba.example": "100.100.100.200", "any.example": "0.0.0.0",
	"mapped.example": "::ffff:169.254.169.254", "registry.example": "127.0.0.1", "storage.example": "127.0.0.1",
}

// A name says nothing of where it leads, so the address is looked at when it is known, in all the ways in which a registry leads.
func TestNamesThatLeadInward(t *testing.T) {
	t.Parallel()
	for liar := range liars {
		if liar == "registry.example" {
			continue
		}
		for way, answer := range map[string]func(w http.ResponseWriter, r *http.Request, to string){
			"redirect": func(w http.ResponseWriter, r *http.Request, to string) {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			},
			"token service": func(w http.ResponseWriter, _ *http.Request, to string) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="x"`, to))
				w.WriteHeader(http.StatusUnauthorized)
			},
		} {
			t.Run(way+" to "+liar, func(t *testing.T) {
				t.Parallel()
				inside, asked := listening(t, func(http.ResponseWriter, *http.Request) {})
				port, _ := listening(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r, "https://"+liar+":"+inside+"/secret") })
				ref, err := name.NewDigest("registry.example:" + port + "/a@sha256:" + strings.Repeat("a", 64))
				if err != nil {
					t.Fatal(err)
				}
				err = Retry(t.Context(), Limits{}, nil, "pull from", ref.RegistryStr(), func(ctx context.Context) error {
					_, err := remote.Get(ref, remote.WithContext(ctx), remote.WithTransport(transportOn(lied(t, liars), Limits{}, ref.Registry)), remote.WithAuth(authn.Anonymous))
					return err
				})
				if fault.KindOf(err) != fault.Undetermined || !errors.Is(err, errInward) || !strings.Contains(err.Error(), errInward.Error()) {
					t.Errorf("%v", err)
				}
				if n := asked.Load(); n != 0 {
					t.Errorf("%d connections inward", n)
				}
			})
		}
	}
}

// A layer may name other places where it is to be had, and the library asks there.
func TestLayersThatLeadInward(t *testing.T) {
	t.Parallel()
	inside, asked := listening(t, func(http.ResponseWriter, *http.Request) {})
	layer := v1.Descriptor{MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Size: 1,
		Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}, URLs: []string{"https://here.example:" + inside + "/layer"}}
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["` + layer.Digest.String() + `"]}}`)
	configDigest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json",
		Config: v1.Descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Size: size, Digest: configDigest}, Layers: []v1.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	port, _ := listening(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/v2/"):
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write(manifest)
		case strings.HasSuffix(r.URL.Path, configDigest.String()):
			_, _ = w.Write(config)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	ref, err := name.NewTag("registry.example:" + port + "/a:b")
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithTransport(transportOn(lied(t, liars), Limits{}, ref.Registry)))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	if body, err := layers[0].Compressed(); !errors.Is(err, errInward) {
		t.Errorf("%v %v", body, err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d connections inward", n)
	}
}

// What the user names may be anywhere: the registry, one on this machine with what belongs to it, and a proxy, who alone knows then
// where a name leads.
func TestWhatTheUserNamesIsReached(t *testing.T) {
	t.Parallel()
	storage, asked := listening(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "layer") })
	get := func(t *testing.T, n network, registry, url string) {
		t.Helper()
		named, err := name.NewRegistry(registry)
		if err != nil {
			t.Fatal(err)
		}
		before := asked.Load()
		resp, err := (&http.Client{Transport: transportOn(n, Limits{}, named)}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if data, err := io.ReadAll(resp.Body); err != nil || string(data) != "layer" || asked.Load() == before {
			t.Errorf("%q %v", data, err)
		}
	}
	t.Run("by a name for this machine", func(t *testing.T) {
		get(t, lied(t, liars), "registry.example:"+storage, "https://registry.example:"+storage+"/x")
	})
	t.Run("on this machine", func(t *testing.T) {
		get(t, lied(t, liars), "127.0.0.1:5000", "https://storage.example:"+storage+"/x")
	})
	t.Run("through a proxy", func(t *testing.T) {
		tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodConnect || r.Host != "storage.example:"+storage {
				t.Errorf("%s %s", r.Method, r.Host)
			}
			through, err := net.Dial("tcp", "127.0.0.1:"+storage)
			if err != nil {
				t.Error(err)
				return
			}
			client, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(through, client); _ = through.Close() }()
			_, _ = io.Copy(client, through)
			_ = client.Close()
		}))
		t.Cleanup(tunnel.Close)
		proxy, err := url.Parse(tunnel.URL)
		if err != nil {
			t.Fatal(err)
		}
		n := lied(t, nil) // no name is known here
		n.named.Proxy = http.ProxyURL(proxy)
		get(t, n, "ghcr.io", "https://storage.example:"+storage+"/x")
	})
}
