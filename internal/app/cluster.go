package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
)

const targetKubernetes = "kubernetes"

// connect opens the cluster of an environment. It asks the cluster nothing.
func (d *delivery) connect(in deploy.Cluster, environment string, progress action.Progress) (*kubernetes.Client, error) {
	return kubernetes.Connect(kubernetes.Options{Files: d.kubeconfigs(in), Data: []byte(in.Content), Agent: "idp/" + Version(),
		Context: d.svc.Environments[environment].Context, Warn: progress})
}

// kubeconfigs are the files that say how to reach the cluster; none where this may run in a pod of it.
func (d *delivery) kubeconfigs(in deploy.Cluster) []string {
	switch list := d.world.Getenv("KUBECONFIG"); {
	case in.Content != "":
		return nil
	case in.Kubeconfig != "":
		return []string{in.Kubeconfig}
	case list != "":
		return filepath.SplitList(list)
	}
	file := filepath.Join(d.world.Getenv("HOME"), ".kube", "config")
	if record.Exists(file) {
		return []string{file}
	}
	return nil
}

// namespace is where the service lives in an environment.
func (d *delivery) namespace(environment string) string {
	return cmp.Or(d.svc.Environments[environment].Namespace, d.svc.Name)
}

// holder is who holds the lock of a deploy: unlike every other process, and with where to look for it.
func (d *delivery) holder() release.Holder {
	host, _ := os.Hostname() // a courtesy to people
	run := cmp.Or(d.rec.Run.URL, fmt.Sprintf("%s on %s", cmp.Or(d.rec.Run.Actor, "somebody"), cmp.Or(host, "a machine")))
	if d.token == "" {
		d.token = rand.Text()
	}
	return release.Holder{ID: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), d.token), Run: run}
}

// cluster is the service in its environment's cluster, with what the image of the delivery is deployed as.
func (w *deployWork) cluster(ctx context.Context, d *delivery, stage string) (clustertarget.Target, error) {
	t, err := w.history(d, stage)
	if err != nil {
		return t, err
	}
	if w.set == nil {
		set, err := d.manifests(ctx, t.Image)
		if err != nil {
			return t, err
		}
		w.set = &set
	}
	t.Set = w.set.Unstructured()
	return t, nil
}

// history is the service in its environment's cluster as far as it was deployed already: what goes back needs no manifests.
func (w *deployWork) history(d *delivery, stage string) (clustertarget.Target, error) {
	client, err := d.connect(w.in.Cluster, d.rec.Environment, d.progress(stage))
	if err != nil {
		return clustertarget.Target{}, err
	}
	artifact := d.snapshot().Artifact
	t := clustertarget.Target{
		Inputs: clustertarget.Inputs{Wait: w.in.Wait, Service: d.svc.Name, Environment: d.rec.Environment, Namespace: d.namespace(d.rec.Environment),
			URL: d.svc.Environments[d.rec.Environment].URL, Holder: d.holder(), Image: artifact.Reference(), Digest: artifact.Digest,
			Commit: d.rec.Source.Commit, Override: w.in.Override, Strategy: d.svc.Deploy.Strategy, Steps: d.svc.Deploy.Steps,
			Force: d.rules.Deploy.Force(), Recreate: w.in.Cluster.Recreate, PruneMax: d.rules.Deploy.MaxPruned(), Tested: w.smoke != nil},
		Deps: clustertarget.Deps{Cluster: client, Progress: d.progress(stage), Clock: release.Clock{Now: d.world.Now, Sleep: sleep}},
	}
	if w.smoke != nil {
		t.Smoke = func(ctx context.Context, url string, through http.RoundTripper) error {
			_, err := w.smoke.test(ctx, d, url, through, stage)
			return err
		}
	}
	return t, nil
}
