package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/send"
)

// opsLevel is OpsLevel: its GraphQL API for services, and a deploy integration for deploys.
type opsLevel struct {
	api
	deploys string // URL, which holds a secret
}

// Queries of OpsLevel's GraphQL API. The second alias is for the form that OpsLevel itself makes of a name.
const (
	findService = `query($a: String!, $b: String!) { account { named: service(alias: $a) { id aliases } made: service(alias: $b) { id aliases } } }`
	// What is returned of both has the same name, so that one form reads it.
	createService = `mutation($input: ServiceCreateInput!) { result: serviceCreate(input: $input) { service { id aliases } errors { message } } }`
	updateService = `mutation($input: ServiceUpdateInput!) { result: serviceUpdate(input: $input) { service { id aliases } errors { message } } }`
	createAlias   = `mutation($input: AliasCreateInput!) { result: aliasCreate(input: $input) { errors { message } } }`
)

type opsLevelID struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`
}

type message struct {
	Message string `json:"message"`
}

// service updates the service of that alias, or makes it. A creation whose answer was lost is found by the next attempt.
func (o opsLevel) service(ctx context.Context, body any) error {
	in, ok := body.(projection.OpsLevelInput)
	if !ok {
		return fmt.Errorf("%T is no service", body)
	}
	found, err := o.find(ctx, in.Name)
	if err != nil {
		return err
	}
	if found == nil {
		there := func(ctx context.Context) (bool, error) {
			found, err = o.find(ctx, in.Name)
			return found != nil, err
		}
		if err := o.mutate(ctx, createService, in, there, &found); err != nil {
			return err
		}
	} else if err := o.mutate(ctx, updateService, withID(in, found.ID), nil, &found); err != nil {
		return err
	}
	if found == nil || found.ID == "" {
		return errForm
	}
	for _, alias := range found.Aliases {
		if alias == in.Name {
			return nil
		}
	}
	return o.mutate(ctx, createAlias, map[string]string{"alias": in.Name, "ownerId": found.ID}, nil, nil)
}

func withID(in projection.OpsLevelInput, id string) projection.OpsLevelInput {
	in.ID = id
	return in
}

// find gives the service of that name; nil where there is none.
func (o opsLevel) find(ctx context.Context, name string) (*opsLevelID, error) {
	var data struct {
		Account *struct{ Named, Made *opsLevelID }
	}
	if err := o.query(ctx, findService, map[string]any{"a": name, "b": strings.ReplaceAll(name, "-", "_")}, nil, &data); err != nil {
		return nil, err
	}
	if data.Account == nil {
		return nil, errForm
	}
	for _, found := range []*opsLevelID{data.Account.Named, data.Account.Made} {
		if found != nil && found.ID != "" {
			return found, nil
		}
	}
	return nil, nil
}

// mutate changes something. What comes back of a service is put into found, where there is one.
func (o opsLevel) mutate(ctx context.Context, text string, input any, done func(context.Context) (bool, error), found **opsLevelID) error {
	var data struct {
		Result *struct {
			Service *opsLevelID
			Errors  []message
		}
	}
	carriedOut := false
	if before := done; before != nil {
		done = func(ctx context.Context) (bool, error) {
			ok, err := before(ctx)
			carriedOut = ok
			return ok, err
		}
	}
	if err := o.query(ctx, text, map[string]any{"input": input}, done, &data); err != nil || carriedOut {
		return err
	}
	switch {
	case data.Result == nil:
		return errForm
	case len(data.Result.Errors) > 0:
		return o.refused(data.Result.Errors)
	}
	if found != nil {
		*found = data.Result.Service
	}
	return nil
}

// query asks once. GraphQL answers 200 to what it refuses.
func (o opsLevel) query(ctx context.Context, text string, variables map[string]any, done func(context.Context) (bool, error), data any) error {
	answer := struct {
		Data   any       `json:"data"`
		Errors []message `json:"errors"`
	}{Data: data}
	body := map[string]any{"query": text, "variables": variables}
	if err := o.call(ctx, send.Request{Method: http.MethodPost, URL: "/graphql", Done: done}, body, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return o.refused(answer.Errors)
	}
	return nil
}

func (o opsLevel) refused(list []message) error {
	var texts []string
	for _, m := range list[:min(len(list), 3)] {
		texts = append(texts, o.client.Text([]byte(m.Message)))
	}
	return errors.New("it refused: " + strings.Join(texts, "; "))
}

// deploy posts to the integration, which knows a deploy again by its dedup_id.
func (o opsLevel) deploy(ctx context.Context, body any) error {
	hook := o.api
	hook.base, hook.header = o.deploys, http.Header{}
	var answer struct {
		Result string `json:"result"`
	}
	return hook.call(ctx, send.Request{Method: http.MethodPost}, body, &answer)
}
