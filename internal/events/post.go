package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/send"
)

// post sends the event. A receiver that got it twice knows it by its id.
func post(ctx context.Context, target *url.URL, mode string, event cloudEvent, client send.Client) error {
	body, header, err := message(mode, event)
	if err != nil {
		return err
	}
	client.Hide = send.SecretsOf(target)
	_, err = client.Do(ctx, send.Request{Method: http.MethodPost, URL: target.String(), Header: header, Body: body, To: target.Host})
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fault.Undeterminedf("the event was not taken by %s: %w", target.Host, err).
		WithNext("Check the URL in the input events and what its receiver logged.",
			"The event is in events.json; sending it again is safe, its id stays the same.")
}

// message is the event as CloudEvents' HTTP binding has it:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
func message(mode string, e cloudEvent) ([]byte, http.Header, error) {
	if mode != binary {
		body, err := encode(e)
		return body, http.Header{"Content-Type": {"application/cloudevents+json"}}, err
	}
	body, err := json.MarshalIndent(e.Data, "", "  ")
	header := http.Header{"Content-Type": {e.DataContentType}}
	for name, value := range map[string]string{"specversion": e.SpecVersion, "id": e.ID, "source": e.Source, "type": e.Type,
		"subject": e.Subject, "time": e.Time.Format(time.RFC3339Nano)} {
		header.Set("ce-"+name, headerValue(value))
	}
	return append(body, '\n'), header, err
}

// headerValue encodes what may not stand in a header as it is, section 3.1.3.2.
func headerValue(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
