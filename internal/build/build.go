// Package build makes an OCI image of a Go service without Docker, and an SBOM of the modules that are linked into it, as
// CycloneDX and as SPDX. The same commit, platform and Go toolchain give the same digest, wherever the checkout is.
package build

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/license"
	"github.com/org/idp/internal/record"
)

// Names of what is written to the output folder.
const (
	LayoutDir = "image"
	SBOMFile  = "sbom.cdx.json"
	SPDXFile  = "sbom.spdx.json"
)

// Inputs of build.
type Inputs struct {
	// Platform is OS/ARCH of the image, or several with commas for an index of images. Empty means linux on this machine's
	// architecture, for a cluster of the same kind; the local target, which runs the program right here, sets this machine's own.
	Platform string

	// Filled in by the app.

	Dir        string    // the service's folder
	Out        string    // folder for the image layout and the SBOMs
	Service    string    // name from idp.yaml; the program's name in the image
	Main       string    // Go package of the program, relative to Dir; empty means Dir itself
	Port       int       // that the service listens on; 0 exposes none
	Repository string    // OWNER/NAME
	Source     string    // URL of the repository; a path on this machine is not shown in the image
	Path       string    // Dir in the repository, with slashes; empty at its root
	Commit     string    // 40 hex digits
	Time       time.Time // of the commit; the image's and the SBOM's only time
	Dirty      bool      // the record says already that what is built differs from the commit
	Ref        string    // full name of the branch or tag
	Version    string    // for people; empty takes the commit
}

// Declare declares what users may set.
func (in *Inputs) Declare(s *action.Set) {
	action.Platform(s, &in.Platform)
}

// Deps is what build needs from outside.
type Deps struct {
	// Environ is the environment as in os.Environ. Only what keeps describes reaches the Go toolchain.
	Environ []string
	// Uncommitted gives what the commit does not have as it is: of the files, and what is missing in the folders, in those
	// that map to true also below.
	Uncommitted func(ctx context.Context, files []string, folders map[string]bool) ([]string, error)
	Progress    action.Progress
}

// Outputs of build.
type Outputs = action.Result[record.Build]

// Run compiles the service and writes its image and SBOMs to the output folder, each in one step at the very end.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: record.Tool{Name: "go"}}
	if deps.Progress == nil {
		deps.Progress = func(string) {}
	}
	given := in.Out // in the evidence it stays as it was given
	if err := in.normalize(); err != nil {
		return out, err
	}
	out.Evidence.Platform = in.Platform
	if err := os.MkdirAll(in.Out, 0o755); err != nil { // #nosec G301 -- reports are for everyone on the runner to read
		return out, notWritable(in.Out, err)
	}
	tmp, err := os.MkdirTemp(in.Out, ".build-*")
	if err != nil {
		return out, notWritable(in.Out, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	reader, err := license.NewReader()
	if err != nil {
		return out, err
	}
	var images []image
	for _, one := range in.each() {
		img, err := produce(ctx, one, deps, reader, filepath.Join(tmp, "bin", slug(one.Platform)))
		out.Tool.Version, out.Evidence.Go = img.program.goVersion, img.program.goVersion
		if err != nil {
			return out, err
		}
		images = append(images, img)
	}
	whole, err := index(in, images)
	if err != nil {
		return out, err
	}
	files, err := documents(in, whole, images)
	if err != nil {
		return out, err
	}
	if err := publish(ctx, in.Out, filepath.Join(tmp, "layout"), whole, files); err != nil {
		return out, err
	}
	out.Evidence = evidence(in, out.Evidence, given, whole, images)
	out.Summary = summary(out.Evidence)
	return out, nil
}

// produce compiles the program for one platform and puts its image together.
func produce(ctx context.Context, in Inputs, deps Deps, reader *license.Reader, folder string) (image, error) {
	compiled, err := compile(ctx, in, deps, reader, folder)
	if err != nil {
		return image{program: compiled}, err
	}
	if err := compiled.made.hold(ctx, in, deps); err != nil {
		return image{program: compiled}, err
	}
	deps.Progress("putting the image together")
	img, err := assemble(in, compiled.file)
	img.program, img.platform = compiled, in.Platform
	return img, err
}

// evidence says what was built.
func evidence(in Inputs, e record.Build, out string, whole image, images []image) record.Build {
	e.Digest, e.Size, e.Platform = whole.digest, whole.size, in.Platform
	e.Layout, e.SBOM, e.SPDX = filepath.Join(out, LayoutDir), filepath.Join(out, SBOMFile), filepath.Join(out, SPDXFile)
	e.Components, e.Parameters = len(whole.program.modules), whole.program.parameters
	e.Materials, e.Needs = whole.program.materials()
	if len(images) == 1 {
		return e
	}
	for _, i := range images {
		one := record.Image{Digest: i.digest, Platform: i.platform, Size: i.size, SBOM: filepath.Join(out, fileOf(SBOMFile, i.platform)),
			SPDX: filepath.Join(out, fileOf(SPDXFile, i.platform)), Components: len(i.program.modules), Parameters: i.program.parameters}
		one.Materials, one.Needs = i.program.materials()
		e.Images = append(e.Images, one)
	}
	return e
}

var platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)

// normalize fills defaults and checks what does not depend on the toolchain.
func (in *Inputs) normalize() error {
	if in.Platform == "" {
		in.Platform = "linux/" + runtime.GOARCH
	}
	platforms := action.Platforms(in.Platform)
	for i, p := range platforms {
		if !platformForm.MatchString(p) {
			return fault.BadInputf("platform %q is not OS/ARCH, such as linux/arm64", p)
		}
		if slices.Contains(platforms[:i], p) {
			return fault.BadInputf("platform %s is given twice", p)
		}
	}
	in.Platform = strings.Join(platforms, ",")
	main := path.Clean(filepath.ToSlash(in.Main)) // of "" it is "."
	if path.IsAbs(main) || !filepath.IsLocal(filepath.FromSlash(main)) {
		return fault.BadInputf("main: %q is not a folder below that of idp.yaml", in.Main).
			WithNext("Name the folder of package main relative to idp.yaml, such as main: cmd/" + in.Service)
	}
	in.Main = main
	if in.Version == "" {
		in.Version = in.Commit
	}
	var err error
	if in.Dir, err = filepath.Abs(in.Dir); err != nil {
		return err
	}
	if in.Dir, err = filepath.EvalSymlinks(in.Dir); err != nil { // Path is that of the folder itself, not of a link to it
		return fault.BadInputf("service folder %s: %w", in.Dir, err)
	}
	in.Out, err = filepath.Abs(in.Out)
	return err
}

// root is the repository's working tree.
func (in *Inputs) root() string {
	if in.Path == "" {
		return in.Dir
	}
	return filepath.Join(in.Dir, strings.Repeat("../", strings.Count(in.Path, "/")+1))
}

// each gives the inputs once for each platform.
func (in *Inputs) each() []Inputs {
	var all []Inputs
	for _, p := range action.Platforms(in.Platform) {
		one := *in
		one.Platform = p
		all = append(all, one)
	}
	return all
}

func (in *Inputs) os() string   { os, _, _ := strings.Cut(in.Platform, "/"); return os }
func (in *Inputs) arch() string { _, arch, _ := strings.Cut(in.Platform, "/"); return arch }

func notWritable(dir string, err error) error {
	return fault.BadInputf("the output folder %s cannot be written: %w", dir, err).
		WithNext("Name another one: --out DIR")
}

func summary(b record.Build) string {
	hash := strings.TrimPrefix(b.Digest, "sha256:")
	platforms := ""
	if n := len(b.Images); n > 0 {
		platforms = fmt.Sprintf(" for %d platforms", n)
	}
	return fmt.Sprintf("sha256:%s…%s  %.1f MB%s · %d modules in the SBOM", hash[:4], hash[len(hash)-2:], float64(b.Size)/1e6, platforms, b.Components)
}
