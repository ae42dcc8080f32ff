package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/send"
)

// api is the API of a portal.
type api struct {
	client send.Client
	base   string
	header http.Header
	shown  string
}

var errForm = errors.New("its answer is not of the form that it publishes, so whether it took it is not known")

// given are the portals that there are credentials for.
func (in Inputs) given(deps Deps) []portal {
	var all []portal
	deps.Client.Hide = []string{in.PortSecret, in.CortexToken, in.OpsLevelToken, in.DatadogKey, in.DatadogApp}
	if u, err := url.Parse(in.OpsLevelDeploys); err == nil {
		deps.Client.Hide = append(deps.Client.Hide, send.SecretsOf(u)...)
	}
	at := func(shown, base string, header http.Header) api {
		c := deps.Client
		c.Hide = slices.Clone(c.Hide)
		return api{client: c, base: strings.TrimSuffix(base, "/"), header: header, shown: shown}
	}
	if in.PortID != "" {
		a := &port{api: at("Port", in.PortURL, http.Header{}), id: in.PortID, secret: in.PortSecret}
		all = append(all, portal{projection.Port, "Port", "port-client-id, port-client-secret and port-url", a.upsert, a.upsert})
	}
	if in.CortexToken != "" {
		a := cortex{at("Cortex", in.CortexURL, http.Header{"Authorization": {"Bearer " + in.CortexToken}})}
		all = append(all, portal{projection.Cortex, "Cortex", "cortex-token and cortex-url", a.service, a.deploy})
	}
	if in.OpsLevelToken != "" || in.OpsLevelDeploys != "" {
		a := opsLevel{at("OpsLevel", in.OpsLevelURL, http.Header{"Authorization": {"Bearer " + in.OpsLevelToken}}), in.OpsLevelDeploys}
		p := portal{projection.OpsLevel, "OpsLevel", "opslevel-token, opslevel-url and opslevel-deploys", nil, nil}
		if in.OpsLevelToken != "" {
			p.service = a.service
		}
		if in.OpsLevelDeploys != "" {
			p.deploy = a.deploy
		}
		all = append(all, p)
	}
	if in.DatadogKey != "" {
		header := http.Header{"Dd-Api-Key": {in.DatadogKey}, "Dd-Application-Key": {in.DatadogApp}}
		a := datadog{at("Datadog", in.DatadogURL, header)}
		all = append(all, portal{projection.Datadog, "Datadog", "datadog-api-key, datadog-app-key and datadog-url", a.service, a.deploy})
	}
	return all
}

// call sends a body and reads the answer into one; an answer that is not JSON is an error, since a proxy's page may well be
// a 200.
func (a api) call(ctx context.Context, r send.Request, body, answer any) error {
	r.To, r.URL = a.shown, a.base+r.URL
	header := a.header.Clone()
	header.Set("Accept", "application/json")
	if header.Set("Content-Type", "application/json"); r.Header != nil {
		header.Set("Content-Type", r.Header.Get("Content-Type"))
	}
	r.Header = header
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r.Body = data
	}
	data, err := a.client.Do(ctx, r)
	if err != nil || data == nil && r.Done != nil {
		return err
	}
	if json.Unmarshal(data, answer) != nil {
		return errForm
	}
	return nil
}
