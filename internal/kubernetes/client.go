// Package kubernetes talks to a cluster's API server. It is the only package that imports client-go: what others see are
// plain objects, references to them, and errors that say who refused what and why.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/org/idp/internal/fault"
)

// Options says how to reach a cluster.
type Options struct {
	Files   []string // kubeconfig files, as in $KUBECONFIG; none, and no Data: the service account of the pod that this runs in
	Data    []byte   // content of a kubeconfig, in place of files
	Context string   // of the kubeconfig; empty: its current one
	Agent   string   // product and version, for the cluster's audit log
	Warn    func(string)
	Now     func() time.Time
}

const (
	// Requests a second, and how many at once before that counts. client-go's defaults, 5 and 10, make a deploy of 100
	// objects wait for itself; the API server's own priority and fairness is what protects it.
	requestsPerSecond = 100
	burst             = 200
	// requestTimeout bounds one request; the API server's own limit is 60 s.
	requestTimeout = 65 * time.Second
	// outage is how long a request is tried again while the API server is away, such as while it restarts.
	outage = 45 * time.Second
	// settling is how long after an outage an API server is not believed that something is forbidden or unknown: it answers
	// before it has read its roles and definitions again. On an idle machine it takes about 1 s.
	settling = 15 * time.Second
)

// Client is a connection to one cluster.
type Client struct {
	server  string
	context string
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	known   discovery.CachedDiscoveryInterface // what the cluster said that it has
	http    *http.Client
	base    string
	sleep   func(context.Context, time.Duration) error
	away    atomic.Int64 // when the API server did not answer last, in nanoseconds since started
	now     func() time.Time
	started time.Time
	renews  bool // a program of the kubeconfig gives the credentials, each for a while
}

// Connect reads the configuration. It asks the cluster nothing.
func Connect(o Options) (*Client, error) {
	if o.Now == nil {
		return nil, errors.New("there is no clock to talk to a cluster by")
	}
	silence()
	config, err := load(o)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst, config.UserAgent = requestsPerSecond, burst, o.Agent
	config.WarningHandler = warnings{o.Warn}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fault.BadInputf("the kubeconfig cannot be used: %w", err)
	}
	c := &Client{context: o.Context, http: client, sleep: sleep, now: o.Now, started: o.Now(), renews: config.ExecProvider != nil}
	asked := *client
	asked.Transport = outages{cmp.Or(client.Transport, http.DefaultTransport), c.noticeOutage}
	dyn, err := dynamic.NewForConfigAndClient(config, &asked)
	if err != nil {
		return nil, fault.BadInputf("the kubeconfig cannot be used: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, &asked)
	if err != nil {
		return nil, fault.BadInputf("the kubeconfig cannot be used: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fault.BadInputf("the kubeconfig names no usable server: %w", err)
	}
	known := memory.NewMemCacheClient(disco)
	c.server, c.base, c.dynamic, c.known, c.mapper = base.Host, strings.TrimRight(base.String(), "/"), dyn, known, restmapper.NewDeferredDiscoveryRESTMapper(known)
	return c, nil
}

// silence keeps client-go from writing to the standard error. All that matters is in the errors that it returns.
var silence = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

func load(o Options) (*rest.Config, error) {
	if len(o.Data) == 0 && len(o.Files) == 0 {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, fault.BadInputf("there is no kubeconfig, and this does not run in a cluster").
				WithNext("Give one: --kubeconfig FILE, or set KUBECONFIG, as the login action of your cloud does")
		}
		if err != nil {
			return nil, fault.Undeterminedf("the service account of this pod cannot be used: %w", err)
		}
		return config, nil
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	if len(o.Data) > 0 {
		raw, err := clientcmd.Load(o.Data)
		if err != nil {
			return nil, fault.BadInputf("the content of the kubeconfig is not one") // without the cause: it may quote a token
		}
		return usable(clientcmd.NewNonInteractiveClientConfig(*raw, o.Context, overrides, nil))
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: o.Files}
	if len(o.Files) == 1 {
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Files[0]}
	}
	return usable(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides))
}

func usable(c clientcmd.ClientConfig) (*rest.Config, error) {
	config, err := c.ClientConfig()
	if err != nil {
		return nil, fault.BadInputf("the kubeconfig cannot be used: %w", err).
			WithNext("Check it: kubectl config view --minify")
	}
	return config, nil
}

// warnings hands the API server's warnings, such as of a deprecated version, to people.
type warnings struct{ tell func(string) }

// HandleWarningHeader implements client-go's handler.
func (w warnings) HandleWarningHeader(code int, _, text string) {
	if code == 299 && text != "" && w.tell != nil {
		w.tell(text)
	}
}

// Server is the host and port of the API server, for people.
func (c *Client) Server() string { return c.server }

// Scope tells whether objects of a kind live in a namespace. A kind that the cluster does not have is *UnknownKindError.
func (c *Client) Scope(ctx context.Context, gvk schema.GroupVersionKind) (namespaced bool, err error) {
	m, err := c.mapping(ctx, gvk)
	if err != nil {
		return false, err
	}
	return m.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// Resource is the plural name of a kind, as roles name it.
func (c *Client) Resource(ctx context.Context, gvk schema.GroupVersionKind) (string, error) {
	m, err := c.mapping(ctx, gvk)
	if err != nil {
		return "", err
	}
	return m.Resource.Resource, nil
}

// KeepsStatus tells whether the cluster has a place of its own for the status of a kind, which a controller writes.
func (c *Client) KeepsStatus(ctx context.Context, gvk schema.GroupVersionKind) (keeps bool, err error) {
	m, err := c.mapping(ctx, gvk)
	if err != nil {
		return false, err
	}
	err = c.retry(ctx, "", Ref{}, func() error {
		list, err := c.known.ServerResourcesForGroupVersion(gvk.GroupVersion().String())
		if err != nil {
			return err
		}
		keeps = slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == m.Resource.Resource+"/status" })
		return nil
	})
	return keeps, err
}

// mapping asks the cluster what it has, once, and again for a kind that it did not have: its definition may be new.
func (c *Client) mapping(ctx context.Context, gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	var m *meta.RESTMapping
	err := c.retry(ctx, "", Ref{}, func() (err error) {
		m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if meta.IsNoMatchError(err) {
			c.mapper.Reset()
			m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		}
		return err
	})
	if meta.IsNoMatchError(err) {
		return nil, &UnknownKindError{gvk, c.versions(gvk.GroupKind())}
	}
	return m, err
}

// versions are those that the cluster has of a kind, as it said last.
func (c *Client) versions(kind schema.GroupKind) []string {
	mappings, err := c.mapper.RESTMappings(kind)
	if err != nil {
		return nil
	}
	var list []string
	for _, m := range mappings {
		list = append(list, m.GroupVersionKind.GroupVersion().String())
	}
	return list
}

func (c *Client) resource(ctx context.Context, gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	m, err := c.mapping(ctx, gvk)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(m.Resource), nil
	}
	if namespace == "" {
		return nil, fmt.Errorf("%s lives in a namespace, and none is given", gvk.Kind)
	}
	return c.dynamic.Resource(m.Resource).Namespace(namespace), nil
}

// retry repeats a request while the API server cannot be reached or is overloaded, so that its restart is a delay and not
// a failure. It is only for requests that may be sent twice.
func (c *Client) retry(ctx context.Context, verb string, ref Ref, request func() error) error {
	return c.attempt(ctx, verb, ref, passing, request)
}

// once is for requests that must not be carried out twice: it repeats only one that certainly was not.
func (c *Client) once(ctx context.Context, verb string, ref Ref, request func() error) error {
	return c.attempt(ctx, verb, ref, unsent, request)
}

func (c *Client) attempt(ctx context.Context, verb string, ref Ref, again func(error) bool, request func() error) error {
	limited, cancel := context.WithTimeout(ctx, outage)
	defer cancel()
	renewed, reconnected := !c.renews, false
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		err := request()
		if err != nil && passing(err) {
			c.noticeOutage()
		}
		// Credentials that ended on the way were of no use to this request, and client-go has asked for others on this answer.
		ended := !renewed && apierrors.IsUnauthorized(err)
		renewed = renewed || ended
		if err == nil || !again(err) && !uncounted(err) && !ended && !(c.settles() && unsettled(err)) || ctx.Err() != nil {
			return explain(err, verb, ref, c.server)
		}
		// That a connection stands still is found out only after 45 s, as long as an outage may last; the next one is another one.
		lost := !reconnected && utilnet.IsHTTP2ConnectionLost(err)
		reconnected = reconnected || lost
		if !lost && c.sleep(limited, wait) != nil {
			return explain(err, verb, ref, c.server)
		}
	}
}

// noticeOutage notes that the API server does not answer.
func (c *Client) noticeOutage() { c.away.Store(max(1, int64(c.now().Sub(c.started)))) }

// settles tells that the API server may have been started a moment ago.
func (c *Client) settles() bool {
	away := time.Duration(c.away.Load())
	return away > 0 && c.now().Sub(c.started)-away < settling
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
