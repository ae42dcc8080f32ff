package service

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/theory/jsonpath"
	"golang.org/x/net/http/httpguts"

	"github.com/org/idp/internal/strictyaml"
)

type path = strictyaml.Path

// validate adds what the tags cannot say. It leaves out what the file does not say: that gets its default later.
func (l *loader) validate() {
	l.url(path{"runbook"}, l.Runbook)
	for i, link := range l.Dashboards {
		l.url(path{"dashboards", i, "url"}, link.URL)
	}
	if l.Main != "" && (!filepath.IsLocal(filepath.FromSlash(l.Main)) || strings.HasPrefix(l.Main, "-") || strings.Contains(l.Main, "...")) {
		l.doc.Wrong(path{"main"}, "want a folder below the service's, such as ./cmd/server")
	}
	l.size(path{"size"}, l.Size)
	l.scale(path{"scale"}, l.Scale)
	l.env(path{"env"}, l.Env)
	l.apis()
	l.deploy(path{"deploy"}, l.Deploy, l.Deploy)
	for i, check := range l.Smoke {
		l.check(path{"smoke", i}, check)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Environments)) {
		l.environment(path{"environments", name}, l.Environments[name])
	}
}

func (l *loader) environment(p path, e Environment) {
	l.url(sub(p, "url"), e.URL)
	l.size(sub(p, "size"), e.Size)
	l.env(sub(p, "env"), e.Env)
	if e.Budget != "" {
		if _, _, err := ParseBudget(e.Budget); err != nil {
			l.doc.Problem(sub(p, "budget"), "%s: %v", p, err)
		}
	}
	if e.Scale != nil {
		l.scale(sub(p, "scale"), e.Scale.over(l.Scale))
	}
	if e.Deploy != nil {
		l.deploy(sub(p, "deploy"), *e.Deploy, e.Deploy.over(l.Deploy))
	}
}

// sub is the path one step further, without touching p.
func sub(p path, steps ...any) path { return append(p[:len(p):len(p)], steps...) }

// url refuses credentials besides what cannot be parsed: everything in idp.yaml ends up in reports.
func (l *loader) url(p path, s string) {
	if s == "" {
		return
	}
	switch u, err := url.Parse(s); {
	case err != nil || u.Host == "":
		l.doc.Problem(p, "%s: not an address such as https://example.com/page", p)
	case u.User != nil:
		l.doc.Problem(p, "%s: must not hold a user name or password", p)
	}
}

func (l *loader) size(p path, s string) {
	if s != "" && l.sizes != nil && !slices.Contains(l.sizes, s) {
		l.doc.Wrong(p, "one of "+strings.Join(l.sizes, ", "))
	}
}

// scale checks what the file says itself: a max that is not there follows min.
func (l *loader) scale(p path, s Scale) {
	if s.Max == 0 || s.Max >= s.Min {
		return
	}
	at := sub(p, "max")
	if !l.doc.Has(at) {
		at = sub(p, "min")
	}
	l.doc.Problem(at, "%s: max is %d and min is %d: want at least as many", p, s.Max, s.Min)
}

// env never shows a value: it may be a secret that should not be there.
func (l *loader) env(p path, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if name == "PORT" || strings.HasPrefix(name, "IDP_") {
			l.doc.WrongKey(sub(p, name), "PORT and names that begin with IDP_ are set by the deployment")
		}
		if strings.ContainsRune(env[name], 0) {
			l.doc.Problem(sub(p, name), "%s: must not hold a NUL character", sub(p, name))
		}
	}
}

// deploy checks what the file says at p; whole is that over what the service says.
func (l *loader) deploy(p path, d, whole Deploy) {
	l.below(sub(p, "manifests"), d.Manifests, "a folder", "deploy/base")
	l.below(sub(p, "kustomize"), d.Kustomize, "a folder", "deploy/base")
	if d.Helm != nil {
		l.below(sub(p, "helm", "chart"), d.Helm.Chart, "a folder", "deploy/chart")
		for i, file := range d.Helm.Values {
			l.below(sub(p, "helm", "values", i), file, "a file", "deploy/values.yaml")
		}
	}
	if keys := d.sources(); len(keys) > 1 {
		l.doc.Problem(p, "%s: say one of manifests, kustomize, helm, not %s", p, strings.Join(keys, " and "))
	}
	wrong := d.Strategy == "" && l.doc.Has(sub(p, "strategy")) // reported already
	if len(d.Steps) > 0 && whole.Strategy != Canary && !wrong {
		l.doc.Problem(sub(p, "steps"), "%s: are for strategy: canary", sub(p, "steps"))
	}
	for i := 1; i < len(d.Steps); i++ {
		if d.Steps[i] <= d.Steps[i-1] && d.Steps[i] > 0 {
			l.doc.Wrong(sub(p, "steps", i), "want more than the step before")
		}
	}
}

// below refuses what is not in the service's folder: the delivery is of what is there.
func (l *loader) below(p path, name, what, example string) {
	if name != "" && !filepath.IsLocal(filepath.FromSlash(name)) {
		l.doc.Wrong(p, "want "+what+" below the service's, such as "+example)
	}
}

func (l *loader) check(p path, c Check) {
	var methods []string
	for _, m := range []string{"get", "head", "post"} {
		if l.doc.Has(sub(p, m)) {
			methods = append(methods, m)
		}
	}
	switch {
	case len(methods) == 0:
		l.doc.Problem(p, "%s: say what to request with one of get, head, post", p)
	case len(methods) > 1:
		l.doc.Problem(p, "%s: say one of get, head, post, not %s", p, strings.Join(methods, " and "))
	}
	l.headers(sub(p, "headers"), c.Headers)
	l.expect(sub(p, "expect"), c.Expect)
	if c.Head != "" && (c.Expect.Body != Body{} || len(c.Expect.JSON) > 0) {
		l.doc.Problem(sub(p, "expect"), "%s: an answer to HEAD has no body to look at", sub(p, "expect"))
	}
}

func (l *loader) headers(p path, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !httpguts.ValidHeaderFieldName(name) {
			l.doc.WrongKey(sub(p, name), "not the name of an HTTP header")
		}
		if !httpguts.ValidHeaderFieldValue(headers[name]) {
			l.doc.Problem(sub(p, name), "%s: a header's value is one line", sub(p, name))
		}
	}
}

func (l *loader) expect(p path, e Expect) {
	l.headers(sub(p, "headers"), e.Headers)
	if e.Body.Matches != "" {
		if _, err := regexp.Compile(e.Body.Matches); err != nil {
			l.doc.Wrong(sub(p, "body", "matches"), "not a regular expression (RE2): "+reason(err))
		}
	}
	for _, expr := range slices.Sorted(maps.Keys(e.JSON)) {
		if _, err := jsonpath.Parse(expr); err != nil {
			l.doc.WrongKey(sub(p, "json", expr), "not a JSONPath: "+reason(err))
		}
	}
	if e.P95 != "" {
		if d, err := time.ParseDuration(e.P95); err != nil || d <= 0 {
			l.doc.Wrong(sub(p, "p95"), "want a time span, such as 250ms")
		}
	}
}

// reason shortens the message of a parser, which repeats what it was given.
func reason(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error parsing regexp: "), "jsonpath: ")
	return fmt.Sprintf("%.80s", text)
}
