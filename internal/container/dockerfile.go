package container

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
	"github.com/org/idp/internal/record"
)

// keep names the variables that reach docker: where things are, which builder, and the network. A token of the CI is in
// none of them; what a build needs is named as a build secret. Names end in * where all that begin so are kept.
var keep = []string{
	"PATH", "HOME", "USER", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "PATHEXT", "TEMP", "TMP",
	"DOCKER_*", "BUILDX_*", "BUILDKIT_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

var (
	argName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// secretive is what BuildKit's own check SecretsUsedInArgOrEnv looks for in names.
	// https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/
	secretive = regexp.MustCompile(`(?i)(^|_)(apikey|auth|credentials?|key|password|pword|passwd|secret|token)(_|$)`)
)

func (in Inputs) checkDocker(environ []string) error {
	name := filepath.FromSlash(in.Dockerfile)
	if !filepath.IsLocal(name) || strings.ContainsAny(in.Dockerfile, "\n\r\x00") {
		return fault.BadInputf("dockerfile: %q is not a file below that of idp.yaml", in.Dockerfile)
	}
	for _, arg := range in.BuildArgs {
		name, _, ok := strings.Cut(arg, "=")
		if !ok || !argName.MatchString(name) {
			return fault.BadInputf("build-args has %q, which is not NAME=VALUE", name)
		}
		if secretive.MatchString(name) {
			return fault.BadInputf("build argument %s looks like a secret, and anyone who has the image can read its arguments", name).
				WithNext("Give it as a secret: --build-secrets " + name + ", and in the Dockerfile RUN --mount=type=secret,id=" + name)
		}
	}
	if strings.ContainsAny(in.Scanner, "\n\r\x00") {
		return fault.BadInputf("sbom-scanner is no name of an image")
	}
	for _, name := range in.BuildSecrets {
		if !argName.MatchString(name) {
			return fault.BadInputf("build-secrets has %q, which is no name of a variable", name)
		}
		if value(environ, name) == "" {
			return fault.BadInputf("build-secrets names %s, which the environment does not have", name)
		}
	}
	return nil
}

// parameters are what the image was built with, for the provenance: names of arguments, never their values.
func (in Inputs) parameters() []string {
	all := []string{"--file=" + in.Dockerfile}
	for _, arg := range in.BuildArgs {
		name, _, _ := strings.Cut(arg, "=")
		all = append(all, "--build-arg="+name)
	}
	for _, name := range in.BuildSecrets {
		all = append(all, "--secret=id="+name)
	}
	return all
}

// docker has BuildKit build the commit's files, in a folder that has nothing else.
func (in Inputs) docker(ctx context.Context, deps Deps, layout string) (record.Tool, error) {
	tool := record.Tool{Name: "docker buildx"}
	env := environ(deps.Environ, in.BuildSecrets)
	version, err := proc.Run(ctx, proc.Command{Env: env, Name: "docker", Args: []string{"buildx", "version"}})
	if err != nil {
		return tool, noBuildx(ctx, err)
	}
	if fields := strings.Fields(string(version)); len(fields) > 1 {
		tool.Version = fields[1]
	}
	source, err := os.MkdirTemp(in.Temp, "idp-source-")
	if err != nil {
		return tool, err
	}
	defer func() { _ = os.RemoveAll(source) }()
	deps.Progress("taking the files of the commit")
	if err := deps.Source(ctx, source); err != nil {
		return tool, err
	}
	folder := filepath.Join(source, filepath.FromSlash(in.Path))
	file, err := inside(folder, in.Dockerfile)
	if err != nil {
		return tool, err
	}
	deps.Progress("building " + in.Dockerfile)
	args := in.arguments(file, folder, layout)
	env = append(env, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", in.Time.Unix()), "BUILDX_GIT_INFO=false", "BUILDX_METADATA_PROVENANCE=disabled")
	if _, err := proc.Run(ctx, proc.Command{Dir: folder, Env: env, Name: "docker", Args: args}); err != nil {
		return tool, in.broken(ctx, err, deps.Environ)
	}
	return tool, nil
}

// arguments has provenance of mode min, which leaves out the values of build arguments: mode max publishes them.
// https://docs.docker.com/build/metadata/attestations/slsa-provenance/
func (in Inputs) arguments(file, folder, layout string) []string {
	args := []string{"buildx", "build", "--progress=plain", "--platform=" + in.Platform, "--provenance=mode=min",
		"--output=" + fields("type=oci", "dest="+layout, "tar=false", "rewrite-timestamp=true"), "--file=" + file}
	switch in.Scanner {
	case "off":
	case "":
		args = append(args, "--sbom=true")
	default:
		args = append(args, "--attest="+fields("type=sbom", "generator="+in.Scanner))
	}
	for _, a := range in.BuildArgs {
		args = append(args, "--build-arg="+a)
	}
	for _, name := range in.BuildSecrets {
		args = append(args, "--secret="+fields("id="+name, "env="+name))
	}
	return append(args, "--", folder)
}

// fields is how buildx takes several values in one argument: as a line of CSV.
func fields(values ...string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(values) // a strings.Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// inside is a regular file of the folder, that no symlink leads out of it.
func inside(folder, name string) (string, error) {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", fault.BadInputf("the commit does not have the service's folder: %w", err)
	}
	file, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return "", fault.BadInputf("dockerfile: the commit has no file %s in the service's folder", name).
			WithNext("Commit it, or name another: --dockerfile FILE")
	}
	if rel, err := filepath.Rel(root, file); err != nil || !filepath.IsLocal(rel) {
		return "", fault.BadInputf("dockerfile: %s leads out of the service's folder", name)
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", fault.BadInputf("dockerfile: %s is no file", name)
	}
	return file, nil
}

func environ(all, secrets []string) []string {
	var kept []string
	for _, entry := range all {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(secrets, name) || slices.ContainsFunc(keep, func(pattern string) bool {
			prefix, any := strings.CutSuffix(pattern, "*")
			return strings.EqualFold(name, pattern) || any && strings.HasPrefix(strings.ToUpper(name), prefix)
		}) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// value is that of a variable; of several with one name the last counts, as for every program.
func value(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v
		}
	}
	return ""
}

func noBuildx(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	const next = "Install Docker with buildx, in a workflow: docker/setup-buildx-action"
	if errors.Is(err, exec.ErrNotFound) {
		return fault.Undeterminedf("docker is not on the PATH, so the Dockerfile cannot be built").WithNext(next)
	}
	return fault.Undeterminedf("docker buildx does not run, so the Dockerfile cannot be built: %s", strings.Join(lastLines(err.Error(), shown), "; ")).WithNext(next)
}

// broken is a build that failed, with the last of what BuildKit said. What it echoed of the secrets is not shown.
func (in Inputs) broken(ctx context.Context, err error, environ []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := err.Error()
	var failed *proc.Error
	if errors.As(err, &failed) {
		text = failed.Stderr
	}
	for _, name := range in.BuildSecrets {
		text = strings.ReplaceAll(text, value(environ, name), "***")
	}
	e := fault.Undeterminedf("%s does not build: %s", in.Dockerfile, lastLine(text))
	e = e.WithDetail(lastLines(text, shown)...)
	if strings.Contains(text, "is not supported for the docker driver") {
		return e.WithNext("Use a builder that can write OCI layouts: docker buildx create --use, in a workflow docker/setup-buildx-action")
	}
	return e.WithNext("Build it here: docker buildx build --file " + in.Dockerfile + " .")
}

// shown is how many of the last lines are shown.
const shown = 10

func lastLine(text string) string {
	if all := lastLines(text, 1); len(all) > 0 {
		return all[0]
	}
	return "it says nothing"
}

func lastLines(text string, n int) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all[max(0, len(all)-n):]
}
