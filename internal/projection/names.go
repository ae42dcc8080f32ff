package projection

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/strictyaml"
)

// Names is what a portal calls what we say, by our name for it. An empty name leaves it out.
type Names map[string]string

// defaults has every name that may be changed. Port's blueprints are the customer's own; OpsLevel's lifecycles, too.
var defaults = Names{
	"port.service": "service", "port.service.description": "description", "port.service.lifecycle": "lifecycle",
	"port.service.tier": "tier", "port.service.sla": "sla", "port.service.runbook": "runbook",
	"port.service.repository": "repository", "port.service.owner": team, "port.service.person": "", "port.service.system": "", "port.service.depends-on": "",
	"port.deployment": "deployment", "port.deployment.environment": "environment", "port.deployment.commit": "commit",
	"port.deployment.digest": "digest", "port.deployment.kind": "kind", "port.deployment.time": "time",
	"port.deployment.run": "run", "port.deployment.service": "service",
	"cortex.provider":                 "CORTEX",
	"opslevel.lifecycle.production":   "generally_available",
	"opslevel.lifecycle.experimental": "pre-alpha",
	"opslevel.lifecycle.deprecated":   "end-of-life",
}

// team is Port's own name for the field with an entity's teams, which is no property.
const team = "$team"

// theirs is what may be the name of a blueprint, property, relation, provider or lifecycle. It becomes a part of an address.
var theirs = regexp.MustCompile(`^(\$team|[A-Za-z0-9@_.+:\\/=-]{0,100})$`)

// ParseNames reads lines of the form OURS = THEIRS, over the defaults.
func ParseNames(lines []string) (Names, error) {
	n := maps.Clone(defaults)
	var problems []string
	for _, line := range lines {
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		_, known := defaults[key]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%.60q: want OURS = THEIRS, such as port.service = microservice", line))
		case strings.HasPrefix(key, persons):
			if !address.MatchString(value) {
				problems = append(problems, fmt.Sprintf("%s: %.60q is no address of mail", key, value))
			}
			n[key] = value
		case !known && !strings.HasPrefix(key, "opslevel.lifecycle."):
			problems = append(problems, unknown(key))
		case !theirs.MatchString(value) || value == team && key != "port.service.owner":
			problems = append(problems, fmt.Sprintf("%s: %.60q cannot be a name in a portal", key, value))
		case value == "" && (key == "port.service" || key == "cortex.provider"):
			problems = append(problems, key+" cannot be left out")
		default:
			n[key] = value
		}
	}
	if len(problems) > 0 {
		return nil, fault.BadInputf("input portal-names is not of its form").WithDetail(problems...).
			WithNext("docs/portals.md has every name that can be changed.")
	}
	return n, nil
}

// persons begins the names of people, whose addresses only the portal's owner knows: person.jane = jane@example.com.
const persons = "person."

var address = regexp.MustCompile(`^[^@\s]{1,64}@[A-Za-z0-9.-]{1,255}$`)

// mail is the address of the person who owns the service; empty where it is not known, or a team owns it.
func (n Names) mail(e Entry) string {
	if e.Person == "" {
		return ""
	}
	return n[persons+e.Person]
}

func unknown(key string) string {
	text := fmt.Sprintf("%.60q is not a name that can be changed", key)
	if near, ok := strictyaml.Nearest(key, slices.Sorted(maps.Keys(defaults))); ok {
		text += fmt.Sprintf(", did you mean %q?", near)
	}
	return text
}

// set puts a value under the portal's name for ours, unless there is nothing to say or it is left out.
func (n Names) set(in map[string]any, ours string, value any) {
	if name := n[ours]; name != "" && value != any("") && value != any(0) && value != any(0.0) {
		in[name] = value
	}
}
