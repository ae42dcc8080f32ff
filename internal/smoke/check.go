package smoke

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/theory/jsonpath"

	"github.com/org/idp/internal/service"
)

// check is one check of idp.yaml, ready to be asked, and how its last answer was.
type check struct {
	request
	name    string
	safe    bool
	status  int
	headers map[string]string
	expect  service.Expect
	matches *regexp.Regexp
	json    []jsonWant
	p95     time.Duration // 0: none

	done    bool   // asked in this round; an unsafe one: in this run
	failure string // why it is not good; reads on from the name
	excerpt string // of the body of an answer that is not good
	samples []time.Duration
}

type jsonWant struct {
	expr string
	path *jsonpath.Path
	want any
}

// compile parses all that a check says, so that a typing error is found before the first request.
func (r *runner) compile(c service.Check) (*check, error) {
	var problems []error
	methods := map[string]string{http.MethodGet: c.Get, http.MethodHead: c.Head, http.MethodPost: c.Post}
	var set []string
	for _, m := range slices.Sorted(maps.Keys(methods)) {
		if methods[m] != "" {
			set = append(set, m)
		}
	}
	if len(set) != 1 {
		return nil, errors.New("say one of get, head, post")
	}
	method := set[0]
	target, err := r.target(methods[method])
	if err != nil {
		return nil, err
	}
	k := &check{
		request: request{method: method, url: target, headers: c.Headers, body: c.Body},
		name:    method + " " + methods[method],
		safe:    method != http.MethodPost,
		status:  cmp.Or(c.Expect.Status, http.StatusOK),
		headers: c.Expect.Headers,
		expect:  c.Expect,
	}
	// Who expects a redirect wants to see it, and an unsafe request must not be sent again to where it points.
	k.follow = k.safe && k.status/100 != 3
	if c.Expect.Body.Matches != "" {
		k.matches, err = regexp.Compile(c.Expect.Body.Matches)
		problems = append(problems, err)
	}
	for _, expr := range slices.Sorted(maps.Keys(c.Expect.JSON)) {
		path, err := jsonpath.Parse(expr)
		problems = append(problems, err)
		k.json = append(k.json, jsonWant{expr, path, c.Expect.JSON[expr]})
	}
	if c.Expect.P95 != "" {
		if k.p95, err = time.ParseDuration(c.Expect.P95); err != nil || k.p95 <= 0 {
			problems = append(problems, fmt.Errorf("p95 %q is not a time span such as 250ms", c.Expect.P95))
		}
	}
	return k, errors.Join(problems...)
}

// target is the URL of a path below the service's.
func (r *runner) target(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("path %q does not start with /", path)
	}
	u, err := url.Parse(r.base.String() + path)
	if err != nil {
		return "", fmt.Errorf("path %q is not valid in a URL", path)
	}
	u.User, u.Fragment = r.user, ""
	return u.String(), nil
}
