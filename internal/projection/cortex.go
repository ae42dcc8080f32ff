package projection

import (
	"strconv"
	"time"
)

// cortexDescriptor is an entity descriptor, an OpenAPI document with extensions:
// https://docs.cortex.io/ingesting-data-into-cortex/entities-overview/entities/yaml
type cortexDescriptor struct {
	OpenAPI string     `json:"openapi"`
	Info    cortexInfo `json:"info"`
}

type cortexInfo struct {
	Title       string         `json:"title"`
	Description string         `json:"description,omitempty"`
	Tag         string         `json:"x-cortex-tag"`
	Type        string         `json:"x-cortex-type"`
	Owners      []cortexOwner  `json:"x-cortex-owners"`
	Git         *cortexGit     `json:"x-cortex-git,omitempty"`
	Groups      []string       `json:"x-cortex-groups,omitempty"` // letters and digits only
	Links       []cortexLink   `json:"x-cortex-link,omitempty"`
	Depends     *cortexDepends `json:"x-cortex-dependency,omitempty"`
	Custom      map[string]any `json:"x-cortex-custom-metadata"`
}

// cortexDepends: https://docs.cortex.io/ingesting-data-into-cortex/entities-overview/entities/adding-entities/dependencies
type cortexDepends struct {
	Cortex []cortexTag `json:"cortex"`
}

type cortexTag struct {
	Tag string `json:"tag"`
}

// cortexOwner is a team of a provider, or a person by mail:
// https://docs.cortex.io/ingesting-data-into-cortex/entities-overview/entities/ownership/assigning-owners-to-entities
type cortexOwner struct {
	Type     string `json:"type"`
	Name     string `json:"name,omitempty"`
	Provider string `json:"provider,omitempty"`
	Email    string `json:"email,omitempty"`
}

// cortexOwners is empty where a person owns it whose address is not known: then nobody is left of those who were there.
func cortexOwners(e Entry, n Names) []cortexOwner {
	switch mail := n.mail(e); {
	case mail != "":
		return []cortexOwner{{Type: "email", Email: mail}}
	case e.Person != "":
		return []cortexOwner{}
	}
	return []cortexOwner{{Type: "group", Name: e.Owner, Provider: n["cortex.provider"]}}
}

type cortexGit struct {
	GitHub struct {
		Repository string `json:"repository"`
		BasePath   string `json:"basepath,omitempty"`
	} `json:"github"`
}

type cortexLink struct {
	Name string `json:"name"`
	Type string `json:"type"`
	URL  string `json:"url"`
}

func cortexService(e Entry, n Names) cortexDescriptor {
	info := cortexInfo{Title: e.Name, Description: e.Description, Tag: e.Name, Type: "service",
		Owners: cortexOwners(e, n), Custom: map[string]any{"lifecycle": e.Lifecycle}}
	if e.Slug != "" {
		info.Git = &cortexGit{}
		info.Git.GitHub.Repository, info.Git.GitHub.BasePath = e.Slug, e.Folder
	}
	if e.Tier > 0 {
		info.Groups = []string{"tier" + strconv.Itoa(e.Tier)}
		info.Custom["tier"] = e.Tier
	}
	if e.SLA > 0 {
		info.Custom["sla"] = e.SLA
	}
	if e.System != "" {
		info.Custom["system"] = e.System
	}
	if e.Runbook != "" {
		info.Links = append(info.Links, cortexLink{"Runbook", "runbook", e.Runbook})
	}
	for _, d := range e.Dashboards {
		info.Links = append(info.Links, cortexLink{d.Title, "dashboard", d.URL})
	}
	for _, name := range e.Services {
		if info.Depends == nil {
			info.Depends = &cortexDepends{}
		}
		info.Depends.Cortex = append(info.Depends.Cortex, cortexTag{name})
	}
	return cortexDescriptor{OpenAPI: "3.0.1", Info: info}
}

// CortexDeploy is the body of POST /api/v1/catalog/TAG/deploys, and what a list of them has:
// https://docs.cortex.io/api/rest/deploys/add-deployment-for-entity
type CortexDeploy struct {
	Tag         string            `json:"-"` // of the entity
	Timestamp   time.Time         `json:"timestamp"`
	Title       string            `json:"title"`
	Type        string            `json:"type"`
	Environment string            `json:"environment"`
	SHA         string            `json:"sha,omitempty"`
	URL         string            `json:"url,omitempty"`
	Deployer    *CortexDeployer   `json:"deployer,omitempty"`
	Custom      map[string]string `json:"customData"`
}

// CortexDeployer is who deployed.
type CortexDeployer struct {
	Name string `json:"name"`
}

// CortexDelivery is the key in a deploy's custom data that says which delivery it is of, since Cortex takes a deploy twice.
const CortexDelivery = "delivery"

func cortexDeploy(e Entry, h Happening) CortexDeploy {
	d := CortexDeploy{Tag: e.Name, Timestamp: h.Time, Title: h.title(e), Type: "DEPLOY", Environment: h.Record.Environment, SHA: h.Commit,
		URL: h.Record.Run.URL, Custom: map[string]string{CortexDelivery: h.ID(), "digest": h.Digest}}
	if h.Kind == RolledBack {
		d.Type = "ROLLBACK"
	}
	if h.Record.Run.Actor != "" {
		d.Deployer = &CortexDeployer{h.Record.Run.Actor}
	}
	return d
}
