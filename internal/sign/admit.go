package sign

import (
	"fmt"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// admit decides whether the record may be signed: an image was built, and no scan of it failed or is missing. Signing is
// what makes evidence outlive the run, so it takes nobody's word that an earlier stage stopped the path.
func admit(r *record.Record) (record.Build, error) {
	s, ok := r.Stage(record.StageBuild)
	if !ok {
		return record.Build{}, fault.BadInputf("the delivery record has no build").WithNext("Build first, with the same --record: idp build")
	}
	if s.Outcome != record.Passed {
		return record.Build{}, fault.Failedf("build is %s, so there is nothing to sign", s.Outcome).WithDetail(s.Reason)
	}
	build, err := record.EvidenceOf[record.Build](r, record.StageBuild)
	if err != nil {
		return build, err
	}
	var refused []string
	for _, stage := range []string{record.StageSAST, record.StageSecrets} {
		if why := objection(r, stage, build.Platform); why != "" {
			refused = append(refused, stage+": "+why)
		}
	}
	if len(refused) > 0 {
		return build, fault.Failedf("the scans do not allow it: nothing was pushed or signed").WithDetail(refused...)
	}
	return build, nil
}

// objection is empty for a scan that may be signed. Only sast may be skipped, for a service that it has no scanner for; the
// policy still decides at verify whether that is enough.
func objection(r *record.Record, stage, platform string) string {
	s, ok := r.Stage(stage)
	if !ok {
		return "not in the delivery record"
	}
	if s.Outcome == record.Skipped && stage == record.StageSAST {
		return ""
	}
	if s.Outcome != record.Passed {
		return fmt.Sprintf("%s: %s", s.Outcome, s.Reason)
	}
	scan, err := record.EvidenceOf[record.Scan](r, stage)
	if err != nil {
		return err.Error()
	}
	if scan.Commit != r.Source.Commit {
		return fmt.Sprintf("it looked at commit %.12s, the image is of %.12s", scan.Commit, r.Source.Commit)
	}
	if stage == record.StageSAST && scan.Platform != platform {
		return fmt.Sprintf("it looked at the code for platform %q, the image is for %s", scan.Platform, platform)
	}
	return ""
}
