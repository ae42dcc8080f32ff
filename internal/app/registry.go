package app

import (
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/app/accounting"
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
	"github.com/org/idp/internal/app/reading"
	"github.com/org/idp/internal/app/scanning"
	"github.com/org/idp/internal/record"
)

// registry has the actions in the order of the path; the root action `uses: org/idp@v1` is the first.
var registry = []delivery.Action{
	// the whole path in one process
	{Name: delivery.PathName, Does: "Walks the golden path: scan, build, sign, verify, deploy, smoke-test, register, account.", Outputs: delivery.PathOutputs, Shows: announce.Deployment | announce.Findings | announce.Verdict, Post: true, New: func() delivery.Work { return newPath() }},
	// what needs nothing but the commit
	{Name: "sast", Does: "Scans the Go module with gosec, and proves that it saw every package.", Bare: true, Shows: announce.Findings, New: delivery.Only[scanning.SAST]},
	{Name: "secrets", Does: "Looks for secrets in the commits of the change and in the working tree, and proves that it read every commit.", Bare: true, Shows: announce.Findings, New: delivery.Only[scanning.Secrets]},
	{Name: "gate", Does: "Holds what other scanners found, as SARIF, to the same gate: baseline, waivers and thresholds.", Bare: true, Shows: announce.Findings, New: delivery.Only[scanning.Gate]},
	{Name: "build", Does: "Builds a reproducible OCI image of a Go service and its SBOM. Nothing is pushed before it is signed.", Outputs: delivery.BuildOutputs, New: delivery.Only[artifacts.Build]},
	{Name: "cost", Does: "Estimates what the service costs a month, and holds it against the budget.", Outputs: delivery.CostOutputs, New: delivery.Only[accounting.Cost]},
	{Name: "plan", Does: "Says what a deploy would change in the cluster, by the API server's own dry run, and changes nothing.", New: delivery.Only[deploying.Plan]},
	// what needs the image
	{Name: "sign", Does: "Pushes the image by digest, signs it, attaches provenance, SBOM and scan results, and then moves the tag.", Outputs: delivery.SignOutputs, New: delivery.Only[artifacts.Sign]},
	{Name: "verify", Does: "Holds the evidence on the exact digest against the policy of the environment.", Outputs: delivery.SignOutputs, Alone: reading.VerifyImage, New: delivery.Only[artifacts.Verify]},
	{Name: "deploy", Does: "Verifies the exact digest, deploys it, waits until it is healthy, and puts the old version back when it is not.", Outputs: delivery.DeployOutputs, Shows: announce.Deployment | announce.Verdict, Post: true, New: delivery.Only[deploying.Deploy]},
	{Name: "rollback", Does: "Makes an earlier release live again, and waits until it is healthy.", Shows: announce.Deployment, New: func() delivery.Work { return &rollbackWork{} }},
	{Name: "resume", Does: "Finds what a comment `/approve ENVIRONMENT` approves, to be checked out and deployed by the steps after it.", Outputs: delivery.ResumeOutputs, Bare: true, Asks: true, New: delivery.Only[deploying.Resume]},
	// what needs the live service
	{Name: "smoke", Does: "Checks that the new version answers and keeps answering well.", New: delivery.Only[deploying.Smoke]},
	{Name: "catalog", Does: "Registers the service and the delivery in the catalogue.", New: delivery.Only[accounting.Catalog]},
	{Name: "events", Does: "Writes the delivery as a CDEvents event, and posts it where a URL is given.", New: delivery.Only[accounting.Events]},
	{Name: "notify", Does: "Tells Port, Cortex, OpsLevel and Datadog of the service and of what was deployed, where credentials are given, and writes the files that they read.", New: delivery.Only[accounting.Notify]},
	// what needs the catalogue
	{Name: "catalog-check", Does: "Checks a catalogue: that what its entities name is there, that nothing is there twice or out of date, and that every service has a runbook.", Reads: func() delivery.Reading { return &reading.CatalogCheck{} }},
	{Name: "portal", Does: "Writes what a catalogue says as a site of static pages, for GitHub Pages or any other folder.", Outputs: delivery.PortalOutputs, Reads: func() delivery.Reading { return &reading.Portal{} }},
}

// stageOrder is the order of the stages in a record, whichever of them ended first.
func stageOrder() []string {
	var names []string
	for _, a := range registry {
		names = append(names, a.Name)
		if a.Name == record.StageSmoke {
			names = append(names, record.StageAttest) // it has no action of its own
		}
	}
	return append(names, record.StageGitHub)
}
