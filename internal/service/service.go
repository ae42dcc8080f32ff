// Package service reads idp.yaml, the one file that a product engineer writes, and what catalog-info.yaml and score.yaml
// beside it say already. The tags of the types are the one source of the decoder's checks, of the published JSON Schema and
// of docs/idp-yaml.md; what a tag cannot say is checked in validate.go.
package service

// File is the name of the file in the service's directory.
const File = "idp.yaml"

// Service is what idp.yaml says, with every default filled in.
type Service struct {
	Name         string                 `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?$" want:"lower-case letters, digits and hyphens, at most 63 characters, no hyphen at either end" jsonschema_description:"Name in the catalogue and in DNS."`
	Owner        string                 `yaml:"owner" json:"owner" jsonschema:"required,pattern=^([A-Za-z][A-Za-z0-9]*:)?([a-z0-9]+(-+[a-z0-9]+)*/)?([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"the name of a Backstage entity, such as team-payments or group:default/team-payments" jsonschema_description:"Team that owns the service."`
	Description  string                 `yaml:"description" json:"description,omitempty" jsonschema_description:"What it does, in one sentence."`
	Tier         int                    `yaml:"tier" json:"tier,omitempty" jsonschema:"minimum=1,maximum=4" jsonschema_description:"How much depends on it: 1 is the most."`
	System       string                 `yaml:"system" json:"system,omitempty" jsonschema:"pattern=^([A-Za-z][A-Za-z0-9]*:)?([a-z0-9]+(-+[a-z0-9]+)*/)?([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"the name of a Backstage entity, such as shop" jsonschema_description:"Backstage system that it is part of."`
	Lifecycle    string                 `yaml:"lifecycle" json:"lifecycle,omitempty" jsonschema:"pattern=^[A-Za-z0-9]([A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])?$" want:"one word, such as production, experimental or deprecated" jsonschema_description:"Backstage lifecycle, such as production or experimental."`
	Runbook      string                 `yaml:"runbook" json:"runbook,omitempty" jsonschema:"pattern=^https?://[^ /?#]+[^ ]*$" want:"an address such as https://example.com/page" jsonschema_description:"URL of what to do when it breaks."`
	Dashboards   []Link                 `yaml:"dashboards" json:"dashboards,omitempty" jsonschema_description:"Where to look at it."`
	SLA          float64                `yaml:"sla" json:"sla,omitempty" jsonschema:"minimum=0,maximum=100" jsonschema_description:"Availability objective, percent."`
	Port         int                    `yaml:"port" json:"port,omitempty" jsonschema:"minimum=1,maximum=65535,default=8080" jsonschema_description:"Port that it listens on in a container. It is told in the environment variable PORT."`
	Health       string                 `yaml:"health" json:"health,omitempty" jsonschema:"pattern=^/([!-.0-~][!-~]*)?$,default=/healthz" want:"a path that starts with one / and has no spaces" jsonschema_description:"Path that answers 200 when it can serve."`
	Version      string                 `yaml:"version" json:"version,omitempty" jsonschema:"pattern=^(off|/([!-.0-~][!-~]*)?)$,default=/version" want:"a path that starts with one / and has no spaces, or off" jsonschema_description:"Path that answers with IDP_REVISION or IDP_DIGEST from the environment, as text or in a JSON object. It proves that the new version answers; off does without the proof."`
	Main         string                 `yaml:"main" json:"main,omitempty" jsonschema:"minLength=1,default=." jsonschema_description:"Go package of the program, relative to the service's folder."`
	Size         string                 `yaml:"size" json:"size,omitempty" jsonschema:"minLength=1,default=small" jsonschema_description:"T-shirt of CPU and memory, from the policy."`
	Scale        Scale                  `yaml:"scale" json:"scale,omitempty" jsonschema_description:"Number of replicas."`
	Env          map[string]string      `yaml:"env" json:"env,omitempty" keys:"^[A-Za-z_][A-Za-z0-9_]*$" keyswant:"a variable's name is letters, digits and underscores, no digit first" jsonschema_description:"Environment variables of the service. Never put a secret here."`
	APIs         []API                  `yaml:"apis" json:"apis,omitempty" jsonschema_description:"APIs that it provides."`
	Consumes     []string               `yaml:"consumes" json:"consumes,omitempty" jsonschema:"pattern=^([A-Za-z][A-Za-z0-9]*:)?([a-z0-9]+(-+[a-z0-9]+)*/)?([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"the name of a Backstage entity, such as stock-api" jsonschema_description:"APIs of others that it calls."`
	DependsOn    []string               `yaml:"depends-on" json:"depends-on,omitempty" jsonschema:"pattern=^([A-Za-z][A-Za-z0-9]*:)([a-z0-9]+(-+[a-z0-9]+)*/)?([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"the kind and the name of a Backstage entity, such as component:stock" jsonschema_description:"What else it cannot do without, of others: components and resources."`
	Resources    []Resource             `yaml:"resources" json:"resources,omitempty" jsonschema_description:"What it has of its own and cannot do without, such as a database."`
	Network      Network                `yaml:"network" json:"network,omitempty" jsonschema_description:"Who may call it."`
	Smoke        []Check                `yaml:"smoke" json:"smoke,omitempty" jsonschema_description:"Checks against the live service."`
	Environments map[string]Environment `yaml:"environments" json:"environments,omitempty" keys:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" keyswant:"an environment's name is lower-case letters, digits and hyphens" jsonschema_description:"Where it is deployed."`
	Deploy       Deploy                 `yaml:"deploy" json:"deploy,omitempty" jsonschema_description:"Where its Kubernetes manifests come from, and how a new version takes over."`
}

// Link is a titled URL.
type Link struct {
	Title string `yaml:"title" json:"title" jsonschema:"required,minLength=1" jsonschema_description:"What it shows."`
	URL   string `yaml:"url" json:"url" jsonschema:"required,pattern=^https?://[^ /?#]+[^ ]*$" want:"an address such as https://example.com/page" jsonschema_description:"Where it is."`
}

// API is an interface that a service provides.
type API struct {
	Name        string `yaml:"name" json:"name" jsonschema:"required,pattern=^([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"letters, digits, hyphens, dots and underscores, at most 63, a letter or digit at either end" jsonschema_description:"Name in the catalogue."`
	Type        string `yaml:"type" json:"type" jsonschema:"required,pattern=^[A-Za-z0-9]([A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])?$" want:"one word, such as openapi, asyncapi, graphql or grpc" jsonschema_description:"Backstage type, such as openapi, asyncapi, graphql or grpc."`
	File        string `yaml:"file" json:"file" jsonschema:"required,minLength=1" jsonschema_description:"Its definition, below the service's folder."`
	Description string `yaml:"description" json:"description,omitempty" jsonschema_description:"What it is for, in one sentence."`
}

// Resource is infrastructure that a service has of its own.
type Resource struct {
	Name        string `yaml:"name" json:"name" jsonschema:"required,pattern=^([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])$" want:"letters, digits, hyphens, dots and underscores, at most 63, a letter or digit at either end" jsonschema_description:"Name in the catalogue."`
	Type        string `yaml:"type" json:"type" jsonschema:"required,pattern=^[A-Za-z0-9]([A-Za-z0-9_.-]{0\\,61}[A-Za-z0-9])?$" want:"one word, such as database, bucket or queue" jsonschema_description:"Backstage type, such as database, bucket or queue."`
	Description string `yaml:"description" json:"description,omitempty" jsonschema_description:"What it is for, in one sentence."`
}

// Scale is the number of replicas. A Max above Min asks for a HorizontalPodAutoscaler.
type Scale struct {
	Min int `yaml:"min" json:"min,omitempty" jsonschema:"minimum=1,default=1" jsonschema_description:"Fewest replicas."`
	Max int `yaml:"max" json:"max,omitempty" jsonschema:"minimum=1" jsonschema_description:"Most replicas. Default: as many as min, which means no autoscaling."`
	CPU int `yaml:"cpu" json:"cpu,omitempty" jsonschema:"minimum=1,maximum=100,default=70" jsonschema_description:"Average CPU use, percent of the request, above which replicas are added."`
}

// Network asks for a NetworkPolicy.
type Network struct {
	From []string `yaml:"from" json:"from,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?$" want:"lower-case letters, digits and hyphens, at most 63 characters, no hyphen at either end" jsonschema_description:"Services that may call this one; all others are refused. Empty: no NetworkPolicy."`
}

// Environment is one place that the service is deployed to.
type Environment struct {
	Namespace string            `yaml:"namespace" json:"namespace,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?$" want:"lower-case letters, digits and hyphens, at most 63 characters, no hyphen at either end" jsonschema_description:"Kubernetes namespace; defaults to the service's name."`
	URL       string            `yaml:"url" json:"url,omitempty" jsonschema:"pattern=^https?://[^ /?#]+[^ ]*$" want:"an address such as https://example.com/page" jsonschema_description:"Where the service answers; smoke checks run against it."`
	Budget    string            `yaml:"budget" json:"budget,omitempty" jsonschema:"pattern=^[0-9]+(\\.[0-9]{1\\,2})? [A-Z]{3}/month$" want:"an amount, a currency and /month, such as 300 USD/month" jsonschema_description:"Such as 300 USD/month. An estimate above it fails."`
	Env       map[string]string `yaml:"env" json:"env,omitempty" keys:"^[A-Za-z_][A-Za-z0-9_]*$" keyswant:"a variable's name is letters, digits and underscores, no digit first" jsonschema_description:"Environment variables here, over those of the service."`
	Scale     *Scale            `yaml:"scale" json:"scale,omitempty" jsonschema_description:"Number of replicas here; what it does not say is as for the service."`
	Size      string            `yaml:"size" json:"size,omitempty" jsonschema:"minLength=1" jsonschema_description:"T-shirt here, in place of the service's."`
	Context   string            `yaml:"context" json:"context,omitempty" jsonschema:"minLength=1" jsonschema_description:"Context of the kubeconfig that leads to this environment's cluster. Default: its current one."`
	Deploy    *Deploy           `yaml:"deploy" json:"deploy,omitempty" jsonschema_description:"Manifests and strategy here; what it does not say is as for the service."`
}

// Deploy says where the manifests come from, and how a new version takes over. At most one of Manifests, Kustomize and
// Helm is set; with none they are generated from idp.yaml.
type Deploy struct {
	Manifests string `yaml:"manifests" json:"manifests,omitempty" jsonschema:"minLength=1" jsonschema_description:"Folder of Kubernetes manifests. Without it, kustomize and helm they are generated from this file."`
	Kustomize string `yaml:"kustomize" json:"kustomize,omitempty" jsonschema:"minLength=1" jsonschema_description:"Folder of a kustomization, such as deploy/overlays/production."`
	Helm      *Helm  `yaml:"helm" json:"helm,omitempty" jsonschema_description:"A Helm chart. The program helm has to be there."`
	Strategy  string `yaml:"strategy" json:"strategy,omitempty" jsonschema:"enum=rolling,enum=canary,enum=blue-green,default=rolling" jsonschema_description:"How a new version takes over: pod by pod, first for a part of the requests, or all at once."`
	Steps     []int  `yaml:"steps" json:"steps,omitempty" jsonschema:"minimum=1,maximum=99" jsonschema_description:"For canary: percent of the replicas that run the new version, step by step. Default: 10, then 50."`
}

// Helm is a chart in the service's folder.
type Helm struct {
	Chart  string   `yaml:"chart" json:"chart" jsonschema:"required,minLength=1" jsonschema_description:"Folder of the chart."`
	Values []string `yaml:"values" json:"values,omitempty" jsonschema:"minLength=1" jsonschema_description:"Files of values, over those of the chart; a later one over an earlier one. Never put a secret there."`
}

// Check is one request of the smoke test and what it must answer. Exactly one of the methods is set.
type Check struct {
	Get     string            `yaml:"get" json:"get,omitempty" jsonschema:"pattern=^/([!-.0-~][!-~]*)?$" want:"a path that starts with one / and has no spaces" jsonschema_description:"Path to GET."`
	Head    string            `yaml:"head" json:"head,omitempty" jsonschema:"pattern=^/([!-.0-~][!-~]*)?$" want:"a path that starts with one / and has no spaces" jsonschema_description:"Path to HEAD."`
	Post    string            `yaml:"post" json:"post,omitempty" jsonschema:"pattern=^/([!-.0-~][!-~]*)?$" want:"a path that starts with one / and has no spaces" jsonschema_description:"Path to POST. Never retried."`
	Headers map[string]string `yaml:"headers" json:"headers,omitempty" jsonschema_description:"Headers of the request. Never put a secret here."`
	Body    string            `yaml:"body" json:"body,omitempty" jsonschema_description:"Body of the request."`
	Expect  Expect            `yaml:"expect" json:"expect,omitempty" jsonschema_description:"What the answer must be. Default: status 200."`
}

// Expect is what a check's answer must be. Empty: status 200.
type Expect struct {
	Status  int               `yaml:"status" json:"status,omitempty" jsonschema:"minimum=100,maximum=599,default=200" jsonschema_description:"HTTP status."`
	Headers map[string]string `yaml:"headers" json:"headers,omitempty" jsonschema_description:"Header names and the exact values they must have."`
	Body    Body              `yaml:"body" json:"body,omitempty" jsonschema_description:"What the text of the answer must be like."`
	JSON    map[string]any    `yaml:"json" json:"json,omitempty" jsonschema_description:"JSONPath (RFC 9535) expressions and the values that they must select."`
	P95     string            `yaml:"p95" json:"p95,omitempty" jsonschema:"minLength=1" jsonschema_description:"Such as 250ms: the 95th percentile of the response time over all rounds."`
	TLSDays int               `yaml:"tls-days" json:"tls-days,omitempty" jsonschema:"minimum=0" jsonschema_description:"Days that the certificate must still be valid."`
}

// Body is what the text of an answer must be like.
type Body struct {
	Contains string `yaml:"contains" json:"contains,omitempty" jsonschema:"minLength=1" jsonschema_description:"Text that must be in it."`
	Matches  string `yaml:"matches" json:"matches,omitempty" jsonschema:"minLength=1" jsonschema_description:"Regular expression (RE2)."`
}
