package deploying

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
)

// Connect opens the cluster of an environment. It asks the cluster nothing.
func Connect(d *delivery.Delivery, in deploy.Cluster, environment string, progress action.Progress) (*kubernetes.Client, error) {
	return kubernetes.Connect(kubernetes.Options{Files: Kubeconfigs(d, in), Data: []byte(in.Content), Agent: "idp/" + cli.Version(),
		Context: d.Service.Environments[environment].Context, Warn: progress, Now: d.World.Now})
}

// Kubeconfigs are the files that say how to reach the cluster; none where this may run in a pod of it.
func Kubeconfigs(d *delivery.Delivery, in deploy.Cluster) []string {
	switch list := d.World.Getenv("KUBECONFIG"); {
	case in.Content != "":
		return nil
	case in.Kubeconfig != "":
		return []string{in.Kubeconfig}
	case list != "":
		return filepath.SplitList(list)
	}
	file := filepath.Join(d.World.Getenv("HOME"), ".kube", "config")
	if record.Exists(file) {
		return []string{file}
	}
	return nil
}

// Namespace is where the service lives in an environment.
func Namespace(d *delivery.Delivery, environment string) string {
	return d.Service.Namespace(environment)
}

// neighbours are the other environments with the same namespace, by idp.yaml; whether they are in the same cluster only that can tell.
func neighbours(d *delivery.Delivery) (names []string) {
	for name := range d.Service.Environments {
		if name != d.Record.Environment && Namespace(d, name) == Namespace(d, d.Record.Environment) {
			names = append(names, name)
		}
	}
	return names
}

// Holder is who holds the lock of a deploy: unlike every other process, and with where to look for it.
func Holder(d *delivery.Delivery) release.Holder {
	host, _ := os.Hostname() // a courtesy to people
	run := cmp.Or(d.Record.Run.URL, fmt.Sprintf("%s on %s", cmp.Or(d.Record.Run.Actor, "somebody"), cmp.Or(host, "a machine")))
	if d.Token == "" {
		d.Token = rand.Text()
	}
	return release.Holder{ID: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), d.Token), Run: run}
}

// cluster is the service in its environment's cluster, with what the image of the delivery is deployed as.
func (w *Deploy) cluster(ctx context.Context, d *delivery.Delivery, stage string) (clustertarget.Target, error) {
	t, err := w.History(d, stage)
	if err != nil {
		return t, err
	}
	if w.set == nil {
		set, err := Manifests(ctx, d, t.Image)
		if err != nil {
			return t, err
		}
		w.set = &set
	}
	t.Set = w.set.Unstructured()
	return t, nil
}

// History is the service in its environment's cluster as far as it was deployed already: what goes back needs no manifests.
func (w *Deploy) History(d *delivery.Delivery, stage string) (clustertarget.Target, error) {
	client, err := Connect(d, w.In.Cluster, d.Record.Environment, d.Progress(stage))
	if err != nil {
		return clustertarget.Target{}, err
	}
	artifact := d.Snapshot().Artifact
	t := clustertarget.Target{
		Inputs: clustertarget.Inputs{Wait: w.In.Wait, Service: d.Service.Name, Environment: d.Record.Environment, Namespace: Namespace(d, d.Record.Environment),
			URL: d.Service.Environments[d.Record.Environment].URL, Neighbours: neighbours(d), Holder: Holder(d), Image: artifact.Reference(), Digest: artifact.Digest,
			Commit: d.Record.Source.Commit, Source: release.Source{Repository: d.Record.Source.Repository, ID: d.Record.Run.RepositoryID}, Override: w.In.Override, Strategy: d.Service.Deploy.Strategy, Steps: d.Service.Deploy.Steps,
			Force: d.Rules.Deploy.Force(), Recreate: w.In.Cluster.Recreate, PruneMax: d.Rules.Deploy.MaxPruned(), Tested: w.Smoke != nil},
		Deps: clustertarget.Deps{Cluster: client, Progress: d.Progress(stage), Clock: release.Clock{Now: d.World.Now, Sleep: delivery.Sleep}},
	}
	if w.Smoke != nil {
		t.Smoke = func(ctx context.Context, url string, through http.RoundTripper) error {
			_, err := w.Smoke.test(ctx, d, url, through, stage)
			return err
		}
	}
	return t, nil
}
