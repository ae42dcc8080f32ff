package signing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/org/idp/internal/fault"
)

// rekor is the client of a log of either form.
func (k *KeylessSigner) rekor(ctx context.Context, log root.Service) (sign.Transparency, error) {
	opts := &sign.RekorOptions{BaseURL: log.URL, Version: log.MajorAPIVersion, Timeout: -1}
	u, err := url.Parse(log.URL)
	if err != nil {
		return nil, fault.BadInputf("signing config %s: the transparency log has no address: %w", k.opts.Services.name, err)
	}
	const name = "the transparency log"
	if log.MajorAPIVersion == 1 {
		client := k.budget.Client(ctx, name, http.StatusOK, http.StatusCreated, http.StatusConflict) // of a conflict the entry is read
		rt := httptransport.NewWithClient(u.Host, u.Path+"/", []string{u.Scheme}, client)
		opts.Client = whole{entries.New(rt, strfmt.Default)}
		return sign.NewRekor(opts), nil
	}
	opts.ClientV2 = tiles{url: u.JoinPath("/api/v2/log/entries").String(),
		client: k.budget.Client(ctx, name, http.StatusOK, http.StatusCreated, http.StatusConflict)}
	return sign.NewRekor(opts), nil
}

// whole refuses entries that lack what the proof needs: the library would end the program over them.
type whole struct{ sign.RekorClient }

// CreateLogEntry adds an entry.
func (w whole) CreateLogEntry(params *entries.CreateLogEntryParams, opts ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	created, err := w.RekorClient.CreateLogEntry(params, opts...)
	if err != nil {
		return nil, err
	}
	if _, ok := created.Payload[created.ETag]; !ok {
		return nil, errors.New("the transparency log does not give the entry that it made")
	}
	return created, complete(created.Payload)
}

// GetLogEntryByUUID gives an entry that was there before.
func (w whole) GetLogEntryByUUID(params *entries.GetLogEntryByUUIDParams, opts ...entries.ClientOption) (*entries.GetLogEntryByUUIDOK, error) {
	found, err := w.RekorClient.GetLogEntryByUUID(params, opts...)
	if err != nil {
		return nil, err
	}
	return found, complete(found.Payload)
}

func complete(list models.LogEntry) error {
	if len(list) != 1 {
		return fmt.Errorf("the transparency log gives %d entries, not one", len(list))
	}
	for _, e := range list {
		if err := e.Validate(strfmt.Default); err != nil {
			return fmt.Errorf("the transparency log gives an entry that is not whole: %w", err)
		}
		if e.Verification == nil || e.Verification.InclusionProof == nil {
			return errors.New("the transparency log gives an entry without a proof")
		}
	}
	return nil
}

// errLogged means that a log of the form of Rekor v2 has this very entry already, and gives no proof of it a second time.
var errLogged = errors.New("the transparency log has this entry already")

// tiles writes to a log of the form of Rekor v2. The library's own client takes no transport.
type tiles struct {
	url    string
	client *http.Client
}

// Add gives the entry with its proof.
func (t tiles) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	asked, ok := entry.(*rekortiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of type %T", entry)
	}
	data, err := protojson.Marshal(&rekortiles.CreateEntryRequest{Spec: &rekortiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: asked}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	if res.StatusCode == http.StatusConflict {
		return nil, errLogged
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	logged := &protorekor.TransparencyLogEntry{}
	if err := protojson.Unmarshal(body, logged); err != nil {
		return nil, fmt.Errorf("the transparency log gives an answer that cannot be read: %w", err)
	}
	return logged, nil
}
