package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/send"
)

// cortex is Cortex: https://docs.cortex.io/api
type cortex struct{ api }

// service merges the descriptor into that of the entity, which is made where there is none. So what people wrote stays.
func (c cortex) service(ctx context.Context, descriptor any) error {
	var answer struct {
		OK         *bool `json:"ok"`
		Violations []struct {
			Title       string `json:"title"`
			Description string `json:"description"`
		} `json:"violations"`
	}
	header := http.Header{"Content-Type": {"application/openapi;charset=UTF-8"}}
	if err := c.call(ctx, send.Request{Method: http.MethodPatch, URL: "/api/v1/open-api", Header: header}, descriptor, &answer); err != nil {
		return err
	}
	switch {
	case answer.OK == nil:
		return errForm
	case !*answer.OK:
		text := "it did not accept the descriptor"
		for _, v := range answer.Violations {
			text += "; " + c.client.Text([]byte(v.Title+" "+v.Description))
		}
		return errors.New(text)
	}
	return nil
}

// deploysListed bounds what of an entity's deploys is looked at.
const deploysListed = 1000

// deploy adds the deploy unless it is there. Cortex adds the same one twice, so it is looked for before each attempt.
func (c cortex) deploy(ctx context.Context, body any) error {
	d, ok := body.(projection.CortexDeploy)
	if !ok {
		return fmt.Errorf("%T is no deploy", body)
	}
	where := "/api/v1/catalog/" + url.PathEscape(d.Tag) + "/deploys"
	there := func(ctx context.Context) (bool, error) {
		return c.deployed(ctx, where, d.Custom[projection.CortexDelivery])
	}
	var answer struct {
		Title string `json:"title"`
	}
	return c.call(ctx, send.Request{Method: http.MethodPost, URL: where, Done: there}, d, &answer)
}

func (c cortex) deployed(ctx context.Context, where, delivery string) (bool, error) {
	var list struct {
		Deployments []struct {
			Custom map[string]json.RawMessage `json:"customData"`
		} `json:"deployments"`
		TotalPages *int `json:"totalPages"`
	}
	url := fmt.Sprintf("%s?pageSize=%d&page=0", where, deploysListed)
	if err := c.call(ctx, send.Request{Method: http.MethodGet, URL: url}, nil, &list); err != nil {
		return false, err
	}
	if list.TotalPages == nil {
		return false, errForm
	}
	for _, d := range list.Deployments {
		var id string
		if json.Unmarshal(d.Custom[projection.CortexDelivery], &id) == nil && id == delivery {
			return true, nil
		}
	}
	return false, nil
}
