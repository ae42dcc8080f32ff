package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
	"github.com/org/idp/internal/service"
	portalsfake "github.com/org/idp/internal/testkit/portals"
)

const digest = "sha256:9d0c00000000000000000000000000000000000000000000000000000000e1aa"

var began = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// secrets are what no message may show.
var secrets = []string{portalsfake.PortSecret, "port-t0ken", portalsfake.CortexToken, portalsfake.OpsLevelToken, "0b1c-s3cret", portalsfake.DatadogKey, portalsfake.DatadogApp}

// delivered is a record whose deploy came to the outcome; with none it has no deploy.
func delivered(t *testing.T, outcome record.Outcome) *record.Record {
	t.Helper()
	rec := record.New(record.Service{Name: "check-out", Owner: "team-payments"}, record.Source{Repository: "acme/checkout", Commit: strings.Repeat("4f", 20)},
		record.Run{ID: "100", Attempt: 1, Actor: "ann"}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/checkout", Digest: digest})
	if outcome == "" {
		return rec
	}
	s := record.Stage{Name: record.StageDeploy, Outcome: outcome, StartedAt: began, DurationMS: 1500}
	if outcome == record.Passed {
		data, err := json.Marshal(record.Deploy{Release: "r1", Digest: digest, Changed: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Evidence = data
	}
	rec.Put(s)
	return rec
}

// inputs has credentials for every portal.
func inputs(t *testing.T, srv *portalsfake.Server, rec *record.Record) Inputs {
	t.Helper()
	svc := &service.Service{Name: "check-out", Owner: "team-payments", Tier: 1, Runbook: "https://wiki.example.com/checkout", System: "shop"}
	return Inputs{PortID: portalsfake.PortID, PortSecret: portalsfake.PortSecret, PortURL: srv.URL, CortexToken: portalsfake.CortexToken, CortexURL: srv.URL + "/",
		OpsLevelToken: portalsfake.OpsLevelToken, OpsLevelURL: srv.URL, OpsLevelDeploys: srv.URL + portalsfake.OpsLevelHook,
		DatadogKey: portalsfake.DatadogKey, DatadogApp: portalsfake.DatadogApp, DatadogURL: srv.URL,
		Record: rec, Entry: projection.Of(svc, "https://github.com/acme/checkout.git", ""), Folder: filepath.Join(t.TempDir(), "portals")}
}

// pauses is a Sleep that does not wait.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

func (p *pauses) sleep(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, d)
	return ctx.Err()
}

func deps(p *pauses) Deps { return Deps{send.Client{Sleep: p.sleep}} }

func run(t *testing.T, in Inputs) (Outputs, error) {
	t.Helper()
	out, err := Run(t.Context(), in, deps(&pauses{}))
	text := fmt.Sprint(out)
	if err != nil {
		text += strings.Join(fault.Lines(err), "\n")
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	return out, err
}

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func all(service, deploy bool) []record.Told {
	var list []record.Told
	for _, p := range projection.Portals {
		list = append(list, record.Told{Portal: p, Service: service, Deploy: deploy})
	}
	return list
}

func TestEveryPortalIsTold(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	in := inputs(t, srv, delivered(t, record.Passed))
	for range 3 { // the second and third change nothing
		out, err := run(t, in)
		if err != nil {
			t.Fatal(fault.Lines(err))
		}
		if diff := cmp.Diff(record.Notify{Files: in.Folder, Told: all(true, true)}, out.Evidence); diff != "" {
			t.Error(diff)
		}
		if want := "Port, Cortex, OpsLevel, Datadog told: deployed in staging · 4 files → portals"; out.Summary != want {
			t.Error(out.Summary)
		}
	}
	id := in.Record.ID + "-deployed"
	for _, portal := range []string{projection.Cortex, projection.OpsLevel, projection.Datadog} {
		if list := srv.Deploys(portal); len(list) != 1 {
			t.Errorf("%s has %d deploys", portal, len(list))
		}
	}
	deployment := srv.Entity("port", id)
	if deployment == nil || deployment["relations"].(map[string]any)["service"] != "check-out" || srv.Entity("port", "check-out") == nil {
		t.Errorf("Port has %v", deployment)
	}
	if e := srv.Entity("cortex", "check-out"); e == nil || srv.Entity("datadog", "check-out") == nil {
		t.Errorf("%v", e)
	}
	made := srv.Entity("opslevel", "check_out")
	if made == nil || !slices.Contains(made["aliases"].([]any), any("check-out")) {
		t.Errorf("OpsLevel has %v", made)
	}
	for _, file := range []string{"port.yml", "cortex.yaml", "opslevel.yml", "entity.datadog.yaml"} {
		if data, err := os.ReadFile(filepath.Join(in.Folder, file)); err != nil || !strings.Contains(string(data), "check-out") {
			t.Errorf("%s: %v\n%s", file, err, data)
		}
	}
}

func TestWhatPeopleWroteStays(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	srv.Put("port", "check-out", map[string]any{"properties": map[string]any{"slack": "#pay", "tier": 4}})
	srv.Put("cortex", "check-out", map[string]any{"x-cortex-oncall": "pager", "title": "old"})
	srv.Put("opslevel", "check-out", map[string]any{"id": "gid-7", "aliases": []any{"check-out", "pay"}, "language": "go", "name": "old"})
	if _, err := run(t, inputs(t, srv, delivered(t, record.Passed))); err != nil {
		t.Fatal(err)
	}
	port, cortex, opslevel := srv.Entity("port", "check-out")["properties"].(map[string]any), srv.Entity("cortex", "check-out"), srv.Entity("opslevel", "check-out")
	if port["slack"] != "#pay" || port["tier"] != 1.0 || cortex["x-cortex-oncall"] != "pager" || cortex["title"] != "check-out" ||
		opslevel["language"] != "go" || opslevel["name"] != "check-out" || len(opslevel["aliases"].([]any)) != 2 {
		t.Errorf("%v\n%v\n%v", port, cortex, opslevel)
	}
}

func TestNothingToTell(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]record.Outcome{"no deploy": "", "failed": record.Failed, "skipped": record.Skipped} {
		srv := portalsfake.New(t)
		out, err := run(t, inputs(t, srv, delivered(t, outcome)))
		if err != nil || !cmp.Equal(out.Evidence.Told, all(true, false)) || !strings.Contains(out.Summary, "no deploy to tell of") {
			t.Errorf("%s: %+v %v", name, out, err)
		}
		if len(srv.Deploys("cortex"))+len(srv.Deploys("opslevel"))+len(srv.Deploys("datadog")) > 0 {
			t.Errorf("%s: a deploy was told of", name)
		}
	}
	srv := portalsfake.New(t)
	in := Inputs{Record: delivered(t, record.Passed), Entry: inputs(t, srv, nil).Entry, Folder: filepath.Join(t.TempDir(), "portals")}
	out, err := run(t, in)
	if err != nil || out.Evidence.Told != nil || out.Summary != "4 files → portals · no credentials, so nobody was told" || len(srv.Requests()) > 0 {
		t.Errorf("%+v %v", out, err)
	}
}

// Who is told of a service whose owner is a person, and that some portals cannot be.
func TestPersonIsOwner(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	in := inputs(t, srv, delivered(t, record.Passed))
	in.Entry.Owner, in.Entry.Person = "", "jane"
	in.Names = []string{"person.jane = jane@example.com"}
	out, err := run(t, in)
	if want := "owner jane is a person, which is not said to port, opslevel: docs/portals.md"; err != nil || !cmp.Equal(out.Evidence.Told, all(true, true)) || !strings.Contains(out.Summary, want) {
		t.Errorf("%+v %v", out, err)
	}
}

func TestARecordThatDoesNotSayWhatHappenedIsNotDetermined(t *testing.T) {
	t.Parallel()
	rec := delivered(t, record.Passed)
	s, _ := rec.Stage(record.StageDeploy)
	s.Evidence = json.RawMessage(`[1]`)
	rec.Put(s)
	out, err := run(t, inputs(t, portalsfake.New(t), rec))
	if err == nil || fault.KindOf(err) != fault.Undetermined || !cmp.Equal(out.Evidence.Told, all(true, false)) {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := Run(t.Context(), Inputs{}, Deps{}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}

// where are the two things that each portal is told, in order.
var where = map[string][2]string{
	projection.Port:     {"POST /v1/blueprints/service/entities", "POST /v1/blueprints/deployment/entities"},
	projection.Cortex:   {"PATCH /api/v1/open-api", "POST /api/v1/catalog/check-out/deploys"},
	projection.OpsLevel: {"POST /graphql", "POST " + portalsfake.OpsLevelHook},
	projection.Datadog:  {"POST /api/v2/catalog/entity", "POST /api/v2/dora/deployment"},
}

// Each portal, each of the two requests, each way to break: never a success, the others are told all the same, and the next
// run tells the rest once.
func TestAPortalThatDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]struct {
		answer http.HandlerFunc
		times  int
		want   string
	}{
		"token refused":   {status(401, `{"message":"no such key"}`), 1, "it answered 401 Unauthorized: {\"message\":\"no such key\"}"},
		"forbidden":       {status(403, "<html>no"), 1, "it answered 403 Forbidden"},
		"not of its form": {status(400, `{"errors":["tier"]}`), 1, `{"errors":["tier"]}`},
		"always down":     {status(503, ""), -1, "it answered 503 Service Unavailable, 5 times"},
		"always busy":     {status(429, "", "Retry-After", "1"), -1, "it answered 429 Too Many Requests, 5 times"},
		"busy for long":   {status(429, "", "Retry-After", "3600"), 1, "asks to wait 1h0m0s"},
		"hangs up":        {hangUp, -1, "5 times"},
		"a proxy's page":  {status(200, "<html>Log in</html>"), 1, "not of the form"},
		"empty":           {status(200, ""), 1, "not of the form"},
		"another page":    {status(302, "", "Location", "/login"), 1, "redirected"},
		"echoes secrets":  {status(400, strings.Join(slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return s == "port-t0ken" }), " ")), 1, "***"},
	} {
		for _, portal := range projection.Portals {
			for i, at := range where[portal] {
				t.Run(name+"/"+portal+[]string{"/service", "/deploy"}[i], func(t *testing.T) {
					t.Parallel()
					srv := portalsfake.New(t)
					srv.Break(at, broken.times, broken.answer)
					in := inputs(t, srv, delivered(t, record.Passed))
					out, err := run(t, in)
					if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), broken.want) {
						t.Fatalf("%+v\n%v", out, fault.Lines(err))
					}
					want := all(true, true)
					for j := range want {
						if want[j].Portal == portal {
							want[j].Service, want[j].Deploy = i == 1, false
						}
					}
					if diff := cmp.Diff(want, out.Evidence.Told); diff != "" {
						t.Error(diff)
					}
					if broken.times < 0 {
						return
					}
					if out, err := run(t, in); err != nil || !cmp.Equal(out.Evidence.Told, all(true, true)) {
						t.Errorf("again: %+v %v", out, err)
					}
					once(t, srv)
				})
			}
		}
	}
}

func once(t *testing.T, srv *portalsfake.Server) {
	t.Helper()
	for _, portal := range []string{projection.Cortex, projection.OpsLevel, projection.Datadog} {
		if n := len(srv.Deploys(portal)); n != 1 {
			t.Errorf("%s has %d deploys", portal, n)
		}
	}
}

func TestTroubleThatPasses(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{"500": status(500, ""), "429": status(429, "", "Retry-After", "7"), "hangs up": hangUp} {
		srv := portalsfake.New(t)
		for _, at := range where {
			srv.Break(at[0], 2, answer)
			srv.Break(at[1], 2, answer)
		}
		p := &pauses{}
		out, err := Run(t.Context(), inputs(t, srv, delivered(t, record.Passed)), deps(p))
		if err != nil || !cmp.Equal(out.Evidence.Told, all(true, true)) {
			t.Errorf("%s: %+v %v", name, out, err)
		}
		once(t, srv)
		if len(p.list) != 16 || name == "429" && slices.Min(p.list) < 7*time.Second {
			t.Errorf("%s: %v", name, p.list)
		}
	}
}

// A portal that carried it out and could not say so is told once all the same.
func TestAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{"502": status(502, ""), "hangs up": hangUp} {
		srv := portalsfake.New(t)
		for portal, at := range where {
			if portal != projection.OpsLevel {
				srv.Lose(at[0], answer)
			}
			srv.Lose(at[1], answer)
		}
		out, err := run(t, inputs(t, srv, delivered(t, record.Passed)))
		if err != nil || !cmp.Equal(out.Evidence.Told, all(true, true)) {
			t.Errorf("%s: %+v %v", name, out, fault.Lines(err))
		}
		once(t, srv)
	}
}

// OpsLevel would make a second service of the same name; the fake fails the test if asked to.
func TestACreationInOpsLevelWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	in := inputs(t, srv, delivered(t, record.Passed))
	in.PortID, in.PortSecret, in.CortexToken, in.DatadogKey, in.DatadogApp = "", "", "", "", ""
	srv.LoseQuery("serviceCreate", hangUp)
	out, err := run(t, in)
	if want := []record.Told{{Portal: projection.OpsLevel, Service: true, Deploy: true}}; err != nil || !cmp.Equal(out.Evidence.Told, want) {
		t.Errorf("%+v %v", out, err)
	}
	if made := srv.Entity("opslevel", "check_out"); made == nil || !slices.Contains(made["aliases"].([]any), any("check-out")) {
		t.Errorf("%v", made)
	}
}

func TestRefusalsThatAreAnsweredBy200(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ at, answer, want string }{
		"Cortex":            {"PATCH /api/v1/open-api", `{"ok":false,"violations":[{"title":"Owner","description":"no such group"}]}`, "Owner no such group"},
		"Port":              {"POST /v1/blueprints/service/entities", `{"ok":false}`, "not of the form"},
		"Port's token":      {"POST /v1/auth/access_token", `{"ok":true}`, "not of the form"},
		"OpsLevel":          {"POST /graphql", `{"data":null,"errors":[{"message":"Tier does not exist"}]}`, "Tier does not exist"},
		"OpsLevel, no data": {"POST /graphql", `{}`, "not of the form"},
		"Datadog":           {"POST /api/v2/catalog/entity", `{"data":[]}`, "not of the form"},
		"Datadog's deploy":  {"POST /api/v2/dora/deployment", `{}`, "not of the form"},
		"Cortex' list":      {"GET /api/v1/catalog/check-out/deploys", `{}`, "not of the form"},
	} {
		srv := portalsfake.New(t)
		srv.Break(test.at, 1, status(200, test.answer))
		out, err := run(t, inputs(t, srv, delivered(t, record.Passed)))
		if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), test.want) {
			t.Errorf("%s: %+v %v", name, out, fault.Lines(err))
		}
	}
	srv := portalsfake.New(t)
	srv.RefuseQuery("serviceCreate", "Lifecycle does not exist")
	if _, err := run(t, inputs(t, srv, delivered(t, record.Passed))); err == nil || !strings.Contains(strings.Join(fault.Lines(err), "\n"), "Lifecycle does not exist") {
		t.Errorf("%v", err)
	}
}

func TestInputsThatAreNotWhole(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	for name, test := range map[string]struct {
		change func(*Inputs)
		want   string
	}{
		"no secret":         {func(in *Inputs) { in.PortSecret = "" }, "port-client-id and port-client-secret"},
		"no id":             {func(in *Inputs) { in.PortID = "" }, "port-client-id and port-client-secret"},
		"no app key":        {func(in *Inputs) { in.DatadogApp = "" }, "datadog-api-key and datadog-app-key"},
		"in the clear":      {func(in *Inputs) { in.CortexURL = "http://api.getcortexapp.com" }, "input cortex-url"},
		"no address":        {func(in *Inputs) { in.OpsLevelURL = "app.opslevel.com" }, "input opslevel-url"},
		"hook in the clear": {func(in *Inputs) { in.OpsLevelDeploys = "http://app.opslevel.com/0b1c-s3cret" }, "input opslevel-deploys"},
		"name":              {func(in *Inputs) { in.Names = []string{"port.sevice = x"} }, `did you mean "port.service"`},
	} {
		in := inputs(t, srv, delivered(t, record.Passed))
		test.change(&in)
		_, err := run(t, in)
		if err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(strings.Join(fault.Lines(err), "\n"), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(srv.Requests()) > 0 {
		t.Errorf("something was sent: %s", srv.Requests())
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	in := inputs(t, srv, delivered(t, record.Passed))
	if err := os.WriteFile(in.Folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, in); err == nil || fault.KindOf(err) != fault.Undetermined || out.Evidence.Files != "" || len(srv.Requests()) > 0 {
		t.Errorf("%+v %v", out, err)
	}
}

func TestCancelledWhileAPortalHangs(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Break("PATCH /api/v1/open-api", -1, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	out, err := Run(ctx, inputs(t, srv, delivered(t, record.Passed)), deps(&pauses{}))
	if !errors.Is(err, context.Canceled) || out.Evidence.Told[1] != (record.Told{Portal: projection.Cortex}) {
		t.Errorf("%+v %v", out, err)
	}
}

func TestMappedBlueprints(t *testing.T) {
	t.Parallel()
	srv := portalsfake.New(t)
	in := inputs(t, srv, delivered(t, record.Passed))
	in.Names = []string{"port.service = microservice", "port.service.tier = criticality", "port.deployment ="}
	if _, err := run(t, in); err != nil {
		t.Fatal(err)
	}
	if e := srv.Entity("port", "check-out"); e["blueprint"] != "microservice" || e["properties"].(map[string]any)["criticality"] != 1.0 {
		t.Errorf("%v", e)
	}
	if srv.Entity("port", in.Record.ID+"-deployed") != nil {
		t.Error("a deployment was told of")
	}
}
