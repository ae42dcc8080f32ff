//go:build e2e

package apply_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

func write(t *testing.T, manifests string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// cleanup runs kubectl after a test, whose own context has ended.
func cleanup(t *testing.T, k *cluster.Cluster, args ...string) {
	if out, err := k.KubectlDetached(t, args...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestClusterWhatCannotBeChangedIsExplainedAndMadeAnewWhenAsked(t *testing.T) {
	k := cluster.Open(t)
	c := connect(t, k.Kubeconfig)
	pod := `{metadata: {labels: {app: x}}, spec: {restartPolicy: %s, containers: [{name: app, image: "registry.example/x:1"}]}}`
	always, never := strings.Replace(pod, "%s", "Always", 1), strings.Replace(pod, "%s", "Never", 1)
	for name, test := range map[string]struct{ manifest, old, new, field, next string }{
		"Deployment":            {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {selector: {matchLabels: {app: x}}, template: " + always + "}", "app: x", "app: z", "spec.selector", "the service is down meanwhile"},
		"StatefulSet":           {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\nspec: {serviceName: a, selector: {matchLabels: {app: x}}, template: " + always + "}", "serviceName: a", "serviceName: b", "spec", "the service is down meanwhile"},
		"Job":                   {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\nspec: {template: " + never + "}", "x:1", "x:2", "spec.template", "It runs again"},
		"Service":               {"apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}", "spec: {", "spec: {clusterIP: None, ", "spec.clusterIPs[0]", "a new address"},
		"ConfigMap":             {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nimmutable: true\ndata: {a: old}", "old", "new", "data", "a new name is safer"},
		"RoleBinding":           {"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}", "name: a}", "name: b}", "roleRef", "gone for a moment"},
		"PersistentVolumeClaim": {"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x}\nspec: {accessModes: [ReadWriteOnce], storageClassName: a, resources: {requests: {storage: 1Mi}}}", "storageClassName: a", "storageClassName: b", "spec", "data or objects of others go with it"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := k.Namespace(t)
			made, err := apply.Apply(t.Context(), c, objects(t, ns, test.manifest), apply.Options{})
			old := must(t, made, err)[0].After
			next := objects(t, ns, strings.ReplaceAll(test.manifest, test.old, test.new))
			_, err = apply.Apply(t.Context(), c, next, apply.Options{})
			wantFault(t, err, fault.BadInput, name+" x: "+test.field+" cannot be changed while the object exists", test.next)

			plan, err := apply.Plan(t.Context(), c, next, apply.Options{Recreate: true})
			if name == "PersistentVolumeClaim" {
				wantFault(t, err, fault.BadInput, test.next)
				return
			}
			plan = must(t, plan, err)
			wantActions(t, plan, name+" x: recreate")
			t.Log("\n" + apply.Diff(plan))
			if live, err := c.Get(t.Context(), plan[0].Ref); err != nil || live.GetUID() != old.GetUID() {
				t.Errorf("a plan made it anew (%v)", err)
			}
			made, err = apply.Apply(t.Context(), c, next, apply.Options{Recreate: true})
			if after := must(t, made, err)[0].After; after.GetUID() == old.GetUID() {
				t.Error("it is the same object")
			}
			made, err = apply.Apply(t.Context(), c, next, apply.Options{Recreate: true})
			wantActions(t, must(t, made, err), name+" x: unchanged")
		})
	}
}

func TestClusterAllProblemsAreToldAtOnceAndNothingChanges(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	_, err := apply.Apply(t.Context(), c, objects(t, ns, `
apiVersion: v1
kind: ConfigMap
metadata: {name: good}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: typo}
spec: {replica: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: empty}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: large}
data: {a: `+strings.Repeat("x", 1100000)+`}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: huge}
data: {a: `+strings.Repeat("x", 3500000)+`}
`), apply.Options{})
	wantFault(t, err, fault.BadInput, "4 of 5 objects cannot be applied", "Deployment typo is not valid: .spec.replica: field not declared in schema",
		"Deployment empty is not valid\n", "  spec.selector: Required value", "ConfigMap large is not valid", "Too long", "ConfigMap huge is not valid: Request entity too large")
	if got := k.Kubectl(t, "get", "configmap", "-n", ns, "-l", "idp/service", "-o", "name"); got != "" {
		t.Errorf("%s was applied", got)
	}

	_, err = apply.Apply(t.Context(), c, objects(t, ns, "apiVersion: nowhere.example/v1\nkind: Gadget\nmetadata: {name: x}\n---\napiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: x}"), apply.Options{})
	wantFault(t, err, fault.BadInput, "2 of 2 objects", "Gadget x: the cluster has no kind Gadget of nowhere.example/v1", "Deployment x: the cluster has no kind Deployment of apps/v1beta1; it has that of apps/v1")

	_, err = apply.Apply(t.Context(), c, objects(t, "idp-not-there", shop), apply.Options{})
	wantFault(t, err, fault.BadInput, "there is no namespace idp-not-there")
}

func TestClusterDefinitionsAndNamespacesComeFirst(t *testing.T) {
	k := cluster.Open(t)
	c := connect(t, k.Kubeconfig)
	ns := "idp-test-" + strings.ToLower(strings.ReplaceAll(t.Name()[len(t.Name())-5:], "/", "")) + "-" + time.Now().Format("150405")
	group := ns + ".example.com"
	t.Cleanup(func() {
		cleanup(t, k, "delete", "namespace", ns, "--wait=false", "--ignore-not-found")
		cleanup(t, k, "delete", "crd", "gadgets."+group, "--ignore-not-found")
	})
	set := objects(t, ns, `
apiVersion: `+group+`/v1
kind: Gadget
metadata: {name: one}
spec: {size: 3}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
data: {a: b}
---
apiVersion: v1
kind: Namespace
metadata: {name: `+ns+`}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.`+group+`}
spec:
  group: `+group+`
  names: {kind: Gadget, plural: gadgets}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]
`)
	o := apply.Options{Wait: established(c)}
	plan, err := apply.Plan(t.Context(), c, set, o)
	t.Log("\n" + apply.Diff(must(t, plan, err)))
	done, err := apply.Apply(t.Context(), c, set, o)
	wantActions(t, must(t, done, err), "Namespace "+ns+": create, CustomResourceDefinition gadgets."+group+": create, ConfigMap one: create, Gadget one: create")
	done, err = apply.Apply(t.Context(), c, set, o)
	wantActions(t, must(t, done, err), "Namespace "+ns+": unchanged, CustomResourceDefinition gadgets."+group+": unchanged, ConfigMap one: unchanged, Gadget one: unchanged")

	kept := set[1:]
	orphans, _, err := apply.Orphans(t.Context(), c, kept, refs(set), "shop")
	if err != nil || len(orphans) != 1 || orphans[0].Kind != "Gadget" {
		t.Errorf("orphans %v (%v)", orphans, err)
	}
}

func refs(set []kubernetes.Object) []kubernetes.Ref {
	list := make([]kubernetes.Ref, len(set))
	for i := range set {
		list[i] = kubernetes.RefOf(&set[i])
	}
	return list
}

func TestClusterPrunesWhatIsOursAndNoMoreThanAllowed(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	all := objects(t, ns, shop+`---
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: given-away}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, labels: {idp/environment: production}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
`)
	done, err := apply.Apply(t.Context(), c, all, apply.Options{})
	must(t, done, err)
	k.Kubectl(t, "label", "configmap", "given-away", "-n", ns, "idp/service=other", "--overwrite")
	k.Kubectl(t, "create", "configmap", "unrelated", "-n", ns)

	keep := objects(t, ns, strings.ReplaceAll("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, labels: {idp/environment: staging}}", "", ""))
	inventory := append(refs(all), kubernetes.Ref{APIVersion: "gone.example/v1", Kind: "Gone", Namespace: ns, Name: "x"}, kubernetes.Ref{APIVersion: "v1", Kind: "Secret", Namespace: ns, Name: "never-was"})
	orphans, _, err := apply.Orphans(t.Context(), c, keep, inventory, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range orphans {
		names = append(names, o.String())
	}
	if got, want := strings.Join(names, ", "), "Deployment shop, Service shop, ConfigMap old"; got != want {
		t.Fatalf("orphans are %s, want %s", got, want)
	}
	if none, _, err := apply.Orphans(t.Context(), c, keep, inventory, ""); err != nil || len(none) > 0 {
		t.Errorf("without a service everything is ours: %v %v", none, err)
	}

	done, err = apply.Prune(t.Context(), c, orphans, "shop", 2, nil)
	wantFault(t, err, fault.Failed, "3 objects are no longer in the manifests and would be deleted; at most 2 may be", "Deployment shop", "prune-max")
	if len(done) > 0 {
		t.Error("it deleted some nevertheless")
	}
	k.Kubectl(t, "get", "deployment/shop", "service/shop", "configmap/old", "-n", ns)

	for _, other := range []string{"another", ""} {
		if done, err = apply.Prune(t.Context(), c, orphans, other, 3, nil); err != nil || len(done) > 0 {
			t.Errorf("for service %q: %v, %v", other, done, err)
		}
	}
	done, err = apply.Prune(t.Context(), c, orphans, "shop", 3, nil)
	wantActions(t, must(t, done, err), "Deployment shop: prune, Service shop: prune, ConfigMap old: prune")
	got := k.Kubectl(t, "get", "deployment,service,configmap,pvc", "-n", ns, "-o", "name")
	if want := "configmap/elsewhere\nconfigmap/given-away\nconfigmap/kube-root-ca.crt\nconfigmap/shop\nconfigmap/unrelated\npersistentvolumeclaim/data"; got != want {
		t.Errorf("left is\n%s\nwant\n%s", got, want)
	}
	again, err := apply.Prune(t.Context(), c, orphans, "shop", 3, nil)
	if err != nil || len(again) > 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
}

func TestClusterRefusesWhatAnotherServiceOwns(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	other := objects(t, ns, strings.Replace(shop, "kind: ConfigMap\nmetadata: {name: shop}", "kind: ConfigMap\nmetadata: {name: shop, labels: {idp/service: other}}", 1))
	done, err := apply.Apply(t.Context(), c, other[2:], apply.Options{})
	must(t, done, err)
	for _, o := range []apply.Options{{}, {Force: true, Recreate: true}} {
		_, err = apply.Apply(t.Context(), c, objects(t, ns, shop), o)
		wantFault(t, err, fault.BadInput, `ConfigMap shop belongs to another service, "other"`)
	}
	if got := k.Kubectl(t, "get", "deployment", "-n", ns, "-o", "name"); got != "" {
		t.Errorf("%s was applied nevertheless", got)
	}
}

func TestClusterRulesOfTheClusterAreGatesThatSayNo(t *testing.T) {
	k := cluster.Open(t)
	c := connect(t, k.Kubeconfig)
	t.Run("quota", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Apply(t, ns, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: small}\nspec: {hard: {count/deployments.apps: \"0\"}}")
		k.Refuses(t, ns, deploymentOf(shop), "exceeded quota: small")
		_, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
		wantFault(t, err, fault.Failed, "Deployment shop is refused by the cluster: exceeded quota: small", "ask for a larger quota")
	})
	t.Run("policy", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Apply(t, ns, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: `+ns+`}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]}
  validations: [{expression: "object.spec.replicas > 1", message: "two replicas at least"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: `+ns+`}
spec:
  policyName: `+ns+`
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+ns+`}}}
`)
		t.Cleanup(func() {
			cleanup(t, k, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", ns)
		})
		k.Refuses(t, ns, deploymentOf(shop), "two replicas at least")
		_, err := apply.Plan(t.Context(), c, objects(t, ns, shop), apply.Options{})
		wantFault(t, err, fault.Failed, "Deployment shop is refused by the cluster: ValidatingAdmissionPolicy", "two replicas at least", "A rule of the cluster forbids it")
	})
	t.Run("pod security", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Restrict(t, ns, "restricted")
		_, err := apply.Apply(t.Context(), c, objects(t, ns, "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: x, image: x}]}"), apply.Options{})
		wantFault(t, err, fault.Failed, "violates PodSecurity")
	})
	t.Run("limit range", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Apply(t, ns, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {limits: [{type: Container, max: {cpu: 10m}}]}")
		k.Refuses(t, ns, strings.Replace(cluster.Pod, "image: probe", "image: probe, resources: {limits: {cpu: 1}}", 1), "maximum cpu usage per Container")
		_, err := apply.Apply(t.Context(), c, objects(t, ns, "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: x, image: x, resources: {limits: {cpu: 1}}}]}"), apply.Options{})
		wantFault(t, err, fault.Failed, "maximum cpu usage per Container")
	})
	t.Run("webhook that does not answer", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Apply(t, ns, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: `+ns+`}
webhooks:
- name: away.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: ["*"], resources: [configmaps]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+ns+`}}
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 1
`)
		t.Cleanup(func() { cleanup(t, k, "delete", "validatingwebhookconfiguration", ns) })
		k.Refuses(t, ns, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: probe}\n", "away.example.com")
		_, err := apply.Plan(t.Context(), c, objects(t, ns, shop), apply.Options{})
		wantFault(t, err, fault.Undetermined, "an admission webhook of the cluster does not answer", "away.example.com")
	})
	t.Run("namespace that is being deleted", func(t *testing.T) {
		ns := k.Namespace(t)
		k.Apply(t, ns, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stays, finalizers: [example.com/stay]}")
		k.Kubectl(t, "delete", "namespace", ns, "--wait=false")
		t.Cleanup(func() {
			cleanup(t, k, "patch", "configmap", "stays", "-n", ns, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		})
		_, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
		wantFault(t, err, fault.Failed, "being terminated")
	})
}

// deploymentOf is the Deployment of manifests that begin with one.
func deploymentOf(manifests string) string { return strings.SplitN(manifests, "---", 2)[0] }

func TestClusterCredentials(t *testing.T) {
	k := cluster.Open(t)
	ns := k.Namespace(t)
	k.Kubectl(t, "create", "serviceaccount", "nobody", "-n", ns)
	_, err := apply.Plan(t.Context(), connect(t, k.User(t, ns, "nobody", time.Hour)), objects(t, ns, shop), apply.Options{})
	wantFault(t, err, fault.Undetermined, "the credentials may not get Deployment shop: User ", "idp deploy --print-rbac")

	_, err = apply.Plan(t.Context(), connect(t, k.User(t, ns, "nobody", -time.Hour)), objects(t, ns, shop), apply.Options{})
	wantFault(t, err, fault.Undetermined, "does not accept the credentials", "log in to the cluster again")
}
