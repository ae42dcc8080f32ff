package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Object is any Kubernetes object.
type Object = unstructured.Unstructured

// Manager is the field manager of everything that idp applies.
const Manager = "idp"

// Labels of what idp applies, on the object itself only and never on its pods.
const (
	LabelService     = "idp/service"
	LabelEnvironment = "idp/environment"
)

// Ref names one object.
type Ref struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"` // empty for what lives in no namespace
	Name       string `json:"name"`
}

// RefOf names an object.
func RefOf(o *Object) Ref {
	return Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String names the object for a person.
func (r Ref) String() string { return r.Kind + " " + r.Name }

// GVK is the group, version and kind.
func (r Ref) GVK() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// Same tells whether both name the same object, whatever the version of its kind.
func (r Ref) Same(o Ref) bool {
	return r.GVK().GroupKind() == o.GVK().GroupKind() && r.Namespace == o.Namespace && r.Name == o.Name
}

// Get reads an object; nil where there is none.
func (c *Client) Get(ctx context.Context, ref Ref) (*Object, error) {
	r, err := c.resource(ctx, ref.GVK(), ref.Namespace)
	if err != nil {
		return nil, err
	}
	var o *Object
	err = c.retry(ctx, "get", ref, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		o, err = r.Get(ctx, ref.Name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return o, err
}

// Query chooses objects of one kind.
type Query struct {
	APIVersion, Kind string
	Namespace        string
	Labels           string // selector; empty: all
	Fields           string // selector, such as involvedObject.uid=…
}

// pageSize keeps an answer small, whatever is in the namespace.
const pageSize = 500

// List reads all objects of a query.
func (c *Client) List(ctx context.Context, q Query) ([]Object, error) {
	ref := Ref{APIVersion: q.APIVersion, Kind: q.Kind, Namespace: q.Namespace}
	r, err := c.resource(ctx, ref.GVK(), q.Namespace)
	if err != nil {
		return nil, err
	}
	var all []Object
	options := metav1.ListOptions{LabelSelector: q.Labels, FieldSelector: q.Fields, Limit: pageSize}
	for {
		var page *unstructured.UnstructuredList
		err := c.retry(ctx, "list", ref, func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			page, err = r.List(ctx, options)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}

// ApplyOptions says how an object is applied.
type ApplyOptions struct {
	Force  bool // take fields over from other managers
	DryRun bool // have the API server do all but keep it
}

// Apply applies an object on the server's side with Manager as field manager, and gives what the server made of it.
func (c *Client) Apply(ctx context.Context, o *Object, options ApplyOptions) (*Object, error) {
	ref := RefOf(o)
	r, err := c.resource(ctx, ref.GVK(), ref.Namespace)
	if err != nil {
		return nil, err
	}
	var applied *Object
	busy := 0 // answers that somebody else wrote to the object each time that the API server tried
	again := func(err error) bool {
		if apierrors.IsConflict(err) && len(conflictsOf(err)) == 0 {
			busy++
			return busy < adoptions
		}
		return passing(err)
	}
	err = c.attempt(ctx, "patch", ref, again, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		applied, err = r.Apply(ctx, ref.Name, o.DeepCopy(), metav1.ApplyOptions{FieldManager: Manager, Force: options.Force, DryRun: dryRun(options.DryRun)})
		return err
	})
	return applied, err
}

func dryRun(yes bool) []string {
	if yes {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Create makes an object that must not be there yet: IsExists tells that it is. It is never carried out twice.
func (c *Client) Create(ctx context.Context, o *Object) (*Object, error) {
	r, err := c.resource(ctx, RefOf(o).GVK(), o.GetNamespace())
	if err != nil {
		return nil, err
	}
	var made *Object
	err = c.once(ctx, "create", RefOf(o), func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		made, err = r.Create(ctx, o.DeepCopy(), metav1.CreateOptions{FieldManager: Manager})
		return err
	})
	return made, err
}

// Update replaces an object as it was read: IsConflict tells that it has changed since. It is never carried out twice.
func (c *Client) Update(ctx context.Context, o *Object) (*Object, error) {
	r, err := c.resource(ctx, RefOf(o).GVK(), o.GetNamespace())
	if err != nil {
		return nil, err
	}
	var updated *Object
	err = c.once(ctx, "update", RefOf(o), func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		updated, err = r.Update(ctx, o.DeepCopy(), metav1.UpdateOptions{FieldManager: Manager})
		return err
	})
	return updated, err
}

// patch is for patches that may be sent twice: dry runs, those that hold the version of the object, and those that say the same twice.
func (c *Client) patch(ctx context.Context, ref Ref, kind types.PatchType, data []byte, dry bool) (*Object, error) {
	r, err := c.resource(ctx, ref.GVK(), ref.Namespace)
	if err != nil {
		return nil, err
	}
	var patched *Object
	err = c.retry(ctx, "patch", ref, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		patched, err = r.Patch(ctx, ref.Name, kind, data, metav1.PatchOptions{FieldManager: Manager, DryRun: dryRun(dry)})
		return err
	})
	return patched, err
}

// Delete removes an object and what it owns; one that is not there is no error. A uid other than empty keeps another
// object of the same name from being removed, which is no error either.
func (c *Client) Delete(ctx context.Context, ref Ref, uid types.UID) error {
	r, err := c.resource(ctx, ref.GVK(), ref.Namespace)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	if uid != "" {
		options.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	err = c.retry(ctx, "delete", ref, func() error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		return r.Delete(ctx, ref.Name, options)
	})
	if uid != "" && apierrors.IsConflict(err) {
		// Such as one that an attempt without an answer has deleted, and whose controller has made another one since.
		if live, lookErr := c.Get(ctx, ref); lookErr == nil && (live == nil || live.GetUID() != uid) {
			return nil
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// LogOptions chooses what of a container's log is read.
type LogOptions struct {
	Container string
	Previous  bool // of the container that ran before the last restart
	Lines     int  // the last so many
}

// logLimit is the bytes of a log that are read at most.
const logLimit = 64 << 10

// Logs reads the end of a container's log.
func (c *Client) Logs(ctx context.Context, namespace, pod string, o LogOptions) ([]byte, error) {
	query := url.Values{"container": {o.Container}, "tailLines": {strconv.Itoa(o.Lines)}, "limitBytes": {strconv.Itoa(logLimit)}}
	if o.Previous {
		query.Set("previous", "true")
	}
	address := c.base + "/api/v1/namespaces/" + url.PathEscape(namespace) + "/pods/" + url.PathEscape(pod) + "/log?" + query.Encode()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, explain(err, "read the log of", Ref{Kind: "Pod", Name: pod, Namespace: namespace}, c.server)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, logLimit))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the log of pod %s cannot be read: %s", pod, bytes.TrimSpace(data[:min(len(data), 300)]))
	}
	return data, nil
}

// Proxy leads through the API server to a Service, so that what runs outside of the cluster can ask it: a URL, and the
// transport that it has to be asked with.
func (c *Client) Proxy(namespace, service, port string) (string, http.RoundTripper) {
	through := c.http.Transport
	if c.renews {
		through = renewing{through}
	}
	return c.base + "/api/v1/namespaces/" + url.PathEscape(namespace) + "/services/" + url.PathEscape("http:"+service+":"+port) + "/proxy", through
}
