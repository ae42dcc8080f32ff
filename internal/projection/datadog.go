package projection

import "strconv"

// datadogEntity is Datadog's entity of schema v3, in a file and as the body of POST /api/v2/catalog/entity, which takes no
// other keys: EntityV3Service in https://github.com/DataDog/datadog-api-client-go/tree/master/.generator/schemas/v2
type datadogEntity struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   datadogMetadata `json:"metadata"`
	Spec       datadogSpec     `json:"spec"`
}

type datadogMetadata struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Owner       string        `json:"owner,omitempty"` // a team
	Contacts    []datadogMail `json:"contacts,omitempty"`
	Links       []datadogLink `json:"links,omitempty"`
	Tags        []string      `json:"tags,omitempty"`
}

// datadogMail is how to reach somebody. Of people Datadog has nothing else: its owners are teams.
type datadogMail struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Contact string `json:"contact"`
}

type datadogLink struct {
	Name string `json:"name"`
	Type string `json:"type"`
	URL  string `json:"url"`
}

type datadogSpec struct {
	Lifecycle   string   `json:"lifecycle"`
	Tier        string   `json:"tier,omitempty"`
	ComponentOf []string `json:"componentOf,omitempty"`
	DependsOn   []string `json:"dependsOn,omitempty"`
}

// datadogKinds are the kinds of entities that Datadog has for types of resources; it has none for others.
var datadogKinds = map[string]string{"database": "datastore", "queue": "queue"}

func datadogService(e Entry, n Names) datadogEntity {
	d := datadogEntity{APIVersion: "v3", Kind: "service", Metadata: datadogMetadata{Name: e.Name, Description: e.Description, Owner: e.Owner},
		Spec: datadogSpec{Lifecycle: e.Lifecycle}}
	link := func(name, kind, url string) {
		if url != "" {
			d.Metadata.Links = append(d.Metadata.Links, datadogLink{name, kind, url})
		}
	}
	if mail := n.mail(e); mail != "" {
		d.Metadata.Contacts = []datadogMail{{e.Person, "email", mail}}
	}
	link("Runbook", "runbook", e.Runbook)
	for _, b := range e.Dashboards {
		link(b.Title, "dashboard", b.URL)
	}
	link("Source", "repo", e.Repository)
	if e.SLA > 0 {
		d.Metadata.Tags = []string{"sla:" + strconv.FormatFloat(e.SLA, 'f', -1, 64)}
	}
	if e.Tier > 0 {
		d.Spec.Tier = strconv.Itoa(e.Tier)
	}
	if e.System != "" {
		d.Spec.ComponentOf = []string{"system:" + e.System}
	}
	for _, name := range e.Services {
		d.Spec.DependsOn = append(d.Spec.DependsOn, "service:"+name)
	}
	for _, r := range e.Resources {
		if kind := datadogKinds[r.Type]; kind != "" {
			d.Spec.DependsOn = append(d.Spec.DependsOn, kind+":"+r.Name)
		}
	}
	return d
}

// datadogEvent is the body of POST /api/v2/dora/deployment, DORADeploymentRequest in the same description.
type datadogEvent struct {
	Data struct {
		Attributes datadogAttributes `json:"attributes"`
	} `json:"data"`
}

type datadogAttributes struct {
	ID      string      `json:"id"` // 16 to 128 characters
	Service string      `json:"service"`
	Env     string      `json:"env"`
	Team    string      `json:"team,omitempty"`
	Began   int64       `json:"started_at"` // nanoseconds since 1970
	Ended   int64       `json:"finished_at"`
	Version string      `json:"version"`
	Git     *datadogGit `json:"git,omitempty"`
	Tags    []string    `json:"custom_tags"`
}

type datadogGit struct {
	Commit     string `json:"commit_sha"`
	Repository string `json:"repository_url"`
}

func datadogDeployment(e Entry, h Happening) datadogEvent {
	var d datadogEvent
	d.Data.Attributes = datadogAttributes{ID: h.ID(), Service: e.Name, Env: h.Record.Environment, Team: e.Owner,
		Began: h.Began.UnixNano(), Ended: h.Time.UnixNano(), Version: h.Digest, Tags: []string{"kind:" + h.Kind}}
	if h.Commit != "" {
		d.Data.Attributes.Version = h.Commit
		if e.Repository != "" {
			d.Data.Attributes.Git = &datadogGit{h.Commit, e.Repository}
		}
	}
	return d
}
