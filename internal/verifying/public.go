package verifying

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/retry"
)

// PublicInstance is what errors call the public instance.
const PublicInstance = "the public sigstore instance"

// signingConfig is the SigningConfig in the repository of the public instance.
const signingConfig = "signing_config.v0.2.json"

// Public asks for the TrustedRoot and the SigningConfig, as JSON, of the public instance, by The Update Framework: only the
// first of its roots is built in, so that neither can be older than its signers allow. It is undetermined when they cannot be
// had.
func Public(ctx context.Context, clock retry.Clock) (*Trust, []byte, error) {
	opts := tuf.DefaultOptions()
	return fromTUF(ctx, retry.NewBudget(clock), opts.RepositoryBaseURL, opts.Root)
}

func fromTUF(ctx context.Context, budget *retry.Budget, url string, first []byte) (*Trust, []byte, error) {
	failed := func(err error) error {
		return fault.Undeterminedf("whom the public sigstore instance trusts is not known: %w", err).
			WithNext("Run it again when "+url+" can be reached; https://status.sigstore.dev",
				"Or give a TrustedRoot: --trusted-root FILE, made by cosign trusted-root create")
	}
	client, err := tuf.New(&tuf.Options{Root: first, RepositoryBaseURL: url, DisableLocalCache: true, Context: ctx,
		Fetcher: fetcher{budget.Client(ctx, "its repository", http.StatusOK, http.StatusNotFound, http.StatusForbidden)}})
	if err != nil {
		return nil, nil, failed(err)
	}
	material, err := root.GetTrustedRoot(client)
	if err != nil {
		return nil, nil, failed(err)
	}
	config, err := client.GetTarget(signingConfig)
	if err != nil {
		return nil, nil, failed(err)
	}
	trust, err := newTrust(PublicInstance, material)
	if err != nil {
		return nil, nil, failed(err)
	}
	return trust, config, nil
}

// fetcher gets the files of a TUF repository. That a newer root is not there is an answer, too.
type fetcher struct{ *http.Client }

// DownloadFile gets one file of at most maxLength bytes.
func (f fetcher) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	res, err := f.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	if res.StatusCode != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: res.StatusCode, URL: url}
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxLength+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > maxLength {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s has more than %d bytes", url, maxLength)}
	}
	return data, nil
}
