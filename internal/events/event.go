package events

import (
	"encoding/json"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
)

// specVersion is the version of CDEvents; eventVersion is that of each of its service events there.
const (
	specVersion  = "0.5.0"
	eventVersion = "0.3.0"
)

// cloudEvent is CloudEvents 1.0 in structured mode, filled from the CDEvent as CDEvents' binding says: id, source, type
// and subject are equal in both.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            cdEvent   `json:"data"`
}

type cdEvent struct {
	Context               cdContext `json:"context"`
	Subject               cdSubject `json:"subject"`
	CustomData            custom    `json:"customData"`
	CustomDataContentType string    `json:"customDataContentType"`
}

type cdContext struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Timestamp   time.Time `json:"timestamp"`
}

type cdSubject struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`
	Content cdContent `json:"content"`
}

type cdContent struct {
	Environment cdReference `json:"environment"`
	ArtifactID  string      `json:"artifactId"`
}

type cdReference struct {
	ID string `json:"id"`
}

// custom is what CDEvents has no field for.
type custom struct {
	Delivery string         `json:"delivery"`
	Outcome  record.Outcome `json:"outcome"`
	Service  record.Service `json:"service"`
	Source   record.Source  `json:"source"`
	Run      record.Run     `json:"run"`
}

// happening is what the delivery did to the service.
type happening struct{ projection.Happening }

// event is the same, byte for byte, each time it is made from the same record, so that a receiver recognises a resend.
func (h happening) event() cloudEvent {
	source := (&url.URL{Path: "/" + h.Record.Source.Repository}).String()
	typ := "dev.cdevents.service." + h.Kind + "." + eventVersion
	id := h.ID()
	data := cdEvent{
		Context: cdContext{SpecVersion: specVersion, ID: id, Source: source, Type: typ, Timestamp: h.Time},
		Subject: cdSubject{ID: h.Record.Service.Name, Source: source, Content: cdContent{
			Environment: cdReference{ID: h.Record.Environment}, ArtifactID: h.purl()}},
		CustomData: custom{Delivery: h.Record.ID, Outcome: h.Record.Outcome, Service: h.Record.Service, Source: h.Record.Source,
			Run: h.Record.Run},
		CustomDataContentType: "application/json",
	}
	return cloudEvent{SpecVersion: "1.0", ID: id, Source: source, Type: typ, Subject: h.Record.Service.Name, Time: h.Time,
		DataContentType: "application/json", Data: data}
}

// purl names the image as purl's type oci does: the last part of the repository in lower case, the digest with its colon
// encoded (which the library leaves out), and the whole repository as a qualifier.
func (h happening) purl() string {
	name, qualifiers := h.Record.Service.Name, map[string]string{}
	if image := h.Record.Artifact.Image; image != "" {
		name = path.Base(image)
		qualifiers["repository_url"] = image
	}
	text := packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(name), h.Digest,
		packageurl.QualifiersFromMap(qualifiers), "").ToString()
	return strings.Replace(text, "@sha256:", "@sha256%3A", 1)
}

func encode(e cloudEvent) ([]byte, error) {
	body, err := json.MarshalIndent(e, "", "  ")
	return append(body, '\n'), err
}
