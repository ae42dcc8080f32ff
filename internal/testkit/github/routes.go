package githubfake

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// route is one operation that the fake has.
type route struct {
	name  string // as in GitHub's description
	needs string // permission as a workflow names it, "NAME: read" or "NAME: write"; " or " between alternatives; empty for none
	do    func(*call) answer

	undescribed bool // not in GitHub's description, so that only its handler holds it against anything

	pattern *regexp.Regexp
	keys    []string
}

// accepted is needs in GitHub's header, which says pull_requests=write; pull_requests=read,issues=read.
func (r *route) accepted() string {
	return strings.NewReplacer(": ", "=", "-", "_", " or ", "; ").Replace(r.needs)
}

const repoPath = "/repos/{owner}/{repo}"

var routes = sync.OnceValue(func() []*route {
	var all []*route
	for _, family := range [][]route{deploymentRoutes, checkRoutes, statusRoutes, commentRoutes, pullRoutes,
		historyRoutes, peopleRoutes, actionRoutes, scanningRoutes, metaRoutes} {
		for _, r := range family {
			r.name = strings.Replace(r.name, " /:repo", " "+repoPath, 1)
			r.compile()
			all = append(all, &r)
		}
	}
	// Where several match, the one with more said in it is meant: /issues/comments/{comment_id}, not /issues/{issue_number}.
	slices.SortStableFunc(all, func(a, b *route) int { return len(literal(b.name)) - len(literal(a.name)) })
	return all
})

var placeholder = regexp.MustCompile(`\{([^}]+)\}`)

func literal(name string) string { return placeholder.ReplaceAllString(name, "") }

// compile lets the values of three parameters have slashes.
func (r *route) compile() {
	_, path, _ := strings.Cut(r.name, " ")
	for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
		r.keys = append(r.keys, m[1])
	}
	r.pattern = regexp.MustCompile("^" + placeholder.ReplaceAllStringFunc(path, func(key string) string {
		if slices.Contains([]string{"{path}", "{ref}", "{basehead}"}, key) {
			return "(.+)"
		}
		return "([^/]+)"
	}) + "$")
}

func operations() []string {
	var names []string
	for _, r := range routes() {
		if !r.undescribed {
			names = append(names, r.name)
		}
	}
	return names
}

// match finds the route of a request, whose path is escaped.
func match(method, path string) (*route, map[string]string) {
	for _, r := range routes() {
		if !strings.HasPrefix(r.name, method+" ") {
			continue
		}
		m := r.pattern.FindStringSubmatch(path)
		if m == nil {
			continue
		}
		params := map[string]string{}
		for i, key := range r.keys {
			value, err := url.PathUnescape(m[i+1])
			if err != nil {
				return nil, nil
			}
			params[key] = value
		}
		return r, params
	}
	return nil, nil
}
