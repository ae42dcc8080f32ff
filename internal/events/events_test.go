package events

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cdevents/sdk-go/pkg/api"
	v05 "github.com/cdevents/sdk-go/pkg/api/v05"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/package-url/packageurl-go"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

const (
	digestA = "sha256:9d0c00000000000000000000000000000000000000000000000000000000e1aa"
	digestB = "sha256:77aa00000000000000000000000000000000000000000000000000000000e1bb"
)

var started = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// delivered is a record whose deploy came to the given outcome and evidence.
func delivered(t *testing.T, outcome record.Outcome, evidence any) *record.Record {
	t.Helper()
	rec := record.New(record.Service{Name: "checkout", Owner: "team-payments", Tier: 1},
		record.Source{Repository: "acme/checkout", Commit: strings.Repeat("4f", 20)}, record.Run{ID: "100", Attempt: 1}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/Checkout", Digest: digestA})
	stage := record.Stage{Name: record.StageDeploy, Outcome: outcome, StartedAt: started, DurationMS: 1500}
	if evidence != nil {
		data, err := json.Marshal(evidence)
		if err != nil {
			t.Fatal(err)
		}
		stage.Evidence = data
	}
	rec.Put(stage)
	return rec
}

func first() record.Deploy { return record.Deploy{Release: "r1", Digest: digestA, Changed: true} }

func inputs(t *testing.T, rec *record.Record) Inputs {
	t.Helper()
	return Inputs{Record: rec, File: filepath.Join(t.TempDir(), "out", "events.json")}
}

// sdk is held while an event of the CDEvents SDK is in use: v0.5.0 decodes all events of a type into one shared value.
var sdk sync.Mutex

// readEvent reads the file as its receivers would, with the SDKs of CloudEvents and CDEvents, and validates both. The event
// is the test's own until its end.
func readEvent(t *testing.T, data []byte) (cloudevents.Event, api.CDEventV04) {
	t.Helper()
	sdk.Lock()
	t.Cleanup(sdk.Unlock)
	var ce cloudevents.Event
	if err := json.Unmarshal(data, &ce); err != nil {
		t.Fatal(err)
	}
	if err := ce.Validate(); err != nil {
		t.Error(err)
	}
	event, err := v05.NewFromJsonBytes(ce.Data())
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Validate(event); err != nil {
		t.Errorf("the CDEvents SDK refuses it: %v", err)
	}
	_, schema, err := event.GetSchema()
	if err != nil {
		t.Fatal(err)
	}
	// The raw text, not what the SDK's types keep of it: the schema allows no keys that it does not name.
	var raw any
	if err := json.Unmarshal(ce.Data(), &raw); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(raw); err != nil {
		t.Errorf("the CDEvents schema refuses it: %v", err)
	}
	return ce, event
}

func TestEventsOfDeliveries(t *testing.T) {
	t.Parallel()
	replaced := first()
	replaced.Replaced = &record.Deployment{Digest: digestB}
	restored := first()
	restored.Restored = &record.Deployment{Digest: digestB}
	withPrevious := delivered(t, record.Passed, first())
	withPrevious.Previous = &record.Deployment{Digest: digestB}
	for name, test := range map[string]struct {
		rec          *record.Record
		kind, digest string
	}{
		"first":                     {delivered(t, record.Passed, first()), "deployed", digestA},
		"over another":              {delivered(t, record.Passed, replaced), "upgraded", digestA},
		"over the record's":         {withPrevious, "upgraded", digestA},
		"put back after smoke":      {delivered(t, record.Passed, restored), "rolledback", digestB},
		"put back by deploy":        {delivered(t, record.Failed, restored), "rolledback", digestB},
		"put back, reason unknown":  {delivered(t, record.Error, restored), "rolledback", digestB},
		"put back, nothing changed": {delivered(t, record.Failed, record.Deploy{Restored: restored.Restored}), "rolledback", digestB},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, test.rec)
			out, err := Run(t.Context(), in, Deps{})
			if err != nil {
				t.Fatal(err)
			}
			typ := "dev.cdevents.service." + test.kind + ".0.3.0"
			if out.Evidence != (record.Events{File: in.File, Type: typ}) || out.Summary != test.kind+" event → events.json" {
				t.Errorf("%+v", out)
			}
			data, err := os.ReadFile(in.File)
			if err != nil {
				t.Fatal(err)
			}
			ce, event := readEvent(t, data)
			if ce.Type() != typ || event.GetType().String() != typ || ce.ID() != event.GetId() || ce.Source() != event.GetSource() ||
				ce.Subject() != "checkout" || event.GetSubjectId() != "checkout" || ce.Source() != "/acme/checkout" {
				t.Errorf("%s\n%+v", ce, event)
			}
			if want := started.Add(1500 * time.Millisecond); !event.GetTimestamp().Equal(want) || !ce.Time().Equal(want) {
				t.Errorf("time %s, %s", event.GetTimestamp(), ce.Time())
			}
			artifact, environment := content(t, event)
			purl, err := packageurl.FromString(artifact)
			if err != nil || purl.Version != test.digest || environment != "staging" ||
				purl.Qualifiers.Map()["repository_url"] != "ghcr.io/acme/Checkout" ||
				!strings.HasPrefix(artifact, "pkg:oci/checkout@sha256%3A") {
				t.Errorf("%s %v", artifact, err)
			}
			again, err := Run(t.Context(), inputs(t, test.rec), Deps{})
			if err != nil {
				t.Fatal(err)
			}
			if second, err := os.ReadFile(again.Evidence.File); err != nil || string(second) != string(data) {
				t.Errorf("the same record gave another event: %v\n%s", err, second)
			}
		})
	}
}

func content(t *testing.T, event api.CDEventV04) (artifact, environment string) {
	t.Helper()
	switch e := event.(type) {
	case *v05.ServiceDeployedEvent:
		return e.Subject.Content.ArtifactId, e.Subject.Content.Environment.Id
	case *v05.ServiceUpgradedEvent:
		return e.Subject.Content.ArtifactId, e.Subject.Content.Environment.Id
	case *v05.ServiceRolledbackEvent:
		return e.Subject.Content.ArtifactId, e.Subject.Content.Environment.Id
	}
	t.Fatalf("an event of type %T", event)
	return "", ""
}

func TestAVersionThatWasLiveAlreadyIsNoEvent(t *testing.T) {
	t.Parallel()
	unchanged := first()
	unchanged.Changed = false
	in := inputs(t, delivered(t, record.Passed, unchanged))
	in.URL = "http://127.0.0.1:1/never"
	out, err := Run(t.Context(), in, Deps{})
	if err != nil || out.Evidence != (record.Events{}) || !strings.Contains(out.Summary, "live already") {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := os.Stat(in.File); !os.IsNotExist(err) {
		t.Errorf("an event was written: %v", err)
	}
}

func TestNothingToTell(t *testing.T) {
	t.Parallel()
	plan := delivered(t, record.Passed, first())
	plan.Plan = true
	none := record.New(plan.Service, plan.Source, plan.Run, "staging")
	gone, nameless := first(), first()
	gone.Release, nameless.Digest = "", ""
	for name, test := range map[string]struct {
		rec  *record.Record
		kind fault.Kind
		want string
	}{
		"plan":             {plan, fault.Skipped, "a plan deploys nothing"},
		"no deploy":        {none, fault.Skipped, "no deploy stage"},
		"deploy failed":    {delivered(t, record.Failed, nil), fault.Skipped, "deploy is failed"},
		"deploy failed, 2": {delivered(t, record.Failed, first()), fault.Skipped, "deploy is failed"},
		"deploy unknown":   {delivered(t, record.Error, nil), fault.Skipped, "deploy is error"},
		"deploy skipped":   {delivered(t, record.Skipped, nil), fault.Skipped, "deploy is skipped"},
		"taken away":       {delivered(t, record.Passed, gone), fault.Skipped, "nothing is live"},
		"no evidence":      {delivered(t, record.Passed, nil), fault.Undetermined, "does not say what was deployed"},
		"other evidence":   {delivered(t, record.Passed, []int{1}), fault.Undetermined, "does not say what was deployed"},
		"no digest":        {delivered(t, record.Passed, nameless), fault.Undetermined, "which digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, test.rec)
			in.URL = "http://127.0.0.1:1/never-asked"
			_, err := Run(t.Context(), in, Deps{})
			if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(in.File); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file was written: %v", err)
			}
		})
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	in := inputs(t, delivered(t, record.Passed, first()))
	if err := os.WriteFile(filepath.Dir(in.File), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), in, Deps{})
	if err == nil || fault.KindOf(err) != fault.Undetermined || out.Evidence.File != "" {
		t.Errorf("%v %+v", err, out)
	}
}
