package notify

import (
	"context"
	"net/http"

	"github.com/org/idp/internal/send"
)

// datadog is Datadog: https://docs.datadoghq.com/api/latest/software-catalog and .../dora-metrics
type datadog struct{ api }

// service makes or replaces the entity.
func (d datadog) service(ctx context.Context, entity any) error {
	var answer struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := d.call(ctx, send.Request{Method: http.MethodPost, URL: "/api/v2/catalog/entity"}, entity, &answer); err != nil {
		return err
	}
	if len(answer.Data) != 1 || answer.Data[0].ID == "" {
		return errForm
	}
	return nil
}

// deploy tells of a deployment, whose id is the same each time.
func (d datadog) deploy(ctx context.Context, event any) error {
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := d.call(ctx, send.Request{Method: http.MethodPost, URL: "/api/v2/dora/deployment"}, event, &answer); err != nil {
		return err
	}
	if answer.Data.ID == "" {
		return errForm
	}
	return nil
}
