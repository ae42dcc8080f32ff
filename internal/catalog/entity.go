package catalog

import (
	"cmp"
	"strconv"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/service"
)

func componentOf(in Inputs) entityfile.Component {
	s := in.Service
	c := entityfile.Component{Name: s.Name, Description: s.Description, Owner: s.Owner, System: s.System, Lifecycle: lifecycle(s)}
	if s.Tier > 0 {
		c.Tier = strconv.Itoa(s.Tier)
	}
	if s.SLA > 0 {
		c.SLO = strconv.FormatFloat(s.SLA, 'f', -1, 64)
	}
	c.Source, c.Slug = projection.Source(in.Origin, in.Record.Source.Path)
	c.Links = linksOf(s)
	return c
}

func lifecycle(s *service.Service) string { return cmp.Or(s.Lifecycle, "production") }

func linksOf(s *service.Service) []entityfile.Link {
	var links []entityfile.Link
	if s.Runbook != "" {
		links = append(links, entityfile.Link{URL: s.Runbook, Title: "Runbook", Kind: "runbook"})
	}
	for _, d := range s.Dashboards {
		links = append(links, entityfile.Link{URL: d.URL, Title: d.Title, Kind: "dashboard"})
	}
	return links
}
