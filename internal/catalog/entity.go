package catalog

import (
	"net/url"
	"strconv"
	"strings"

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
}

type entityLink struct{ url, title, kind string }

func componentOf(in Inputs) component {
	s := in.Service
	c := component{name: s.Name, description: s.Description, owner: s.Owner, system: s.System, lifecycle: s.Lifecycle}
	if c.lifecycle == "" {
		c.lifecycle = "production"
	}
	if s.Tier > 0 {
		c.tier = strconv.Itoa(s.Tier)
	}
	if s.SLA > 0 {
		c.slo = strconv.FormatFloat(s.SLA, 'f', -1, 64)
	}
	c.source, c.slug = sourceOf(in.Origin, in.Record.Source.Path)
	c.links = linksOf(s)
	return c
}

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

// sourceOf is Backstage's source location, a folder with a slash at its end, and GitHub's project slug. Below the root
// of a repository the way to a folder is each host's own; HEAD is the default branch on those known here.
func sourceOf(origin, folder string) (location, slug string) {
	host, path := originParts(origin)
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if host == "" || path == "" {
		return "", ""
	}
	location = "url:https://" + host + "/" + path + "/"
	switch {
	case folder == "":
	case strings.HasPrefix(host, "github."):
		location += "tree/HEAD/" + folder + "/"
	case strings.HasPrefix(host, "gitlab."):
		location += "-/tree/HEAD/" + folder + "/"
	}
	if host == "github.com" && strings.Count(path, "/") == 1 {
		slug = path
	}
	return location, slug
}

// originParts reads a URL or git's USER@HOST:PATH; a folder has no host.
func originParts(origin string) (host, path string) {
	if u, err := url.Parse(origin); err == nil && u.Host != "" {
		if u.Scheme == "ssh" || u.Scheme == "git" {
			return u.Hostname(), u.Path // the port is that of the protocol, not of the web page
		}
		return u.Host, u.Path
	}
	host, path, ok := strings.Cut(origin, ":")
	if !ok || strings.HasPrefix(path, "//") || strings.ContainsAny(host, `/\`) || len(host) < 2 {
		return "", ""
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return host, path
}
