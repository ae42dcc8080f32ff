package attest

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

var commitForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// ReadProvenance reads a predicate. Parameters mean what the build type says, so those of one that is not known stay empty. What
// GitHub's attest-build-provenance says of the source in its own words is said in ours, too:
// https://actions.github.io/buildtypes/workflow/v1. What it does not say in that form stays empty.
func ReadProvenance(predicate []byte) (Provenance, error) {
	var common struct {
		BuildDefinition struct {
			BuildType                              string
			ExternalParameters, InternalParameters json.RawMessage
			ResolvedDependencies                   []Resource
		}
		RunDetails RunDetails
	}
	if err := json.Unmarshal(predicate, &common); err != nil {
		return Provenance{}, err
	}
	d := common.BuildDefinition
	p := Provenance{BuildDefinition: BuildDefinition{BuildType: d.BuildType, ResolvedDependencies: d.ResolvedDependencies}, RunDetails: common.RunDetails}
	if HowBuilt(d.BuildType) == "" {
		return p, nil
	}
	external := &p.BuildDefinition.ExternalParameters
	for _, part := range []struct {
		data json.RawMessage
		into any
	}{{d.ExternalParameters, external}, {d.InternalParameters, &p.BuildDefinition.InternalParameters}} {
		if len(part.data) == 0 {
			continue
		}
		if err := json.Unmarshal(part.data, part.into); err != nil {
			return p, err
		}
	}
	if d.BuildType == BuildTypeGitHub {
		external.Source = Source{} // the type has no such parameter
		if w := external.Workflow; w != nil {
			external.Source = sourceOf(*w, d.ResolvedDependencies)
		}
	}
	return p, nil
}

// sourceOf is the repository of the workflow at the commit that the dependency of this name has.
func sourceOf(w Workflow, dependencies []Resource) Source {
	u, err := url.Parse(w.Repository)
	if err != nil || u.Scheme != "https" || u.Host == "" || w.Ref == "" {
		return Source{}
	}
	for _, d := range dependencies {
		if d.URI == "git+"+w.Repository+"@"+w.Ref && commitForm.MatchString(d.Digest["gitCommit"]) {
			return Source{Repository: strings.TrimPrefix(u.Path, "/"), Commit: d.Digest["gitCommit"], Ref: w.Ref}
		}
	}
	return Source{}
}
