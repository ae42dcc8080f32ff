package gitstore

import (
	"encoding/base64"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/org/idp/internal/fault"
)

// Remote is the catalogue's address, its credentials apart.
type Remote struct {
	url    string   // what git is called with; never holds a password or token
	Shown  string   // what people see
	header string   // value of an Authorization header; empty without credentials
	scope  string   // scheme and host that the header is for
	hide   []string // texts that must not be in any output
}

// helper matches git's TRANSPORT::ADDRESS, which runs a program of that name.
var helper = regexp.MustCompile(`^[A-Za-z0-9+.-]+::`)

var schemes = map[string]bool{"https": true, "http": true, "ssh": true, "git": true, "file": true}

// ParseRemote never shows the URL in an error before its credentials are out.
func ParseRemote(text string) (Remote, error) {
	next := "Give a Git URL, such as https://github.com/acme/catalog.git."
	switch {
	case text == "":
		return Remote{}, fault.BadInputf("input catalog is required, such as --catalog https://github.com/acme/catalog.git")
	case strings.HasPrefix(text, "-") || helper.MatchString(text) || strings.ContainsFunc(text, isControl):
		return Remote{}, fault.BadInputf("input catalog is not a Git URL that is allowed here").WithNext(next)
	case !strings.Contains(text, "://"):
		return plainRemote(text)
	}
	u, err := url.Parse(text)
	if err != nil || !schemes[u.Scheme] {
		return Remote{}, fault.BadInputf("input catalog is not a Git URL that is allowed here").
			WithNext(next, "Percent-encode special characters in a password.")
	}
	r := Remote{}
	password, _ := u.User.Password()
	for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		r.conceal(secret)
	}
	if u.Scheme == "ssh" { // the user is part of the address, a password cannot be used
		if u.User != nil {
			u.User = url.User(u.User.Username())
		}
		r.url, r.Shown = u.String(), u.String()
		return r, nil
	}
	if u.User != nil && strings.HasPrefix(u.Scheme, "http") {
		pair := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		r.header, r.scope = "Authorization: Basic "+pair, u.Scheme+"://"+u.Host+"/"
		r.conceal(pair)
		if password == "" {
			r.conceal(u.User.Username()) // a token alone stands where the user would
		}
	}
	u.User = nil
	r.url, r.Shown = u.String(), u.String()
	return r, nil
}

func (r *Remote) conceal(secret string) {
	if len(secret) > 3 { // shorter ones are in ordinary words, and removing them would make errors unreadable
		r.hide = append(r.hide, secret)
	}
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// plainRemote is HOST:PATH, or a folder, which git reads from where it runs.
func plainRemote(text string) (Remote, error) {
	before, _, colon := strings.Cut(text, ":")
	if colon && !strings.ContainsAny(before, `/\`) && filepath.VolumeName(text) == "" {
		return Remote{url: text, Shown: text}, nil
	}
	abs, err := filepath.Abs(text)
	if err != nil {
		return Remote{}, fault.Undeterminedf("the folder of the catalogue is not known: %w", err)
	}
	return Remote{url: abs, Shown: abs}, nil
}

// userinfo is what git may show of a URL that its configuration rewrote (url.*.insteadOf with a token in it).
var userinfo = regexp.MustCompile(`://[^/@\s]*@`)

// clean takes credentials out of what git wrote.
func (r Remote) clean(text string) string {
	text = userinfo.ReplaceAllString(text, "://")
	for _, secret := range r.hide {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}
