// Package github is the client of GitHub's REST API, and the only one that imports its library. It knows nothing of the
// delivery record: it takes plain data and rendered text, and gives ids, addresses and what was done.
//
// A write is never repeated blindly. Where it is not known whether GitHub carried one out, what it would have left is looked
// for first. An answer that means "may not" is Denied and costs its feature only; everything else that is not an answer is
// undetermined.
package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

// Budget is how long all repetitions of a client may take together, pauses included, unless Options say otherwise.
const Budget = time.Minute

// Options say whom to ask, about what, and as whom.
type Options struct {
	API        string // GITHUB_API_URL: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server
	Token      string
	Repository string // OWNER/NAME
	// ReadOnly says why the token of this run can write nothing whatever the workflow allows, such as "the pull request comes
	// from a fork"; empty where it can. A Denied repeats it instead of asking for a permission.
	ReadOnly  string
	Transport http.RoundTripper                          // nil is http.DefaultTransport
	Budget    time.Duration                              // 0 is Budget
	Now       func() time.Time                           // required
	Sleep     func(context.Context, time.Duration) error // required; gives the context's error when cut short
}

// Client speaks to one repository on one GitHub. It may be used by several goroutines, whose requests go out one after the
// other, as GitHub asks for.
type Client struct {
	api         *gh.Client
	transport   *transport
	owner, name string
	readOnly    string

	asking sync.Mutex
	login  string // of the token, once it was asked for
}

var repositoryForm = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)/([A-Za-z0-9._-]+)$`)

// New checks the options without asking GitHub anything; its errors are bad input.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.API)
	if err != nil {
		return nil, err
	}
	name := repositoryForm.FindStringSubmatch(o.Repository)
	if name == nil || name[2] == "." || name[2] == ".." {
		return nil, fault.BadInputf("%q is not the name of a repository on GitHub, such as acme/checkout", o.Repository)
	}
	if o.Token == "" || strings.ContainsFunc(o.Token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fault.BadInputf("there is no usable token for GitHub")
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Budget == 0 {
		o.Budget = Budget
	}
	t := &transport{next: o.Transport, base: base, token: o.Token, left: o.Budget, now: o.Now, sleep: o.Sleep, slow: patience}
	api := gh.NewClient(&http.Client{Transport: t, CheckRedirect: sameMethod})
	api.BaseURL, api.UserAgent = base, "idp"
	return &Client{api: api, transport: t, owner: name[1], name: name[2], readOnly: o.ReadOnly}, nil
}

// baseURL is the API's address with a slash at its end. Plain HTTP would show the token to the network, so it is for this
// machine only.
func baseURL(api string) (*url.URL, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.BadInputf("the address of GitHub's API is not a URL such as https://api.github.com")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return nil, fault.BadInputf("the address of GitHub's API has to begin with https://, or the token would be readable on the way to %s", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u, nil
}

// sameMethod follows a moved repository, and nothing that would turn a write into a read: that may well answer 200.
func sameMethod(req *http.Request, via []*http.Request) error {
	if len(via) > 3 || req.Method != via[0].Method {
		return fmt.Errorf("it redirects %s to another page", via[0].Method)
	}
	return nil
}

// write carries out do, of a feature. When nobody knows whether GitHub took it, it looks with done for what it would have
// left, and repeats only what is not there.
func (c *Client) write(ctx context.Context, f Feature, do func() error, done func() (bool, error)) error {
	for n := 0; ; n++ {
		err := do()
		var lost *lostError
		if !errors.As(err, &lost) {
			return c.judge(ctx, f, err)
		}
		if err := c.transport.pause(ctx, n, lost); err != nil {
			return err
		}
		if there, err := done(); err != nil {
			return fault.Undeterminedf("%w; looking for it: %w", lost, c.judge(ctx, f, err))
		} else if there {
			return nil
		}
	}
}

// judge says what an error of the library means for a feature. It holds no token, and no text that could be more than a line.
func (c *Client) judge(ctx context.Context, f Feature, err error) error {
	var (
		own     *fault.Error
		denied  *Denied
		answer  *gh.ErrorResponse
		twoKeys *gh.TwoFactorAuthError
		address *url.Error
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &denied):
		return denied
	case errors.As(err, &own):
		return own
	case errors.As(err, &twoKeys):
		return c.denied(f, http.StatusUnauthorized, twoKeys.Message)
	case errors.As(err, &answer):
		return c.judgeAnswer(f, answer)
	case errors.As(err, &address):
		err = address.Err // without the address
	}
	return fault.Undeterminedf("GitHub's answer cannot be used: %s", c.transport.clean(err.Error()))
}

func (c *Client) judgeAnswer(f Feature, e *gh.ErrorResponse) error {
	switch status := e.Response.StatusCode; status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return c.denied(f, status, e.Message)
	default:
		text := e.Message
		for _, detail := range e.Errors {
			text += "; " + strings.Join(strings.Fields(detail.Resource+" "+detail.Field+" "+detail.Code+" "+detail.Message), " ")
		}
		req := e.Response.Request
		return fault.Undeterminedf("GitHub answers %d to %s %s: %s", status, req.Method, c.transport.clean(req.URL.Path), c.transport.clean(text))
	}
}

func (c *Client) denied(f Feature, status int, message string) *Denied {
	return &Denied{Feature: f, Status: status, Message: c.transport.clean(message), ReadOnly: c.readOnly}
}

// status is the HTTP status of GitHub's refusal, and 0 where err is none.
func status(err error) int {
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Response.StatusCode
	}
	return 0
}

// never says that a write left nothing: for one that may be carried out twice, since it sets what it set before.
func never() (bool, error) { return false, nil }
