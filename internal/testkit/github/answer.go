package githubfake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// answer is what a handler gives.
type answer struct {
	status int
	body   any
	list   []any  // instead of body, to be paged
	limit  int    // of the list's pages, where it is not 100
	inside string // name of the field that has the list, beside total_count; empty where the list is all
	header http.Header
	sent   []byte // the body as it goes out
}

func ok(body any) answer            { return answer{status: http.StatusOK, body: body} }
func created(body any) answer       { return answer{status: http.StatusCreated, body: body} }
func nothing() answer               { return answer{status: http.StatusNoContent} }
func notFound() answer              { return fail(http.StatusNotFound, "Not Found") }
func page[T any](list []T) answer   { return answer{status: http.StatusOK, list: anys(list)} }
func invalid(message string) answer { return fail(http.StatusUnprocessableEntity, message) }

// pageIn answers a list inside of an object.
func pageIn[T any](field string, list []T) answer {
	return answer{status: http.StatusOK, list: anys(list), inside: field}
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func fail(status int, message string) answer {
	return answer{status: status, body: object{"message": message, "status": strconv.Itoa(status)}}
}

// unfit is GitHub's 422 about a field, with its code: missing, missing_field, invalid, already_exists, unprocessable, custom.
func unfit(resource, field, code, message string) answer {
	e := object{"resource": resource, "code": code}
	if field != "" {
		e["field"] = field
	}
	if message != "" {
		e["message"] = message
	}
	a := invalid("Validation Failed")
	a.body.(object)["errors"] = []any{e}
	return a
}

// finish makes an answer ready to be sent, and holds it against its description.
func (c *call) finish(a answer) answer {
	if a.header == nil {
		a.header = http.Header{}
	}
	if a.list != nil || a.inside != "" {
		c.turn(&a)
	}
	if body, isObject := a.body.(object); isObject && a.status >= 400 && !c.op.undescribed {
		body["documentation_url"] = c.docs.Documentation(c.op.name)
	}
	switch {
	case c.op.undescribed:
		a.sent, _ = marshal(a.body)
	case a.body != nil:
		c.encode(&a)
		fallthrough
	default:
		if err := c.docs.Response(c.op.name, a.status, a.sent); err != nil {
			c.wrong(c, "the fake's own answer %d is not as GitHub describes it: %v\n%s", a.status, err, a.sent)
		}
	}
	c.conditional(&a)
	c.count(&a)
	if needs := c.op.accepted(); needs != "" {
		a.header.Set("X-Accepted-GitHub-Permissions", needs)
	}
	return a
}

func (c *call) encode(a *answer) {
	data, err := json.Marshal(a.body)
	if err != nil {
		c.wrong(c, "the fake's own answer: %v", err)
		return
	}
	var plain any
	_ = json.Unmarshal(data, &plain)
	if a.sent, err = marshal(c.docs.Fill(c.op.name, a.status, plain)); err != nil {
		c.wrong(c, "the fake's own answer: %v", err)
	}
}

// marshal leaves <, > and & as they are, as GitHub does.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// turn gives the page that was asked for: 30 a page, at most 100, counted from 1.
func (c *call) turn(a *answer) {
	size, at := number(c.query, "per_page", 30), number(c.query, "page", 1)
	size = min(size, cmp.Or(a.limit, 100))
	total, last := len(a.list), max(1, (len(a.list)+size-1)/size)
	from, to := min((at-1)*size, total), min(at*size, total)
	if a.inside == "" {
		a.body = a.list[from:to:to]
	} else {
		body, isObject := a.body.(object)
		if !isObject {
			body = object{}
		}
		if a.limit == 0 { // but for a comparison
			body["total_count"] = total
		}
		body[a.inside] = a.list[from:to:to]
		a.body = body
	}
	var links []string
	link := func(rel string, n int) {
		q := maps.Clone(c.query)
		q.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, c.r.Host, c.r.URL.EscapedPath(), q.Encode(), rel))
	}
	if at > 1 {
		link("prev", at-1)
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if at > 1 {
		link("first", 1)
	}
	if len(links) > 0 {
		a.header.Set("Link", strings.Join(links, ", "))
	}
}

func number(q url.Values, name string, otherwise int) int {
	if n, err := strconv.Atoi(q.Get(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// conditional answers 304 to who has it already.
func (c *call) conditional(a *answer) {
	if c.r.Method != http.MethodGet || a.status != http.StatusOK {
		return
	}
	tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(append([]byte(c.bearer+a.header.Get("Link")), a.sent...)))
	a.header.Set("ETag", tag)
	a.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	weak := func(s string) string { return strings.TrimPrefix(strings.TrimSpace(s), "W/") }
	for _, have := range strings.Split(c.r.Header.Get("If-None-Match"), ",") {
		if weak(have) == weak(tag) {
			a.status, a.sent = http.StatusNotModified, nil
		}
	}
}
