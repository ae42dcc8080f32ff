//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// manifests are the folders of manifests in the repository of the service: file by name.
func manifests(registry string) map[string]string {
	files := map[string]string{
		"plain/all.yaml":     deployment(registry, "", ""),
		"missing/all.yaml":   deployment(registry, "", "envFrom: [{configMapRef: {name: absent}}]"),
		"bad-image/all.yaml": deployment(registry, "initContainers: [{name: migrate, image: "+registry+"/migrations:none}]", ""),
		"selector/all.yaml":  strings.ReplaceAll(deployment(registry, "", ""), "app: plain", "app: plainer"),
		"two/all.yaml":       deployment(registry, "", "envFrom: [{configMapRef: {name: c00}}]"),
		"fifteen/all.yaml":   deployment(registry, "", "envFrom: [{configMapRef: {name: c00}}]"),
		"half/all.yaml":      deployment(registry, "", "envFrom: [{configMapRef: {name: c00}}]"),
		"many/all.yaml":      deployment(registry, "", "envFrom: [{configMapRef: {name: c00}}]"),
		"colors/all.yaml":    colored(registry),
		"state/all.yaml":     stateful(deployment(registry, "", "")),
		"broken/all.yaml":    stateful(strings.Replace(deployment(registry, "", ""), "env: [", "env: [{name: BEHAVE, value: crash}, ", 1)),
	}
	for _, folder := range []string{"selector", "state", "broken"} { // nobody may evict a pod, ever
		files[folder+"/budget.yaml"] = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: budget}\n" +
			"spec: {maxUnavailable: 0, selector: {matchExpressions: [{key: app, operator: In, values: [plain, plainer]}]}}\n"
	}
	for folder, n := range map[string]int{"two": 2, "colors": 12, "fifteen": 15, "half": 250, "many": 500} {
		for i := range n {
			files[fmt.Sprintf("%s/c%02d.yaml", folder, i)] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%02d}\ndata: {NUMBER: %q, FOLDER: %s}\n", i, fmt.Sprint(i), folder)
		}
	}
	return files
}

// colored takes its configuration from more ConfigMaps than may be pruned, starts slowly, and lets requests come to their end.
func colored(registry string) string {
	var sources []string
	for i := range 12 {
		sources = append(sources, fmt.Sprintf("{configMapRef: {name: c%02d}}", i))
	}
	return strings.NewReplacer("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 10", "port: 8080}, periodSeconds", "port: 8080}, initialDelaySeconds: 4, periodSeconds").
		Replace(deployment(registry, "", "envFrom: ["+strings.Join(sources, ", ")+"]\n          lifecycle: {preStop: {sleep: {seconds: 5}}}"))
}

// stateful makes a StatefulSet of a Deployment.
func stateful(text string) string {
	return strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "  replicas: 2", "  serviceName: plain\n  replicas: 2").Replace(text)
}

// deployment is a manifest of the service as a team writes it, with more for its pod and its container.
func deployment(registry, pod, container string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  replicas: 2
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec:
      terminationGracePeriodSeconds: 1
      %s
      containers:
        - name: app
          image: %s/plain
          env: [{name: HOST, value: 0.0.0.0}, {name: PORT, value: "8080"}]
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 10}
          resources: {requests: {cpu: 1m, memory: 32Mi}}
          %s
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {selector: {app: plain}, ports: [{port: 80, targetPort: 8080}]}
`, pod, registry, container)
}
