package smoke

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
)

// judge holds an answer against what the check expects. The failure reads on from the check's name.
func (r *runner) judge(c *check, a answer) (failure, excerpt string) {
	if a.problem != "" {
		return "did not answer: " + a.problem, ""
	}
	if a.status != c.status {
		failure = fmt.Sprintf("answered %d, want %d", a.status, c.status)
		if to := a.header.Get("Location"); to != "" && a.status/100 == 3 {
			failure += ", to " + quote(to)
		}
		return failure, excerptOf(a)
	}
	var failures []string
	add := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(c.headers)) {
		values := a.header.Values(name)
		switch {
		case slices.Contains(values, c.headers[name]):
		case len(values) == 0:
			add("has no header %s, want %s", name, quote(c.headers[name]))
		default:
			add("has header %s: %s, want %s", name, quote(strings.Join(values, ", ")), quote(c.headers[name]))
		}
	}
	within := ""
	if a.truncated {
		within = " within its first MiB"
	}
	if text := c.expect.Body.Contains; text != "" && !bytes.Contains(a.body, []byte(text)) {
		add("has a body without %s%s", quote(text), within)
	}
	if c.matches != nil && !c.matches.Match(a.body) {
		add("has a body that does not match %s%s", c.matches, within)
	}
	failures = append(failures, judgeJSON(c.json, a)...)
	if c.expect.TLSDays > 0 {
		failures = append(failures, r.judgeTLS(c.expect.TLSDays, a)...)
	}
	if len(failures) == 0 {
		return "", ""
	}
	return strings.Join(failures, "; "), excerptOf(a)
}

func excerptOf(a answer) string {
	if text := strings.TrimSpace(string(a.body)); text != "" {
		return quote(text)
	}
	return ""
}

func judgeJSON(wants []jsonWant, a answer) (failures []string) {
	if len(wants) == 0 {
		return nil
	}
	if a.truncated {
		return []string{"has a body over 1 MiB, too large to read as JSON"}
	}
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber() // large numbers stay exact
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return []string{"has a body that is not JSON"}
	}
	if _, err := dec.Token(); err != io.EOF {
		return []string{"has a body with more than one JSON value"}
	}
	for _, w := range wants {
		nodes := w.path.Select(doc)
		switch {
		case len(nodes) == 0:
			failures = append(failures, fmt.Sprintf("has nothing at %s, want %s", w.expr, shortJSON(w.want)))
		case len(nodes) == 1 && sameJSON(w.want, nodes[0]):
		case len(nodes) > 1 && sameJSON(w.want, []any(nodes)):
		case len(nodes) > 1:
			failures = append(failures, fmt.Sprintf("has %s at %s, want %s", shortJSON([]any(nodes)), w.expr, shortJSON(w.want)))
		default:
			failures = append(failures, fmt.Sprintf("has %s at %s, want %s", shortJSON(nodes[0]), w.expr, shortJSON(w.want)))
		}
	}
	return failures
}

func shortJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return quote(fmt.Sprint(v))
	}
	return printable(string(data), excerptLength)
}

// sameJSON compares a value of idp.yaml with one of an answer. Numbers are equal by value; a number never equals a string.
func sameJSON(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for key, value := range w {
			if other, ok := g[key]; !ok || !sameJSON(value, other) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, sameJSON)
	case int:
		return sameNumber(int64(w), float64(w), got)
	case int64:
		return sameNumber(w, float64(w), got)
	case float64:
		n, ok := got.(json.Number)
		if !ok {
			return false
		}
		f, err := n.Float64()
		return err == nil && f == w
	default: // string, bool, nil
		return want == got
	}
}

func sameNumber(whole int64, approximate float64, got any) bool {
	n, ok := got.(json.Number)
	if !ok {
		return false
	}
	if i, err := n.Int64(); err == nil {
		return i == whole
	}
	f, err := n.Float64()
	return err == nil && f == approximate
}

// judgeTLS wants the certificate to be valid for some days more. A service on loopback, as on the local target, has none to
// look at; the summary then says that it was not checked.
func (r *runner) judgeTLS(days int, a answer) []string {
	if a.tls == nil || len(a.tls.PeerCertificates) == 0 {
		host := r.base.Hostname()
		if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
			r.tlsSkipped = true
			return nil
		}
		return []string{fmt.Sprintf("is not served over TLS, want a certificate valid for %s", finding.Plural(days, "day"))}
	}
	left := int(a.tls.PeerCertificates[0].NotAfter.Sub(r.deps.Now()) / (24 * time.Hour))
	if left < days {
		return []string{fmt.Sprintf("has a certificate that expires in %s, want %d", finding.Plural(left, "day"), days)}
	}
	return nil
}
