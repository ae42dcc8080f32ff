package catalog

import (
	"cmp"
	"strconv"

	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/service"
)

// Keys in the entity that are ours alone. The others that are set are Backstage's own.
const (
	tierLabel     = "idp/tier"
	sloAnnotation = "idp/slo-availability" // percent
)

// component is what a delivery says in the service's entity.
type component struct {
	name, description, owner, system, lifecycle string
	tier, slo                                   string // empty when idp.yaml has none
	source, slug                                string // empty when the code's host is not known
	links                                       []entityLink
	names                                       []namedList
}

type entityLink struct{ url, title, kind string }

func componentOf(in Inputs) component {
	s := in.Service
	c := component{name: s.Name, description: s.Description, owner: s.Owner, system: s.System, lifecycle: lifecycle(s)}
	if s.Tier > 0 {
		c.tier = strconv.Itoa(s.Tier)
	}
	if s.SLA > 0 {
		c.slo = strconv.FormatFloat(s.SLA, 'f', -1, 64)
	}
	c.source, c.slug = projection.Source(in.Origin, in.Record.Source.Path)
	c.links = linksOf(s)
	return c
}

func lifecycle(s *service.Service) string { return cmp.Or(s.Lifecycle, "production") }

func linksOf(s *service.Service) []entityLink {
	var links []entityLink
	if s.Runbook != "" {
		links = append(links, entityLink{s.Runbook, "Runbook", "runbook"})
	}
	for _, d := range s.Dashboards {
		links = append(links, entityLink{d.URL, d.Title, "dashboard"})
	}
	return links
}
