package portalsfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Credentials that the portals take.
const (
	PortID, PortSecret, portToken = "port-client", "port-s3cret", "port-t0ken"
	CortexToken                   = "cortex-t0ken"
	OpsLevelToken                 = "opslevel-t0ken"
	OpsLevelHook                  = "/integrations/deploy/0b1c-s3cret"
	DatadogKey, DatadogApp        = "datadog-k3y", "datadog-4pp"
)

// Server is all portals at one address. What they do not publish, and what is not of the form that they publish, fails the
// test.
type Server struct {
	*httptest.Server
	t     *testing.T
	forms Forms

	mu       sync.Mutex
	requests []string
	faults   []fault
	entities map[string]map[string]any // by portal and identifier; a Cortex descriptor's info, an OpsLevel service
	deploys  map[string][]map[string]any
}

type fault struct {
	where  string
	times  int // -1: for ever
	answer http.HandlerFunc
	query  string // of GraphQL, part of its text; empty for any
	after  bool   // the portal carries it out before the answer is broken
}

// New starts the portals.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{t: t, forms: LoadForms(t), entities: map[string]map[string]any{}, deploys: map[string][]map[string]any{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Break answers requests to where, such as POST /graphql, with something else, so many times; -1 is for ever.
func (s *Server) Break(where string, times int, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{where: where, times: times, answer: answer})
}

// Lose carries a request out, once, and answers something else.
func (s *Server) Lose(where string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{where: where, times: 1, answer: answer, after: true})
}

// LoseQuery is Lose for one query of OpsLevel's API.
func (s *Server) LoseQuery(query string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{where: "POST /graphql", times: 1, answer: answer, after: true, query: query})
}

// RefuseQuery answers one query of OpsLevel's API as it answers what it refuses.
func (s *Server) RefuseQuery(query, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{where: "POST /graphql", times: 1, query: query, answer: func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"result": map[string]any{"service": nil, "errors": []any{map[string]any{"message": why}}}}})
	}})
}

// Requests are the methods and paths so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.requests...)
}

// Entity is what a portal has of a service or, in Port, of a deployment.
func (s *Server) Entity(portal, id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entities[portal+" "+id]
}

// Put makes an entity be there.
func (s *Server) Put(portal, id string, entity map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entities[portal+" "+id] = entity
}

// Deploys are what a portal was told of deploys; those of Port are entities.
func (s *Server) Deploys(portal string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any{}, s.deploys[portal]...)
}

// ServeHTTP implements http.Handler. Portals answer one request at a time, so that a test sees whole states.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	where := r.Method + " " + r.URL.Path
	s.requests = append(s.requests, where)
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	for i := range s.faults {
		f := &s.faults[i]
		if f.where != where || f.times == 0 || !bytes.Contains(data, []byte(f.query)) {
			continue
		}
		f.times--
		if f.after {
			s.serve(httptest.NewRecorder(), r)
		}
		f.answer(w, r)
		return
	}
	s.serve(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	body := map[string]any{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &body); err != nil {
			s.t.Errorf("%s %s: %v\n%s", r.Method, r.URL, err, data)
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch where := r.Method + " " + r.URL.Path; {
	case where == "POST /v1/auth/access_token":
		s.login(w, body)
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/blueprints/") && strings.HasSuffix(r.URL.Path, "/entities"):
		if s.allowed(w, r, "Authorization", "Bearer "+portToken) {
			s.upsert(w, r, parts[2], body)
		}
	case where == "PATCH /api/v1/open-api":
		if s.allowed(w, r, "Authorization", "Bearer "+CortexToken) {
			s.descriptor(w, r, body)
		}
	case strings.HasPrefix(r.URL.Path, "/api/v1/catalog/") && strings.HasSuffix(r.URL.Path, "/deploys"):
		if s.allowed(w, r, "Authorization", "Bearer "+CortexToken) {
			s.cortexDeploys(w, r, parts[3], body)
		}
	case where == "POST /graphql":
		if s.allowed(w, r, "Authorization", "Bearer "+OpsLevelToken) {
			s.graphQL(w, body)
		}
	case where == "POST "+OpsLevelHook:
		s.hook(w, body)
	case where == "POST /api/v2/catalog/entity", where == "POST /api/v2/dora/deployment":
		if s.allowed(w, r, "DD-API-KEY", DatadogKey) && s.allowed(w, r, "DD-APPLICATION-KEY", DatadogApp) {
			s.datadog(w, parts[2], body)
		}
	default:
		s.t.Errorf("no portal has %s", where)
		answer(w, http.StatusNotFound, map[string]any{})
	}
}

func (s *Server) allowed(w http.ResponseWriter, r *http.Request, header, want string) bool {
	if r.Header.Get(header) == want {
		return true
	}
	answer(w, http.StatusUnauthorized, map[string]any{"message": "not with " + r.Header.Get(header)})
	return false
}

func (s *Server) hold(form string, body any) {
	if err := s.forms.Hold(form, body); err != nil {
		s.t.Errorf("a request is not of the form that its portal publishes: %v", err)
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) login(w http.ResponseWriter, body map[string]any) {
	if body["clientId"] != PortID || body["clientSecret"] != PortSecret {
		answer(w, http.StatusUnauthorized, map[string]any{"ok": false, "error": "no such client"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"ok": true, "accessToken": portToken, "expiresIn": 10800, "tokenType": "Bearer"})
}

func (s *Server) upsert(w http.ResponseWriter, r *http.Request, blueprint string, body map[string]any) {
	s.hold(PortEntity, body)
	if body["blueprint"] != blueprint || r.URL.RawQuery != "upsert=true&merge=true" {
		s.t.Errorf("%s: %v", r.URL, body["blueprint"])
	}
	key := "port " + fmt.Sprint(body["identifier"])
	if old := s.entities[key]; old != nil {
		merged := maps.Clone(old["properties"].(map[string]any))
		maps.Copy(merged, body["properties"].(map[string]any))
		body["properties"] = merged
	}
	s.entities[key] = body
	answer(w, http.StatusCreated, map[string]any{"ok": true, "entity": body})
}

func (s *Server) descriptor(w http.ResponseWriter, r *http.Request, body map[string]any) {
	s.hold(CortexDescriptor, body)
	if r.Header.Get("Content-Type") != "application/openapi;charset=UTF-8" {
		s.t.Errorf("content type %s", r.Header.Get("Content-Type"))
	}
	info := body["info"].(map[string]any)
	key := "cortex " + fmt.Sprint(info["x-cortex-tag"])
	merged := maps.Clone(s.entities[key])
	if merged == nil {
		merged = map[string]any{}
	}
	maps.Copy(merged, info)
	s.entities[key] = merged
	answer(w, http.StatusOK, map[string]any{"ok": true, "violations": []any{}})
}

func (s *Server) cortexDeploys(w http.ResponseWriter, r *http.Request, tag string, body map[string]any) {
	switch {
	case s.entities["cortex "+tag] == nil:
		answer(w, http.StatusNotFound, map[string]any{"details": "no entity"})
	case r.Method == http.MethodGet:
		answer(w, http.StatusOK, map[string]any{"deployments": s.deploys["cortex"], "page": 0, "total": len(s.deploys["cortex"]), "totalPages": 1})
	default:
		s.hold(CortexDeploy, body)
		s.deploys["cortex"] = append(s.deploys["cortex"], body)
		answer(w, http.StatusOK, body)
	}
}

func (s *Server) graphQL(w http.ResponseWriter, body map[string]any) {
	query, _ := body["query"].(string)
	vars, _ := body["variables"].(map[string]any)
	input, _ := vars["input"].(map[string]any)
	var data map[string]any
	switch {
	case strings.Contains(query, "service(alias: $a)"):
		data = map[string]any{"account": map[string]any{"named": s.opsLevel(vars["a"]), "made": s.opsLevel(vars["b"])}}
	case strings.Contains(query, "serviceCreate(input: $input)"):
		s.hold(OpsLevelInput, input)
		// The alias that OpsLevel makes of a name has no hyphens.
		made := strings.ReplaceAll(fmt.Sprint(input["name"]), "-", "_")
		if s.entities["opslevel "+made] != nil {
			s.t.Error("the service is there twice")
		}
		input["aliases"], input["id"] = []any{made}, "gid-"+made
		s.entities["opslevel "+made] = input
		data = map[string]any{"result": map[string]any{"service": map[string]any{"id": input["id"], "aliases": input["aliases"]}, "errors": []any{}}}
	case strings.Contains(query, "serviceUpdate(input: $input)"):
		s.hold(OpsLevelInput, input)
		service := s.byID(input["id"])
		maps.Copy(service, input)
		data = map[string]any{"result": map[string]any{"service": map[string]any{"id": service["id"], "aliases": service["aliases"]}, "errors": []any{}}}
	case strings.Contains(query, "aliasCreate(input: $input)"):
		service := s.byID(input["ownerId"])
		service["aliases"] = append(service["aliases"].([]any), input["alias"])
		data = map[string]any{"result": map[string]any{"errors": []any{}}}
	default:
		s.t.Errorf("no such query: %s", query)
	}
	answer(w, http.StatusOK, map[string]any{"data": data})
}

func (s *Server) byID(id any) map[string]any {
	for key, e := range s.entities {
		if strings.HasPrefix(key, "opslevel ") && e["id"] == id {
			return e
		}
	}
	s.t.Errorf("OpsLevel has no service %v", id)
	return map[string]any{"aliases": []any{}}
}

// opsLevel finds a service by an alias; null where there is none.
func (s *Server) opsLevel(alias any) any {
	for key, e := range s.entities {
		if !strings.HasPrefix(key, "opslevel ") {
			continue
		}
		for _, a := range e["aliases"].([]any) {
			if a == alias {
				return map[string]any{"id": e["id"], "aliases": e["aliases"]}
			}
		}
	}
	return nil
}

func (s *Server) hook(w http.ResponseWriter, body map[string]any) {
	s.hold(OpsLevelDeploy, body)
	for _, d := range s.deploys["opslevel"] {
		if d["dedup_id"] == body["dedup_id"] {
			answer(w, http.StatusAccepted, map[string]any{"result": "ok"})
			return
		}
	}
	s.deploys["opslevel"] = append(s.deploys["opslevel"], body)
	answer(w, http.StatusAccepted, map[string]any{"result": "ok"})
}

func (s *Server) datadog(w http.ResponseWriter, what string, body map[string]any) {
	if what == "catalog" {
		s.hold(DatadogEntity, body)
		name := fmt.Sprint(body["metadata"].(map[string]any)["name"])
		s.entities["datadog "+name] = body
		answer(w, http.StatusAccepted, map[string]any{"data": []any{map[string]any{"id": "4b16", "type": "entity"}}, "meta": map[string]any{"count": 1}})
		return
	}
	s.hold(DatadogDeployment, body)
	attributes := body["data"].(map[string]any)["attributes"].(map[string]any)
	for _, d := range s.deploys["datadog"] {
		if d["id"] == attributes["id"] {
			answer(w, http.StatusOK, map[string]any{"data": map[string]any{"id": attributes["id"], "type": "dora_deployment"}})
			return
		}
	}
	s.deploys["datadog"] = append(s.deploys["datadog"], attributes)
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"id": attributes["id"], "type": "dora_deployment"}})
}
