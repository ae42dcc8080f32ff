package localtarget

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/local"
)

// tailLines is how much of a failed release's log is shown.
const tailLines = 20

// diagnosis is what a person needs to know of a release that did not come up.
type diagnosis struct {
	how    string   // what it did, in a few words
	detail []string // that, and the end of its log
	advice []string
}

// log is the end of the log with where the rest is.
func (g diagnosis) log() []string { return g.detail[1:] }

// diagnose looks at a release before anything is done to it.
func (d *deployment) diagnose(r *local.Release, b brought) diagnosis {
	status := d.target.Status(r.Name)
	g := diagnosis{how: how(status, b)}
	lines := d.target.Tail(r, tailLines)
	g.detail = append(g.detail, fmt.Sprintf("release %s: %s", r.Name, g.how))
	for _, line := range lines {
		g.detail = append(g.detail, "  | "+line)
	}
	g.detail = append(g.detail, "log: "+d.target.LogPath(r.Name))
	g.advice = []string{d.advice(status, b, lines)}
	return g
}

func how(s local.Status, b brought) string {
	var parts []string
	switch {
	case s.LastExit != nil:
		parts = append(parts, s.LastExit.String(), finding.Plural(s.Restarts, "restart"))
	case s.GaveUp != "":
		parts = append(parts, s.GaveUp)
	case b.run.Port == 0:
		parts = append(parts, "it was not started")
	default:
		parts = append(parts, fmt.Sprintf("it runs, PORT=%d", s.Port))
	}
	switch {
	case b.seen.Code != 0 && b.seen.Code != http.StatusOK:
		parts = append(parts, fmt.Sprintf("last answer %d", b.seen.Code))
	case b.seen.TimedOut:
		parts = append(parts, "no answer in time")
	}
	return strings.Join(parts, ", ")
}

// soFar is what was seen of a release that is not healthy yet, for whoever waits for it.
func soFar(seen local.Observation) string {
	switch {
	case seen.Code != 0 && seen.Code != http.StatusOK:
		return fmt.Sprintf(": it answers %d", seen.Code)
	case elsewhere(seen):
		return fmt.Sprintf(": it listens on %s, not on PORT=%d", numbers(seen.Listening), seen.Status.Port)
	}
	return ""
}

// elsewhere tells that a release listens, and not where it was told to.
func elsewhere(seen local.Observation) bool {
	return len(seen.Listening) > 0 && !slices.Contains(seen.Listening, seen.Status.Port)
}

// advice is what most likely is wrong, by what was seen.
func (d *deployment) advice(s local.Status, b brought, lines []string) string {
	health := d.in.Service.Health
	switch {
	case s.GaveUp != "" && s.LastExit == nil:
		return "The image's entrypoint cannot be run on this machine: build it for this platform, or give it an executable file."
	case s.LastExit != nil:
		return "It starts and dies at once." + d.missing(lines)
	case b.seen.Foreign:
		return fmt.Sprintf("Another process answers on port %d.", s.Port)
	case b.seen.Code != 0:
		return fmt.Sprintf("GET %s answered %d: health in idp.yaml must be a path that answers 200 as soon as it can serve.", health, b.seen.Code)
	case b.seen.TimedOut:
		return fmt.Sprintf("GET %s is accepted but not answered: see what it waits for.", health)
	case elsewhere(b.seen):
		return fmt.Sprintf("It listens on another port than PORT: on %s, not on %d.", numbers(b.seen.Listening), s.Port)
	}
	return fmt.Sprintf("It does not listen on the port in the environment variable PORT (%d), on 127.0.0.1 or on all addresses.", s.Port)
}

// unset matches the usual ways to say that a variable is missing, with its name in the first or second group.
var unset = regexp.MustCompile(`\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b.{0,12}\b(?:not set|not defined|unset|undefined|required|missing|empty)\b` +
	`|\b(?:[Mm]issing|[Rr]equired?s?|undefined)\b.{0,32}?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b`)

// missing names the variable that the log asks for, where idp.yaml does not set it.
func (d *deployment) missing(lines []string) string {
	for _, line := range slices.Backward(lines) {
		m := unset.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1] + m[2]
		if _, ok := d.in.Service.Env[name]; !ok {
			return fmt.Sprintf(" The new version asks for %s; env in idp.yaml does not set it.", name)
		}
	}
	return " Its last lines above say why."
}

func numbers(ports []int) string {
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = fmt.Sprint(p)
	}
	return strings.Join(list, " and ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// span writes 5m0s as 5m.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
