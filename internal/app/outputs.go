package app

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
	buildOutputs  = []action.Output{{Name: "digest", Usage: "Digest of the image, as sha256:HEX."}}
	signOutputs   = []action.Output{{Name: "image", Usage: "The image by digest, as REGISTRY/REPOSITORY@sha256:HEX."}}
	deployOutputs = []action.Output{{Name: "url", Usage: "Where the service answers."}}
	resumeOutputs = []action.Output{
		{Name: "waits", Usage: "true when something is to be deployed now; else empty."},
		{Name: "commit", Usage: "Commit to check out."},
		{Name: "image", Usage: "The image by digest, as REGISTRY/REPOSITORY@sha256:HEX, for deploy."},
		{Name: "environment", Usage: "Environment to deploy to."},
		{Name: "service", Usage: "Name of the service."},
	}
	costOutputs   = []action.Output{{Name: "cost", Usage: "The highest estimate of a month, with its currency."}}
	portalOutputs = []action.Output{
		{Name: "path", Usage: "Folder of the site, as input out names it."},
		{Name: "services", Usage: "How many services it shows."},
	}
	pathOutputs = []action.Output{buildOutputs[0], signOutputs[0], deployOutputs[0], costOutputs[0]}
)

// outputs gives each output its value; empty while it is not known.
var outputs = map[string]func(*delivery) string{
	"outcome": func(d *delivery) string { return string(d.rec.Outcome) },
	"record":  func(d *delivery) string { return d.recordPath },
	"digest":  func(d *delivery) string { return d.rec.Artifact.Digest },
	"image": func(d *delivery) string {
		if e := resumed(d); e.Image != "" {
			return e.Image
		}
		return d.rec.Artifact.Reference()
	},
	"waits": func(d *delivery) string {
		if resumed(d).Commit != "" {
			return "true"
		}
		return ""
	},
	"commit":      func(d *delivery) string { return resumed(d).Commit },
	"environment": func(d *delivery) string { return resumed(d).Environment },
	"service":     func(d *delivery) string { return resumed(d).Service },
	"url": func(d *delivery) string {
		e, _ := record.EvidenceOf[record.Deploy](d.rec, record.StageDeploy)
		return e.URL
	},
	"cost": func(d *delivery) string {
		e, err := record.EvidenceOf[record.Cost](d.rec, record.StageCost)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%.2f %s", e.Max, e.Currency)
	},
}

func resumed(d *delivery) record.Resume {
	e, _ := record.EvidenceOf[record.Resume](d.rec, record.StageResume) // empty where it found nothing
	return e
}
