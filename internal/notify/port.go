package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/org/idp/internal/send"
)

// port is Port: https://docs.port.io/api-reference. Entities are upserted, so one of the same identifier is never there twice.
type port struct {
	api
	id, secret string
}

// login exchanges the credentials for a token of some hours.
func (p *port) login(ctx context.Context) error {
	if p.header.Get("Authorization") != "" {
		return nil
	}
	var answer struct {
		AccessToken string `json:"accessToken"`
	}
	body := map[string]string{"clientId": p.id, "clientSecret": p.secret}
	if err := p.call(ctx, send.Request{Method: http.MethodPost, URL: "/v1/auth/access_token"}, body, &answer); err != nil {
		return err
	}
	if answer.AccessToken == "" {
		return errForm
	}
	p.client.Hide = append(p.client.Hide, answer.AccessToken)
	p.header.Set("Authorization", "Bearer "+answer.AccessToken)
	return nil
}

func (p *port) upsert(ctx context.Context, entity any) error {
	data, err := json.Marshal(entity)
	if err != nil {
		return err
	}
	var of struct {
		Blueprint string `json:"blueprint"`
	}
	if err := json.Unmarshal(data, &of); err != nil {
		return err
	}
	if err := p.login(ctx); err != nil {
		return err
	}
	var answer struct {
		OK bool `json:"ok"`
	}
	// What people or others have written into other properties stays: merge.
	where := "/v1/blueprints/" + url.PathEscape(of.Blueprint) + "/entities?upsert=true&merge=true"
	err = p.call(ctx, send.Request{Method: http.MethodPost, URL: where}, entity, &answer)
	var refused *send.RefusedError
	switch {
	case errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.Status == http.StatusUnprocessableEntity):
		return fmt.Errorf("%w; blueprint %s has to be there with the fields that docs/portals.md lists, and the input portal-names gives them other names", err, of.Blueprint)
	case err == nil && !answer.OK:
		return errForm
	}
	return err
}
