package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/retry"
)

// tokenPauses lie between the attempts to get an identity token; GitHub's service is known to answer 5xx for seconds.
var tokenPauses = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

const (
	// tokenPatience is how long one attempt may take.
	tokenPatience = 10 * time.Second
	// tokenPause is the longest time that the service may ask to be left alone; one that asks for more is not asked again.
	tokenPause = time.Minute
)

// MayAskForToken tells whether the job has the permission id-token: write.
func (r *Runner) MayAskForToken() bool {
	return r.of("ACTIONS_ID_TOKEN_REQUEST_URL") != "" && r.of("ACTIONS_ID_TOKEN_REQUEST_TOKEN") != ""
}

// IDToken asks the runner for an OpenID Connect token of this job for an audience, and masks it. What may pass by itself (no
// connection, 429, 5xx) is tried again, with sleep between; an answer that says no is not. No error holds a token.
func (r *Runner) IDToken(ctx context.Context, audience string, sleep func(context.Context, time.Duration) error) (string, error) {
	if !r.MayAskForToken() {
		return "", fault.BadInputf("this job may not ask for an identity token").
			WithNext("Allow it in the workflow: permissions: {id-token: write}. A pull request from a fork never gets one.")
	}
	for n := 0; ; n++ {
		token, again, after, err := r.askForToken(ctx, audience)
		switch {
		case err == nil:
			r.Mask(token)
			return token, nil
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case !again || n == len(tokenPauses) || after > tokenPause:
			return "", fault.Undeterminedf("the runner gives no identity token: %w", err).
				WithNext("See whether GitHub has an incident, then run the job again: https://www.githubstatus.com")
		}
		if err := sleep(ctx, max(tokenPauses[n], after)); err != nil {
			return "", err
		}
	}
}

// askForToken asks once, and tells whether asking again may help, and after what time the service wants that. The library's own errors repeat the answer, which may
// hold a token, so none of them is passed on.
func (r *Runner) askForToken(ctx context.Context, audience string) (token string, again bool, after time.Duration, err error) {
	seen := &witness{next: http.DefaultTransport}
	client := &http.Client{Transport: seen, Timeout: tokenPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	token, err = githubactions.New(githubactions.WithGetenv(r.getenv), githubactions.WithHTTPClient(client)).GetIDToken(ctx, audience)
	switch {
	case err == nil && token != "":
		return token, false, 0, nil
	case seen.err != nil:
		return "", true, 0, fmt.Errorf("no connection: %w", withoutURL(seen.err))
	case seen.status == http.StatusOK:
		return "", err != nil, 0, errors.New("the answer holds none") // an answer that breaks off may be whole next time
	case seen.status != 0:
		return "", seen.status >= 500 || seen.status == http.StatusTooManyRequests, seen.after,
			fmt.Errorf("its service answers %d %s", seen.status, http.StatusText(seen.status))
	}
	return "", false, 0, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL")
}

// witness notes what came of a request.
type witness struct {
	next   http.RoundTripper
	status int
	after  time.Duration
	err    error
}

func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(req)
	w.err = err
	if res != nil {
		w.status, w.after = res.StatusCode, retry.After(res.Header)
	}
	return res, err
}

// withoutURL takes off the address that was asked, which may hold a token.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
