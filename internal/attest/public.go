package attest

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
)

const public = "the public sigstore instance"

// Public asks for the TrustedRoot and the SigningConfig of the public instance, by The Update Framework: only the first of
// its roots is built in, so that neither can be older than its signers allow. It is undetermined when they cannot be had.
func Public(ctx context.Context, clock Clock) (*Trust, *Services, error) {
	opts := tuf.DefaultOptions()
	return fromTUF(ctx, newLine(clock), opts.RepositoryBaseURL, opts.Root)
}

func fromTUF(ctx context.Context, l *line, url string, first []byte) (*Trust, *Services, error) {
	failed := func(err error) error {
		return fault.Undeterminedf("whom the public sigstore instance trusts is not known: %w", err).
			WithNext("Run it again when "+url+" can be reached; https://status.sigstore.dev",
				"Or give a TrustedRoot: --trusted-root FILE, made by cosign trusted-root create")
	}
	client, err := tuf.New(&tuf.Options{Root: first, RepositoryBaseURL: url, DisableLocalCache: true, Context: ctx,
		Fetcher: fetcher{l.client(ctx, "its repository", http.StatusOK, http.StatusNotFound, http.StatusForbidden)}})
	if err != nil {
		return nil, nil, failed(err)
	}
	material, err := root.GetTrustedRoot(client)
	if err != nil {
		return nil, nil, failed(err)
	}
	config, err := root.GetSigningConfig(client)
	if err != nil {
		return nil, nil, failed(err)
	}
	trust, err := newTrust(public, material)
	if err != nil {
		return nil, nil, failed(err)
	}
	return trust, &Services{name: public, config: config}, nil
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
