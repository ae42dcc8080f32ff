package cost_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/cost"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// One replica of 100m CPU and 128Mi: 730 × (0.1 × 0.031611 + 0.125 × 0.004237) = 2.69422925 USD.
// One of 500m and 512Mi: 730 × (0.5 × 0.031611 + 0.5 × 0.004237) = 13.08452 USD.
// 10Gi of storage: 730 × 10 × 0.00005479452 = 0.399999996 USD.
const (
	small  = "resources: {requests: {cpu: 100m, memory: 128Mi}}"
	medium = "resources: {requests: {cpu: 500m, memory: 512Mi}}"
)

func pod(containers string) string {
	return "{selector: {matchLabels: {a: b}}, template: {spec: {containers: [" + containers + "]}}"
}

func deployment(extra, containers string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: " + pod(containers) + extra + "}\n"
}

const hpa = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n" +
	"spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 3}\n"

const keda = "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web}\nspec: {scaleTargetRef: {name: web}}\n"

func TestEstimate(t *testing.T) {
	t.Parallel()
	app, mid := "{name: app, "+small+"}", "{name: app, "+medium+"}"
	for name, tc := range map[string]struct {
		yaml     string
		min, max float64
		summary  string
	}{
		"no replicas means 1": {deployment("", app), 2.69, 2.69, "$2.69 a month"},
		"three":               {deployment(", replicas: 3", app), 8.08, 8.08, "$8.08 a month"}, // 8.08268775
		"autoscaled":          {deployment("", app) + hpa, 2.69, 8.08, "$2.69–$8.08 a month"},
		"autoscaler wins":     {deployment(", replicas: 9", mid) + hpa, 13.08, 39.25, "$13.08–$39.25 a month"}, // 39.25356
		"v1 autoscaler": {deployment("", app) + strings.Replace(hpa, "autoscaling/v2", "autoscaling/v1", 1),
			2.69, 8.08, "$2.69–$8.08 a month"},
		"two containers":  {deployment("", app+", {name: proxy, "+medium+"}"), 15.78, 15.78, "$15.78 a month"}, // 15.77874925
		"limits fill in":  {deployment("", "{name: app, resources: {limits: {cpu: 100m, memory: 128Mi}}}"), 2.69, 2.69, "$2.69 a month"},
		"scaled to none":  {deployment(", replicas: 0", app), 0, 0, "$0.00 a month"},
		"replica set":     {strings.Replace(deployment(", replicas: 2", app), "Deployment", "ReplicaSet", 1), 5.39, 5.39, "$5.39 a month"}, // 5.3884585
		"with a cron job": {deployment("", app) + "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\n", 2.69, 2.69, "$2.69 a month, without CronJob nightly"},
		"with a daemon":   {deployment("", app) + "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\n", 2.69, 2.69, "$2.69 a month, without DaemonSet agent"},
		// KEDA: 0 to 100 unless it says so; 100 × 2.69422925 = 269.422925.
		"scaled by KEDA":              {deployment("", app) + keda, 0, 269.42, "$0.00–$269.42 a month"},
		"scaled by KEDA, with bounds": {deployment("", app) + strings.Replace(keda, "spec: {", "spec: {minReplicaCount: 1, maxReplicaCount: 3, ", 1), 2.69, 8.08, "$2.69–$8.08 a month"},
		"scaled by KEDA, idle at none": {deployment("", app) + strings.Replace(keda, "spec: {", "spec: {minReplicaCount: 2, idleReplicaCount: 0, maxReplicaCount: 3, ", 1),
			0, 8.08, "$0.00–$8.08 a month"},
		"with a load balancer": {deployment("", app) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n",
			2.69, 2.69, "$2.69 a month, without Service web"},
		"with a service": {deployment("", app) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n", 2.69, 2.69, "$2.69 a month"},
		// 150m and 100 million bytes: 730 × (0.15 × 0.031611 + 100000000/1073741824 × 0.004237) = 3.7494...: 3.4614045 + 0.28805647.
		"decimal units": {deployment("", "{name: app, resources: {requests: {cpu: 0.15, memory: 100M}}}"), 3.75, 3.75, "$3.75 a month"},
		"a volume": {deployment("", app) + "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {resources: {requests: {storage: 10Gi}}}\n",
			3.09, 3.09, "$3.09 a month"}, // 3.094229246
		"stateful": {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: " + pod(app) +
			", replicas: 3, volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: {requests: {storage: 10Gi}}}}]}\n",
			9.28, 9.28, "$9.28 a month"}, // 8.08268775 + 1.199999988
		"ephemeral volume": {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [" + app +
			"], volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 10Gi}}}}}}]}\n", 3.09, 3.09, "$3.09 a month"},
		// The init container's peak (500m, 512Mi) is above the container's 100m and 128Mi.
		"init peak": {strings.Replace(deployment("", app), "containers:", "initContainers: [{name: migrate, "+medium+"}], containers:", 1), 13.08, 13.08, "$13.08 a month"},
		"init below": {strings.Replace(deployment("", mid), "containers:", "initContainers: [{name: migrate, "+small+"}], containers:", 1),
			13.08, 13.08, "$13.08 a month"},
		"sidecar adds": {strings.Replace(deployment("", app), "containers:", "initContainers: [{name: mesh, restartPolicy: Always, "+medium+"}], containers:", 1),
			15.78, 15.78, "$15.78 a month"},
		// Sidecar 100m/128Mi, then an init container of 500m/512Mi beside it: 600m/640Mi, above the 200m/256Mi of the pod.
		"init beside sidecar": {strings.Replace(deployment("", app), "containers:", "initContainers: [{name: mesh, restartPolicy: Always, "+small+"}, {name: migrate, "+medium+"}], containers:", 1),
			15.78, 15.78, "$15.78 a month"},
		// The init container ran before the sidecar started, so 500m/512Mi is the peak.
		"init before sidecar": {strings.Replace(deployment("", app), "containers:", "initContainers: [{name: migrate, "+medium+"}, {name: mesh, restartPolicy: Always, "+small+"}], containers:", 1),
			13.08, 13.08, "$13.08 a month"},
		"requests of the pod": {strings.Replace(deployment("", "{name: app}"), "containers:", medium+", containers:", 1), 13.08, 13.08, "$13.08 a month"},
		"overhead": {strings.Replace(deployment("", app), "containers:", "overhead: {cpu: 500m, memory: 512Mi}, containers:", 1),
			15.78, 15.78, "$15.78 a month"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := cost.Run(t.Context(), cost.Inputs{Objects: read(t, tc.yaml)}, cost.Deps{})
			if err != nil {
				t.Fatal(fault.Lines(err))
			}
			if e := out.Evidence; e.Min != tc.min || e.Max != tc.max || out.Summary != tc.summary {
				t.Errorf("got %v to %v, %q; want %v to %v, %q", e.Min, e.Max, out.Summary, tc.min, tc.max, tc.summary)
			}
		})
	}
}

// Nothing of what cannot be told may end in a number.
func TestUndetermined(t *testing.T) {
	t.Parallel()
	app := "{name: app, " + small + "}"
	for name, tc := range map[string]struct{ yaml, want string }{
		"no requests":    {deployment("", "{name: app}"), "Deployment web, container app requests no cpu and no memory: its cost cannot be estimated"},
		"no memory":      {deployment("", "{name: app, resources: {requests: {cpu: 1}}}"), "container app requests no memory"},
		"zero cpu":       {deployment("", "{name: app, resources: {requests: {cpu: 0, memory: 1Gi}}}"), "container app requests no cpu"},
		"one of two":     {deployment("", app+", {name: proxy}"), "container proxy requests no"},
		"two gaps":       {deployment("", "{name: a}, {name: b}"), "2 gaps in the manifests\nDeployment web, container a requests"},
		"init":           {strings.Replace(deployment("", app), "containers:", "initContainers: [{name: migrate}], containers:", 1), "container migrate requests no"},
		"a GPU":          {deployment("", "{name: app, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {nvidia.com/gpu: 1}}}"), "nvidia.com/gpu, for which there is no price"},
		"claim":          {deployment("", app) + "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n", "claim data requests no storage"},
		"rollout":        {"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: a}]}}}\n", "Rollout r (argoproj.io/v1alpha1) runs containers"},
		"stray scaler":   {deployment("", app) + strings.Replace(hpa, "name: web}, minReplicas", "name: other}, minReplicas", 1), "scales Deployment.apps other"},
		"scaler of KEDA": {deployment("", app) + strings.Replace(keda, "{name: web}}", "{name: other}}", 1), "scales Deployment.apps other"},
		"another scaler": {deployment("", app) + strings.Replace(keda, "keda.sh", "acme.example", 1), "ScaledObject web (acme.example/v1alpha1) scales Deployment web in a range that is not known here"},
		"no workload":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n", "no workload is among the manifests"},
		"only a job":     {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n", "Job j: how long it runs is not known"},
		"only a daemon":  {"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\n", "how many there are is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := cost.Inputs{Objects: read(t, tc.yaml), Budget: new(1e9), BudgetCurrency: "USD"}
			out, err := cost.Run(t.Context(), in, cost.Deps{})
			wantFault(t, err, fault.Undetermined, tc.want)
			if out.Summary != "" {
				t.Errorf("it has a summary: %s", out.Summary)
			}
		})
	}
	_, err := cost.Run(t.Context(), cost.Inputs{}, cost.Deps{})
	wantFault(t, err, fault.Undetermined, "no workload")
}

func TestBudget(t *testing.T) {
	t.Parallel()
	objects := read(t, deployment("", "{name: app, "+medium+"}")+hpa) // at most 39.25356
	for name, tc := range map[string]struct {
		budget   float64
		currency string
		kind     fault.Kind
		want     string // empty: passes
	}{
		"far below":  {300, "USD", 0, ""},
		"to a cent":  {39.25, "USD", 0, ""},
		"over":       {39.24, "USD", fault.Failed, "$39.25 a month is over the budget of $39.24\nDeployment web, container app: 1–3 × (0.500 cores, 0.500 GB) = $13.08–$39.25"},
		"whole":      {30, "USD", fault.Failed, "over the budget of $30\n"},
		"none at 0":  {0, "USD", fault.Failed, "over the budget of $0\n"},
		"other":      {300, "EUR", fault.BadInput, "the budget is in EUR and the prices (opencost-defaults 2026-11-23) are in USD"},
		"unnamed":    {300, "", fault.BadInput, "are in USD"},
		"negative":   {-1, "USD", fault.BadInput, "not an amount"},
		"not-number": {math.NaN(), "USD", fault.BadInput, "not an amount"},
	} {
		out, err := cost.Run(t.Context(), cost.Inputs{Objects: objects, Budget: &tc.budget, BudgetCurrency: tc.currency}, cost.Deps{})
		if out.Evidence.Max != 39.25 {
			t.Errorf("%s: no evidence beside the gate: %+v", name, out.Evidence)
		}
		if tc.want != "" {
			wantFault(t, err, tc.kind, tc.want)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The manifests that idp generates can be estimated as they are.
func TestGenerated(t *testing.T) {
	t.Parallel()
	svc := &service.Service{Name: "hello", Owner: "team", Port: 8080, Health: "/healthz", Size: "small", Scale: service.Scale{Min: 2, Max: 6}}
	set, err := manifest.Render(svc, manifest.Options{Sizes: map[string]policy.Size{"small": {CPU: "100m", Memory: "128Mi"}}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := cost.Run(t.Context(), cost.Inputs{Objects: set, Budget: new(300.0), BudgetCurrency: "USD"}, cost.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	want := record.Cost{Currency: "USD", Min: 5.39, Max: 16.17, Budget: new(300.0), Prices: "opencost-defaults 2026-11-23", Rates: &record.Rates{CPU: 0.031611, Memory: 0.004237, Storage: 0.00005479452},
		Containers: []record.ContainerCost{{Workload: "Deployment hello", Container: "app", MinReplicas: 2, MaxReplicas: 6, CPU: 0.1, MemoryGB: 0.125, Min: 5.39, Max: 16.17}}}
	if diff := cmp.Diff(want, out.Evidence); diff != "" {
		t.Error(diff)
	}
	if want := "$5.39–$16.17 a month (budget $300)"; out.Summary != want {
		t.Errorf("got %q, want %q", out.Summary, want)
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	good := "name: ours\ndate: 2026-01\ncurrency: EUR\ncpu-core-hour: 0.1\nmemory-gb-hour: 0\nstorage-gb-hour: 0\n"
	in := cost.Inputs{Objects: read(t, deployment("", "{name: app, "+small+"}"))}
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key": {good + "gpu: 1\n", `unknown key "gpu"`},
		"negative":    {strings.Replace(good, "0.1", "-1", 1), "cpu-core-hour -1"},
		"missing":     {strings.Replace(good, "cpu-core-hour: 0.1\n", "", 1), `"cpu-core-hour" is missing`},
		"not finite":  {strings.Replace(good, "0.1", ".inf", 1), "cpu-core-hour"},
		"currency":    {strings.Replace(good, "EUR", "euro", 1), "ISO 4217"},
		"empty":       {"", "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := in
			in.Prices = write(t, tc.text)
			_, err := cost.Run(t.Context(), in, cost.Deps{})
			wantFault(t, err, fault.BadInput, tc.want)
		})
	}
	in.Prices = filepath.Join(t.TempDir(), "absent.yaml")
	_, err := cost.Run(t.Context(), in, cost.Deps{})
	wantFault(t, err, fault.BadInput, "absent.yaml")

	in.Prices = write(t, good) // 730 × 0.1 × 0.1 = 7.30
	in.Budget, in.BudgetCurrency = new(10.0), "EUR"
	out, err := cost.Run(t.Context(), in, cost.Deps{})
	if want := "7.30 EUR a month (budget 10 EUR)"; err != nil || out.Summary != want {
		t.Errorf("got %q, %v; want %q", out.Summary, err, want)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cost.Run(ctx, cost.Inputs{}, cost.Deps{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFOCUS(t *testing.T) {
	t.Parallel()
	out, err := cost.Run(t.Context(), cost.Inputs{Objects: read(t, deployment("", "{name: app, "+small+"}")+hpa)}, cost.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	of := cost.Charged{Service: "=HYPERLINK(1)", Owner: "@team", Environment: "staging", Month: time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)}
	for name, c := range map[string]record.Cost{"nothing": {Rates: out.Evidence.Rates}, "no prices": {Containers: out.Evidence.Containers}} {
		if rows, err := cost.FOCUS(c, of); fault.KindOf(err) != fault.Undetermined || err == nil || rows != nil {
			t.Errorf("%s: %v, %v", name, rows, err)
		}
	}
	rows, err := cost.FOCUS(out.Evidence, of)
	if err != nil {
		t.Fatal(err)
	}
	var text, js bytes.Buffer
	if err := errors.Join(catalogfile.WriteCosts(&text, rows), cost.FOCUSJSON(&js, rows)); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != 3 {
		t.Fatalf("%d lines, want a header, CPU and memory", len(table))
	}
	got := map[string]string{}
	for i, column := range table[0] {
		got[column] = table[1][i]
	}
	want := map[string]string{
		"BilledCost": "0", "BillingCurrency": "USD", "ChargeCategory": "Usage", "ChargeDescription": "Estimate of requested CPU",
		"BillingPeriodStart": "2026-12-01T00:00:00Z", "BillingPeriodEnd": "2027-01-01T00:00:00Z",
		"ChargePeriodStart": "2026-12-01T00:00:00Z", "ChargePeriodEnd": "2027-01-01T00:00:00Z",
		"PricingQuantity": "219", "PricingUnit": "Core-Hours", "ListUnitPrice": "0.031611", // 3 × 0.1 × 730
		"ListCost": "6.922809", "x_ListCostMin": "2.307603", "x_Estimate": "true", // 219 × 0.031611, and a third of it
		"ResourceName": "Deployment web/app", "ServiceCategory": "Compute", "ServiceName": "'=HYPERLINK(1)",
		"Tags": `{"service":"=HYPERLINK(1)","team":"@team","environment":"staging"}`, "x_Prices": "opencost-defaults 2026-11-23",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var objects []map[string]any
	if err := json.Unmarshal(js.Bytes(), &objects); err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 || len(objects[0]) != len(table[0]) {
		t.Fatalf("JSON and CSV differ in size: %v", objects)
	}
	for column := range objects[0] {
		if _, ok := got[column]; !ok {
			t.Errorf("the CSV has no column %s", column)
		}
	}
	if objects[0]["BilledCost"] != 0.0 || objects[0]["ListCost"] != 6.922809 || objects[0]["x_Estimate"] != true {
		t.Errorf("JSON: %v", objects[0])
	}
}

func read(t *testing.T, text string) manifest.Set {
	t.Helper()
	set, err := manifest.ReadDir(filepath.Dir(write(t, text)))
	if err != nil {
		t.Fatal(fault.Lines(err))
	}
	return set
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func wantFault(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", text)
		return
	}
	if got := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != kind || !strings.Contains(got, text) {
		t.Errorf("kind %d, %q; want kind %d with %q", fault.KindOf(err), got, kind, text)
	}
}
