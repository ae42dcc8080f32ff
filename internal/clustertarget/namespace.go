package clustertarget

import (
	"context"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
)

// alone refuses a namespace that has another service of the same name, or this one of another environment: what is deployed there
// would give way to this one.
func (t Target) alone(list []release.Release) error {
	if len(list) > 0 && list[0].Source.Other(t.Source) {
		return fault.BadInputf("namespace %s has %s of another repository, %s, and %s would take its place", t.Namespace, t.Service, list[0].Source.Repository, t.Source.Repository).
			WithNext("Give this one another name in idp.yaml, or a namespace of its own: environments."+t.Environment+".namespace",
				"If the service has moved here, say so: "+t.history().Moved(t.Source.Repository))
	}
	live := release.Current(list)
	if live == nil || live.Environment == t.Environment || !slices.Contains(t.Neighbours, live.Environment) {
		return nil
	}
	return fault.BadInputf("namespace %s has %s of environment %s, and %s would take its place", t.Namespace, live.Name(), live.Environment, t.Environment).
		WithNext("Give "+t.Environment+" a namespace of its own: environments."+t.Environment+".namespace in idp.yaml", "Or is this the cluster of "+live.Environment+"? See the kubeconfig, or environments."+t.Environment+".context in idp.yaml.")
}

// namespace makes the service's namespace where there is none yet. Who may not ask has one.
func (d *deploy) namespace(ctx context.Context) error {
	ref := kubernetes.Ref{APIVersion: "v1", Kind: "Namespace", Name: d.Namespace}
	found, err := d.Cluster.Get(ctx, ref)
	if kubernetes.IsForbidden(err) || found != nil {
		return nil
	}
	if err != nil {
		return err
	}
	d.say("making namespace " + d.Namespace)
	o := &kubernetes.Object{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind}}
	o.SetName(d.Namespace)
	o.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "idp"})
	_, err = d.Cluster.Create(ctx, o)
	if kubernetes.IsAway(err) { // it may have been made, or be made now
		_, err = d.Cluster.Create(ctx, o)
	}
	switch {
	case err == nil, kubernetes.IsExists(err):
		return nil
	case kubernetes.IsForbidden(err):
		return fault.BadInputf("namespace %s does not exist, and the credentials may not make it", d.Namespace).
			WithNext("Let a cluster administrator make it: kubectl create namespace "+d.Namespace, "Or name another one: environments."+d.Environment+".namespace in idp.yaml")
	}
	return err
}
