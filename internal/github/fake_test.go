package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// place is a GitHub with one repository, and a client of it.
type place struct {
	*githubfake.Server
	repo   *githubfake.Repository
	client *Client
	clock  *clock
	token  string
	begun  int64 // what the killed run had noted
}

// at makes a place; permissions are written as "deployments: write, actions: read".
func at(t githubfake.TB, permissions string) *place {
	t.Helper()
	s := githubfake.New(t)
	clock := &clock{at: noon}
	s.SetNow(clock.now)
	p := &place{Server: s, repo: s.Repository("acme/checkout"), clock: clock}
	p.become(t, permissions)
	return p
}

// become goes on with a new client, as the next run does.
func (p *place) become(t githubfake.TB, permissions string) {
	t.Helper()
	p.token = p.Token("acme/checkout", scopes(permissions))
	p.client = p.connect(t, nil)
}

func (p *place) connect(t githubfake.TB, through http.RoundTripper) *Client {
	t.Helper()
	c, err := New(Options{API: p.API(), Token: p.token, Repository: "acme/checkout", Transport: through, Now: p.clock.now, Sleep: p.clock.sleep})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

func scopes(text string) map[string]string {
	all := map[string]string{}
	for one := range strings.SplitSeq(text, ", ") {
		if name, level, ok := strings.Cut(one, ": "); ok {
			all[name] = level
		}
	}
	return all
}

// mortal lets so many requests through and then ends the run, before the next request or when it was answered.
type mortal struct {
	left  int
	after bool
	end   context.CancelFunc
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.left--
	if m.left == 0 && !m.after {
		m.end()
		return nil, errors.New("the run was ended")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if m.left == 0 {
		m.end()
	}
	return res, err
}

// everywhere does something on a new GitHub once for each of its requests and each way in which a request can go wrong, and
// once more for each request at which the run is killed and then repeated. It has to come out the same each time.
func everywhere(t *testing.T, permissions string, prepare func(*place), do func(context.Context, *place) error, check func(*testing.T, *place)) {
	t.Helper()
	p := at(t, permissions)
	prepare(p)
	before := len(p.Calls())
	if err := do(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	check(t, p)
	calls := p.Calls()[before:]
	for n := 1; n <= len(calls); n++ {
		for _, phase := range githubfake.Phases {
			t.Run(fmt.Sprintf("%d %s %s", n, calls[n-1].Operation, phase.Name), func(t *testing.T) {
				p := at(t, permissions)
				prepare(p)
				fault := phase.Fault
				fault.Call = n
				p.Inject(fault)
				if err := do(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				check(t, p)
			})
		}
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s killed, after %v", n, calls[n-1].Operation, after), func(t *testing.T) {
				p := at(t, permissions)
				prepare(p)
				ctx, end := context.WithCancel(t.Context())
				whole := p.client
				p.client = p.connect(t, &mortal{left: n, after: after, end: end})
				if err := do(ctx, p); err == nil && n < len(calls) {
					t.Error("a killed run came to its end")
				}
				p.client = whole
				if err := do(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				check(t, p)
			})
		}
	}
}

// refused asks with a token that has all but one permission, and wants the feature refused by its name, and nothing written.
func refused(t *testing.T, f Feature, others string, prepare func(*place), do func(context.Context, *place) error) {
	t.Helper()
	p := at(t, others)
	prepare(p)
	err := do(t.Context(), p)
	var denied *Denied
	if !errors.As(err, &denied) || denied.Feature != f || denied.Status != http.StatusForbidden || !strings.Contains(err.Error(), "permissions: {"+f.Scope+"}") {
		t.Errorf("without %s: %v", f.Scope, err)
	}
	for _, call := range p.Calls() {
		if call.Method != http.MethodGet && call.Status < 300 && call.Operation != "POST /graphql" {
			t.Errorf("%s was carried out", call.Operation)
		}
	}
	p.Revoke(p.token)
	if err := do(t.Context(), p); !errors.As(err, &denied) || denied.Status != http.StatusUnauthorized {
		t.Errorf("with a token that is none: %v", err)
	}
}

// count says how often each operation was asked for.
func (p *place) count() map[string]int {
	n := map[string]int{}
	for _, c := range p.Calls() {
		n[c.Operation]++
	}
	return n
}

// tick lets a minute pass, so that what follows is newer.
func (p *place) tick() { p.clock.pass(time.Minute) }
