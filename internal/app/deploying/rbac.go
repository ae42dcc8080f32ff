package deploying

import (
	"context"
	"slices"

	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/service"
)

// Print writes the roles that a deploy needs.
func (w *Deploy) Print(ctx context.Context, d *delivery.Delivery) error {
	set, err := Manifests(ctx, d, "")
	if err != nil {
		return err
	}
	env := d.Service.Environments[d.Record.Environment]
	access := manifest.Access{Service: d.Service.Name, Namespace: Namespace(d, d.Record.Environment),
		Posts: env.URL == "" && slices.ContainsFunc(d.Service.Smoke, func(c service.Check) bool { return c.Post != "" })}
	// Another cluster has accounts of its own.
	if before := d.Rules.After.Environment; before != "" && d.Service.Environments[before].Context == env.Context {
		access.After = Namespace(d, before)
	}
	if access.Inventory, err = w.inventory(ctx, d, access.Namespace); err != nil {
		access.Unknown = fault.Lines(err)[0]
	}
	data, err := manifest.RBAC(set, access)
	if err != nil {
		return err
	}
	_, err = d.World.Stdout.Write(data)
	return err
}

// inventory is what earlier releases had. Without a cluster there is none.
func (w *Deploy) inventory(ctx context.Context, d *delivery.Delivery, namespace string) ([]kubernetes.Ref, error) {
	if !Reachable(d, w.In.Cluster) {
		return nil, fault.Undeterminedf("no cluster was asked")
	}
	client, err := Connect(d, w.In.Cluster, d.Record.Environment, nil)
	if err != nil {
		return nil, err
	}
	list, err := release.History{Cluster: client, Namespace: namespace, Service: d.Service.Name, Now: d.World.Now}.List(ctx)
	return release.Inventory(list), err
}
