package projection

import "time"

// portEntity is the body of POST /v1/blueprints/BLUEPRINT/entities: https://docs.port.io/api-reference/create-an-entity
type portEntity struct {
	Identifier string         `json:"identifier"`
	Title      string         `json:"title"`
	Blueprint  string         `json:"blueprint"`
	Team       any            `json:"team,omitempty"` // []string; an empty one takes away the team that was there
	Properties map[string]any `json:"properties"`
	Relations  map[string]any `json:"relations,omitempty"`
}

func portService(e Entry, n Names) portEntity {
	p := portEntity{Identifier: e.Name, Title: e.Name, Blueprint: n["port.service"], Properties: map[string]any{}, Relations: map[string]any{}}
	n.set(p.Properties, "port.service.description", e.Description)
	n.set(p.Properties, "port.service.lifecycle", e.Lifecycle)
	n.set(p.Properties, "port.service.tier", e.Tier)
	n.set(p.Properties, "port.service.sla", e.SLA)
	n.set(p.Properties, "port.service.runbook", e.Runbook)
	n.set(p.Properties, "port.service.repository", e.Repository)
	n.set(p.Relations, "port.service.system", e.System)
	if len(e.Services) > 0 {
		n.set(p.Relations, "port.service.depends-on", e.Services)
	}
	switch {
	case n["port.service.owner"] == team && e.Person != "":
		p.Team = []string{} // Port's teams own, and people only by a property: https://docs.port.io/context-lake/data-model/setup-blueprint/properties/user
	case n["port.service.owner"] == team:
		p.Team = []string{e.Owner}
	case e.Person != "" && n["port.service.owner"] != "":
		p.Properties[n["port.service.owner"]] = nil // not the team that was there
	default:
		n.set(p.Properties, "port.service.owner", e.Owner)
	}
	n.set(p.Properties, "port.service.person", n.mail(e))
	return p
}

func portDeployment(e Entry, h Happening, n Names) portEntity {
	p := portEntity{Identifier: h.ID(), Title: h.title(e), Blueprint: n["port.deployment"], Properties: map[string]any{}, Relations: map[string]any{}}
	n.set(p.Properties, "port.deployment.environment", h.Record.Environment)
	n.set(p.Properties, "port.deployment.commit", h.Commit)
	n.set(p.Properties, "port.deployment.digest", h.Digest)
	n.set(p.Properties, "port.deployment.kind", h.Kind)
	n.set(p.Properties, "port.deployment.time", h.Time.Format(time.RFC3339))
	n.set(p.Properties, "port.deployment.run", h.Record.Run.URL)
	n.set(p.Relations, "port.deployment.service", e.Name)
	return p
}
