// Package projection says what a service is, and what a delivery did to it, in the words of each developer portal: Port,
// Cortex, OpsLevel and Datadog. Backstage's words are the catalogue's own, so its entity is there already.
//
// It is pure: nothing is read or sent here, and the same service gives the same bytes each time. Every payload is one that
// the portal publishes a form of; the tests hold them to it.
package projection

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/service"
)

// Portals are the names of the portals, in the order that they are told in.
var Portals = []string{Port, Cortex, OpsLevel, Datadog}

// Names of portals.
const (
	Port     = "port"
	Cortex   = "cortex"
	OpsLevel = "opslevel"
	Datadog  = "datadog"
)

// Entry is what portals are told of a service. What is empty or 0 is not said, so a portal never shows a guess.
type Entry struct {
	Name, Description string
	Owner, System     string // names alone, without Backstage's kind and namespace; the owner is a team
	Person            string // name of the person who owns it, in the place of a team
	Lifecycle         string
	Tier              int
	SLA               float64 // percent
	Repository        string  // address of the code's repository on the web
	Slug              string  // OWNER/NAME on github.com
	Folder            string  // of the service in the repository; empty at its root
	Runbook           string
	Dashboards        []service.Link
	Services          []string           // that it depends on
	Resources         []service.Resource // that it has of its own
}

// Of is the entry of a service: what idp.yaml says, and where its code is. Origin is the URL of the code's remote.
func Of(s *service.Service, origin, folder string) Entry {
	e := Entry{Name: s.Name, Description: s.Description, System: bare(s.System), Lifecycle: s.Lifecycle,
		Tier: s.Tier, SLA: s.SLA, Folder: folder, Runbook: s.Runbook, Dashboards: s.Dashboards, Services: components(s.DependsOn), Resources: s.Resources}
	if name, ok := catalogfile.Person(catalogfile.Owner(s.Owner)); ok {
		e.Person = bare(name)
	} else {
		e.Owner = bare(s.Owner)
	}
	if e.Lifecycle == "" {
		e.Lifecycle = "production"
	}
	location, slug := Source(origin, "")
	e.Repository, e.Slug = strings.TrimSuffix(strings.TrimPrefix(location, "url:"), "/"), slug
	return e
}

// Untold are the portals, by name, that are not told who owns the service: it is a person, and either the portal has only teams as
// owners or it knows people by an address of mail that the names do not have.
func Untold(e Entry, n Names) []string {
	if e.Person == "" {
		return nil
	}
	list := []string{OpsLevel}
	if n.mail(e) == "" {
		list = append(list, Cortex, Datadog)
	}
	if n.mail(e) == "" || n["port.service.person"] == "" {
		list = append(list, Port)
	}
	return slices.DeleteFunc(slices.Clone(Portals), func(p string) bool { return !slices.Contains(list, p) })
}

// components are the names of those among references to entities; only they are services in every portal.
func components(refs []string) (names []string) {
	for _, ref := range refs {
		if kind, _, _ := strings.Cut(ref, ":"); strings.EqualFold(kind, "component") {
			names = append(names, bare(ref))
		}
	}
	return names
}

// bare takes kind and namespace off a reference to an entity, [KIND:][NAMESPACE/]NAME.
func bare(ref string) string {
	return ref[strings.LastIndexAny(ref, ":/")+1:]
}

// Payload is what a portal is told: as the body of a request, and as the file that it would read from a repository.
type Payload struct {
	File string // name that the portal looks for in a repository
	Data []byte // of the file
	Body any    // for json.Marshal
}

// Service is the service in the words of a portal.
func Service(portal string, e Entry, n Names) (Payload, error) {
	switch portal {
	case Port:
		return filed("port.yml", portService(e, n))
	case Cortex:
		return filed("cortex.yaml", cortexService(e, n))
	case OpsLevel:
		p, err := filed("opslevel.yml", opsLevelYAML(e, n))
		p.Body = opsLevelInput(e, n) // the file is for its integration with Git only
		return p, err
	default:
		return filed("entity.datadog.yaml", datadogService(e, n))
	}
}

// Deployed is what a delivery did to the service, as the body of a request to a portal.
func Deployed(portal string, e Entry, h Happening, n Names) any {
	switch portal {
	case Port:
		return portDeployment(e, h, n)
	case Cortex:
		return cortexDeploy(e, h)
	case OpsLevel:
		return opsLevelDeploy(e, h)
	default:
		return datadogDeployment(e, h)
	}
}

// filed writes the body as YAML, too: through JSON, so that its keys are declared once.
func filed(name string, body any) (Payload, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return Payload{}, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return Payload{}, err
	}
	block(&doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return Payload{}, err
	}
	return Payload{File: name, Data: b.Bytes(), Body: body}, enc.Close()
}

// boolean is what YAML 1.1, which OpsLevel reads, takes for true or false, and the encoder for a text.
var boolean = regexp.MustCompile(`(?i)^(y|yes|n|no|on|off)$`)

// block takes JSON's braces away, and the quotes of keys. Texts keep theirs, so that every reader takes them for texts.
func block(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	}
	for i, c := range n.Content {
		block(c)
		if n.Kind == yaml.MappingNode && i%2 == 0 && !boolean.MatchString(c.Value) {
			c.Style = 0
		}
	}
}
