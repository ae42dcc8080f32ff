package app

import (
	"context"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/service"
)

// print writes the roles that a deploy needs.
func (w *deployWork) print(ctx context.Context, d *delivery) error {
	set, err := d.manifests(ctx, "")
	if err != nil {
		return err
	}
	env := d.svc.Environments[d.rec.Environment]
	access := manifest.Access{Service: d.svc.Name, Namespace: d.namespace(d.rec.Environment),
		Posts: env.URL == "" && slices.ContainsFunc(d.svc.Smoke, func(c service.Check) bool { return c.Post != "" })}
	// Another cluster has accounts of its own.
	if before := d.rules.After.Environment; before != "" && d.svc.Environments[before].Context == env.Context {
		access.After = d.namespace(before)
	}
	if access.Inventory, err = w.inventory(ctx, d, access.Namespace); err != nil {
		access.Unknown = fault.Lines(err)[0]
	}
	data, err := manifest.RBAC(set, access)
	if err != nil {
		return err
	}
	_, err = d.world.Stdout.Write(data)
	return err
}

// inventory is what earlier releases had. Without a cluster there is none.
func (w *deployWork) inventory(ctx context.Context, d *delivery, namespace string) ([]kubernetes.Ref, error) {
	if !d.reachable(w.in.Cluster) {
		return nil, fault.Undeterminedf("no cluster was asked")
	}
	client, err := d.connect(w.in.Cluster, d.rec.Environment, nil)
	if err != nil {
		return nil, err
	}
	list, err := release.History{Cluster: client, Namespace: namespace, Service: d.svc.Name, Now: d.world.Now}.List(ctx)
	return release.Inventory(list), err
}
