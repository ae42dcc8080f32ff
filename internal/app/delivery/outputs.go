package delivery

import (
	"fmt"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/record"
)

// What later steps of a job get. Each output has its value in outputs, under the same name.
var (
	commonOutputs = []action.Output{
		{Name: "outcome", Usage: "passed, failed or error: of the whole record so far."},
		{Name: "record", Usage: "File of the delivery record."},
	}
	BuildOutputs  = []action.Output{{Name: "digest", Usage: "Digest of the image, as sha256:HEX."}}
	SignOutputs   = []action.Output{{Name: "image", Usage: "The image by digest, as REGISTRY/REPOSITORY@sha256:HEX."}}
	DeployOutputs = []action.Output{{Name: "url", Usage: "Where the service answers."}}
	ResumeOutputs = []action.Output{
		{Name: "waits", Usage: "true when something is to be deployed now; else empty."},
		{Name: "commit", Usage: "Commit to check out."},
		{Name: "image", Usage: "The image by digest, as REGISTRY/REPOSITORY@sha256:HEX, for deploy."},
		{Name: "environment", Usage: "Environment to deploy to."},
		{Name: "service", Usage: "Name of the service."},
	}
	CostOutputs   = []action.Output{{Name: "cost", Usage: "The highest estimate of a month, with its currency."}}
	PortalOutputs = []action.Output{
		{Name: "path", Usage: "Folder of the site, as input out names it."},
		{Name: "services", Usage: "How many services it shows."},
	}
	PathOutputs = []action.Output{BuildOutputs[0], SignOutputs[0], DeployOutputs[0], CostOutputs[0]}
)

// Outputs gives each output its value; empty while it is not known.
var Outputs = map[string]func(*Delivery) string{
	"outcome": func(d *Delivery) string { return string(d.Record.Outcome) },
	"record":  func(d *Delivery) string { return d.RecordPath },
	"digest":  func(d *Delivery) string { return d.Record.Artifact.Digest },
	"image": func(d *Delivery) string {
		if e := resumed(d); e.Image != "" {
			return e.Image
		}
		return d.Record.Artifact.Reference()
	},
	"waits": func(d *Delivery) string {
		if resumed(d).Commit != "" {
			return "true"
		}
		return ""
	},
	"commit":      func(d *Delivery) string { return resumed(d).Commit },
	"environment": func(d *Delivery) string { return resumed(d).Environment },
	"service":     func(d *Delivery) string { return resumed(d).Service },
	"url": func(d *Delivery) string {
		e, _ := record.EvidenceOf[record.Deploy](d.Record, record.StageDeploy)
		return e.URL
	},
	"cost": func(d *Delivery) string {
		e, err := record.EvidenceOf[record.Cost](d.Record, record.StageCost)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%.2f %s", e.Max, e.Currency)
	},
}

func resumed(d *Delivery) record.Resume {
	e, _ := record.EvidenceOf[record.Resume](d.Record, record.StageResume) // empty where it found nothing
	return e
}
