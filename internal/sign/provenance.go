package sign

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/record"
)

// builderID is who vouches for the provenance. It claims no more than that this program made it: with a key, whoever holds
// the key is the builder.
const builderID = "https://github.com/org/idp"

func provenanceOf(in Inputs, build record.Build) (attest.Provenance, error) {
	r := in.Record
	stage, _ := r.Stage(record.StageBuild)
	started, finished, err := times(stage)
	if err != nil {
		return attest.Provenance{}, err
	}
	dependencies := append([]attest.Resource{source(in, build)}, workflowSource(in)...)
	external := attest.ExternalParameters{Source: attest.Source{Repository: r.Source.Repository,
		Commit: r.Source.Commit, Ref: r.Source.Ref, Path: r.Source.Path}, Workflow: workflow(r.Run)}
	buildType := attest.BuildType
	switch build.Type {
	case record.BuiltByDockerfile:
		buildType, external.Dockerfile = attest.BuildTypeDockerfile, build.Origin
	case record.BuiltElsewhere:
		buildType, external.Image = attest.BuildTypeElsewhere, taken(build)
	}
	return attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType:          buildType,
			ExternalParameters: external,
			InternalParameters: attest.InternalParameters{Service: r.Service.Name, Platform: build.Platform, Go: build.Go,
				Parameters: build.Parameters, GitHub: github(r.Run)},
			ResolvedDependencies: append(dependencies, modules(build.Materials)...),
		},
		RunDetails: attest.RunDetails{
			Builder:  attest.Builder{ID: cmp.Or(in.Builder, builderID), Version: versions(in, build)},
			Metadata: attest.BuildMetadata{InvocationID: invocation(r), StartedOn: started, FinishedOn: finished},
		},
	}, nil
}

// taken is the image from elsewhere: where from, and which.
func taken(build record.Build) *attest.Resource {
	res := &attest.Resource{Name: build.Origin, Digest: map[string]string{"sha256": strings.TrimPrefix(build.Digest, "sha256:")}}
	if strings.Contains(build.Origin, "@") {
		res.Name, res.URI = "", build.Origin
	}
	return res
}

func source(in Inputs, build record.Build) attest.Resource {
	s := in.Record.Source
	res := attest.Resource{Name: s.Repository, Digest: map[string]string{"gitCommit": s.Commit}, Annotations: dependsOn(build.Needs)}
	if in.RepositoryURL != "" {
		res.URI = "git+" + in.RepositoryURL
		if s.Ref != "" {
			res.URI += "@" + s.Ref
		}
	}
	return res
}

// workflow takes apart what a runner calls the workflow: OWNER/NAME/PATH@REF. It is nil where that has another form.
func workflow(run record.Run) *attest.Workflow {
	place, ref, ok := strings.Cut(run.Workflow, "@")
	parts := strings.SplitN(place, "/", 3)
	if !ok || len(parts) < 3 {
		return nil
	}
	host, err := url.Parse(run.URL)
	if err != nil {
		return nil
	}
	host.Path, host.RawQuery = "/"+parts[0]+"/"+parts[1], ""
	return &attest.Workflow{Ref: ref, Repository: host.String(), Path: parts[2]}
}

// workflowSource is the commit that the workflow was taken from, where that is another than the source's.
func workflowSource(in Inputs) []attest.Resource {
	run := in.Record.Run
	w := workflow(run)
	if w == nil || run.WorkflowSHA == "" || run.WorkflowSHA == in.Record.Source.Commit {
		return nil
	}
	return []attest.Resource{{Name: "workflow", URI: "git+" + w.Repository + "@" + w.Ref, Digest: map[string]string{"gitCommit": run.WorkflowSHA}}}
}

func github(run record.Run) *attest.GitHub {
	if run.ID == "" {
		return nil
	}
	return &attest.GitHub{EventName: run.Event, RepositoryID: run.RepositoryID, RepositoryOwnerID: run.OwnerID, RunnerEnvironment: run.Runner}
}

func modules(materials []record.Material) []attest.Resource {
	list := make([]attest.Resource, len(materials))
	for i, m := range materials {
		list[i] = attest.Resource{URI: m.URI, Digest: attest.DirHash(m.Sum), Annotations: dependsOn(m.Needs)}
		if hex, ok := strings.CutPrefix(m.Sum, "sha256:"); ok {
			list[i].Digest = map[string]string{"sha256": hex}
		}
	}
	return list
}

// dependsOn are the edges of the module graph, by package URL.
func dependsOn(needs []string) map[string]any {
	if len(needs) == 0 {
		return nil
	}
	return map[string]any{"dependsOn": needs}
}

func versions(in Inputs, build record.Build) map[string]string {
	v := map[string]string{}
	if in.Version != "" {
		v["idp"] = in.Version
	}
	if build.Go != "" {
		v["go"] = build.Go
	}
	return v
}

// invocation tells runs apart: the run on the runner, or the delivery elsewhere.
func invocation(r *record.Record) string {
	if r.Run.URL != "" {
		return r.Run.URL // of the attempt
	}
	return r.ID
}
