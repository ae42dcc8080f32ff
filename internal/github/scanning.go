package github

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

const (
	// sarifLimit is the most bytes that GitHub takes, after compression and before base64.
	sarifLimit = 10 << 20
	// processing is how long GitHub is given to process an upload; seconds are usual.
	processing = 2 * time.Minute
	// errorLimit is how many of its errors are shown.
	errorLimit = 10
)

// Upload is SARIF for code scanning. What makes it a category of its own is the automationDetails.id of each run in it: an
// upload replaces what the same tool said in the same category of the same commit.
type Upload struct {
	Commit string // 40 hex digits; of a pull request, that of Ref
	Ref    string // full name, such as refs/heads/main or refs/pull/7/merge
	SARIF  []byte // JSON, uncompressed
}

// UploadSARIF uploads and waits until GitHub has processed it: without an error the results are there. An upload of which it
// is not known whether GitHub took it is sent again, since that replaces it. What GitHub could not process is undetermined,
// with GitHub's own errors as its detail. Where a repository has no code scanning, the error is a Denied that is not Enabled.
// 3 requests are usual, at most 17.
func (c *Client) UploadSARIF(ctx context.Context, u Upload) (id string, err error) {
	packed, err := pack(u.SARIF)
	if err != nil {
		return "", err
	}
	if len(u.Commit) != 40 || !strings.HasPrefix(u.Ref, "refs/") {
		return "", fault.BadInputf("SARIF is of a commit and of a ref such as refs/heads/main, not of %q and %q", u.Commit, u.Ref)
	}
	err = c.write(ctx, CodeScanning, func() error {
		made, _, err := c.api.CodeScanning.UploadSarif(ctx, c.owner, c.name, &gh.SarifAnalysis{CommitSHA: &u.Commit, Ref: &u.Ref, Sarif: &packed})
		// The library takes the 202 of this answer for an error, and gives it beside the id.
		var accepted *gh.AcceptedError
		if id = made.GetID(); errors.As(err, &accepted) && id != "" {
			return nil
		}
		return err
	}, never)
	if err == nil && id == "" {
		err = fault.Undeterminedf("GitHub's answer names no upload")
	}
	if err != nil {
		return "", err
	}
	return id, c.processed(ctx, id)
}

func pack(sarif []byte) (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(sarif); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	if b.Len() > sarifLimit {
		return "", fault.BadInputf("SARIF of %d bytes after compression is larger than the %d that GitHub takes", b.Len(), sarifLimit)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// sarifState is what the library leaves the errors out of.
type sarifState struct {
	Status string   `json:"processing_status"`
	Errors []string `json:"errors"`
}

// processed asks for the state of an upload until it is final.
func (c *Client) processed(ctx context.Context, id string) error {
	pause := time.Second
	for waited := time.Duration(0); waited < processing; pause = min(2*pause, 10*time.Second) {
		if err := c.transport.sleep(ctx, pause); err != nil {
			return err
		}
		waited += pause
		var state sarifState
		req, err := c.api.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/code-scanning/sarifs/%s", c.owner, c.name, id), nil)
		if err == nil {
			_, err = c.api.Do(ctx, req, &state)
		}
		switch {
		case status(err) == http.StatusNotFound: // an upload is not to be seen at once
		case err != nil:
			return c.judge(ctx, CodeScanning, err)
		case state.Status == "complete":
			return nil
		case state.Status == "failed":
			return c.unprocessed(state.Errors)
		}
	}
	return fault.Undeterminedf("GitHub has not processed the SARIF %s within %s", id, processing).
		WithNext("See later under Security, Code scanning, whether the findings are there.")
}

func (c *Client) unprocessed(list []string) error {
	err := fault.Undeterminedf("GitHub could not process the SARIF")
	for i, text := range list {
		if i == errorLimit {
			return err.WithDetail(fmt.Sprintf("and %d more", len(list)-i))
		}
		err = err.WithDetail(c.transport.clean(text))
	}
	return err
}
