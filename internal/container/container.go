// Package container makes the image of a delivery where it is not compiled here from Go: BuildKit builds a Dockerfile, or an
// image that was built elsewhere is taken as it is. What comes with it stays with it, such as BuildKit's own provenance.
package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

// Inputs of the stage build, beside those for a Go service. One of Image and Dockerfile is given.
type Inputs struct {
	// Image is HOST/REPOSITORY@DIGEST, or the path of an OCI layout or a tar archive.
	Image string
	// Dockerfile is a file in the service's folder, which is the context.
	Dockerfile   string
	BuildArgs    []string // NAME=VALUE
	BuildSecrets []string // names of variables
	// Scanner is the image of BuildKit's SBOM scanner; empty takes BuildKit's own, off does without.
	Scanner string

	// Filled in by the app.

	Platform  string // with commas; for Image empty takes what it is for
	Out       string // folder for the layout and the SBOMs
	LayoutDir string // name of the layout in it
	SPDXFile  string // name of the SBOM in it
	Temp      string // folder for the source while it is built
	Path      string // of the service in the repository, with slashes; empty at its root
	Time      time.Time
}

// Declare declares what users may set, but Image, which other stages have too.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.Dockerfile, action.Input{Name: "dockerfile", Example: "Dockerfile",
		Usage: "Dockerfile in the service's folder, built by docker buildx from the files of the commit, instead of compiling Go. See docs/build.md."})
	s.List(&in.BuildArgs, action.Input{Name: "build-args", Example: "VARIANT=slim",
		Usage: "Build arguments of the Dockerfile, as NAME=VALUE. They can be read in the image, so nothing secret may be in them."})
	s.List(&in.BuildSecrets, action.Input{Name: "build-secrets", Example: "NPM_TOKEN",
		Usage: "Names of environment variables that RUN --mount=type=secret,id=NAME gets. Neither the image nor the provenance has them."})
	s.String(&in.Scanner, action.Input{Name: "sbom-scanner", Example: "ghcr.io/acme/scanner@sha256:…",
		Usage: "Image of the scanner with which BuildKit makes the SBOM of a Dockerfile's image; off makes none. Default: BuildKit's own, docker/buildkit-syft-scanner."})
}

// Given tells whether the image is not to be compiled here.
func (in Inputs) Given() bool {
	return in.Image != "" || in.Dockerfile != "" || len(in.BuildArgs) > 0 || len(in.BuildSecrets) > 0 || in.Scanner != ""
}

// Deps is what the stage needs from outside.
type Deps struct {
	Images interface {
		Save(ctx context.Context, ref, dir string) error
		CopyFile(ctx context.Context, from, dir string) error
	}
	// Environ is the environment as in os.Environ. Only what keeps describes, and the build secrets, reach docker.
	Environ []string
	// Source writes the files of the commit to a folder.
	Source   func(ctx context.Context, dir string) error
	Progress action.Progress
}

// Outputs of the stage.
type Outputs = action.Result[record.Build]

// Run puts the layout and the SBOMs into the output folder, each in one step at the very end.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{}
	if deps.Progress == nil {
		deps.Progress = func(string) {}
	}
	if err := in.Check(deps.Environ); err != nil {
		return out, err
	}
	given := in.Out // in the evidence it stays as it was given
	var err error
	if in.Out, err = filepath.Abs(in.Out); err != nil {
		return out, err
	}
	if err := os.MkdirAll(in.Out, 0o755); err != nil { // #nosec G301 -- reports are for everyone on the runner to read
		return out, notWritable(given, err)
	}
	if err := oci.Replaceable(filepath.Join(in.Out, in.LayoutDir)); err != nil {
		return out, err
	}
	tmp, err := os.MkdirTemp(in.Out, ".build-*")
	if err != nil {
		return out, notWritable(given, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	layout := filepath.Join(tmp, "layout")
	if out.Tool, err = in.obtain(ctx, deps, layout); err != nil {
		return out, err
	}
	found, err := oci.Inspect(layout)
	if err != nil {
		return out, err
	}
	if err := in.forPlatforms(found); err != nil {
		return out, err
	}
	said, err := read(found)
	if err != nil {
		return out, err
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if err := oci.Replace(filepath.Join(in.Out, in.LayoutDir), layout); err != nil {
		return out, notWritable(given, err)
	}
	out.Evidence, err = in.evidence(given, found, said)
	out.Summary = summary(out.Evidence)
	return out, err
}

// obtain makes the layout.
func (in Inputs) obtain(ctx context.Context, deps Deps, layout string) (record.Tool, error) {
	switch {
	case in.Dockerfile != "":
		return in.docker(ctx, deps, layout)
	case in.byDigest():
		deps.Progress("copying " + in.Image)
		return record.Tool{}, deps.Images.Save(ctx, in.Image, layout)
	}
	deps.Progress("copying " + in.Image)
	return record.Tool{}, deps.Images.CopyFile(ctx, in.Image, layout)
}

func (in Inputs) byDigest() bool { return strings.Contains(in.Image, "@sha256:") }

// Check refuses what is wrong before anything is begun.
func (in Inputs) Check(environ []string) error {
	switch forDocker := in.Dockerfile != "" || len(in.BuildArgs) > 0 || len(in.BuildSecrets) > 0 || in.Scanner != ""; {
	case in.Image != "" && forDocker:
		return fault.BadInputf("image is given, and inputs of a Dockerfile's build: either the image is there, or it is built")
	case in.Image != "":
		return in.checkImage()
	case in.Dockerfile == "":
		return fault.BadInputf("build-args, build-secrets and sbom-scanner are for a Dockerfile, and none is given").WithNext("Give it: --dockerfile Dockerfile")
	}
	return in.checkDocker(environ)
}

func (in Inputs) checkImage() error {
	if in.byDigest() {
		return oci.CheckRepository(in.Image[:strings.LastIndex(in.Image, "@")])
	}
	if _, err := os.Stat(in.Image); err != nil {
		return fault.BadInputf("image is neither named by digest, such as ghcr.io/acme/checkout@sha256:…, nor a file or folder that is there").
			WithNext("Find the digest of a tag: docker buildx imagetools inspect IMAGE:TAG, or crane digest IMAGE:TAG")
	}
	return nil
}

// forPlatforms refuses an image for other platforms than those that were asked for.
func (in Inputs) forPlatforms(found oci.Contents) error {
	if in.Platform == "" {
		return nil
	}
	want, have := slices.Sorted(slices.Values(action.Platforms(in.Platform))), slices.Sorted(slices.Values(platforms(found)))
	if !slices.Equal(want, have) {
		return fault.BadInputf("the image is for %s, not for %s", strings.Join(have, ","), strings.Join(want, ",")).
			WithNext("Give what it is for: --platform " + strings.Join(platforms(found), ","))
	}
	return nil
}

func platforms(found oci.Contents) []string {
	var all []string
	for _, i := range found.Images {
		all = append(all, i.Platform)
	}
	return all
}

// evidence writes the SBOMs and says what there is.
func (in Inputs) evidence(out string, found oci.Contents, said map[string]statements) (record.Build, error) {
	b := record.Build{Digest: found.Digest, Platform: strings.Join(platforms(found), ","), Layout: filepath.Join(out, in.LayoutDir),
		Type: record.BuiltElsewhere, Origin: in.Image}
	if in.Dockerfile != "" {
		b.Type, b.Origin, b.Parameters = record.BuiltByDockerfile, in.Dockerfile, in.parameters()
	} else if !in.byDigest() {
		b.Origin = filepath.Base(in.Image) // a path on this machine is nobody's business
	}
	for _, i := range found.Images {
		one := record.Image{Digest: i.Digest, Platform: i.Platform, Size: i.Size, Parameters: b.Parameters}
		if b.Type == record.BuiltByDockerfile { // what others say of their builder's inputs is not for us to repeat
			one.Materials = said[i.Digest].materials
		}
		b.Size += i.Size
		for _, m := range one.Materials {
			if !slices.ContainsFunc(b.Materials, func(o record.Material) bool { return o.URI == m.URI && o.Sum == m.Sum }) {
				b.Materials = append(b.Materials, m)
			}
		}
		if sbom := said[i.Digest].sbom; sbom != nil {
			name := in.SPDXFile
			if len(found.Images) > 1 {
				name = strings.Replace(name, ".", "-"+strings.ReplaceAll(i.Platform, "/", "-")+".", 1)
			}
			if err := record.WriteFile(filepath.Join(in.Out, name), sbom, 0o644); err != nil {
				return b, notWritable(out, err)
			}
			one.SPDX, one.SPDXDigest, one.Components = filepath.Join(out, name), digestOf(sbom), said[i.Digest].components
		}
		if found.Index {
			b.Images = append(b.Images, one)
		}
		if len(found.Images) == 1 { // what is said of the only image is true of the index around it
			b.SPDX, b.SPDXDigest, b.Components = one.SPDX, one.SPDXDigest, one.Components
		}
	}
	return b, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func notWritable(dir string, err error) error {
	return fault.BadInputf("the output folder %s cannot be written: %w", dir, err).
		WithNext("Name another one: --out DIR")
}

func summary(b record.Build) string {
	hash := strings.TrimPrefix(b.Digest, "sha256:")
	how := "built elsewhere"
	if b.Type == record.BuiltByDockerfile {
		how = "built from " + b.Origin
	}
	sboms := 0
	for _, i := range b.Images {
		if i.SPDX != "" {
			sboms++
		}
	}
	with := "without an SBOM"
	if sboms > 0 || b.SPDX != "" {
		with = "with an SBOM"
	}
	if sboms > 0 && sboms < len(b.Images) {
		with = fmt.Sprintf("with an SBOM for %d of %d platforms", sboms, len(b.Images))
	}
	return fmt.Sprintf("sha256:%s…%s  %.1f MB · %s, for %s, %s", hash[:4], hash[len(hash)-2:], float64(b.Size)/1e6, how, b.Platform, with)
}
