package verify

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/policy"
)

// provenance takes the newest that names what is expected: two commits may well build the same image.
func (c *court) provenance() (string, error) {
	p, err := c.accepted()
	if err != nil {
		return "", err
	}
	if err := c.dated(p.RunDetails.Metadata.FinishedOn, p.by); err != nil {
		return "", err
	}
	source := p.BuildDefinition.ExternalParameters.Source
	return fmt.Sprintf("%s %s at %.12s", attest.HowBuilt(p.BuildDefinition.BuildType), source.Repository, source.Commit), nil
}

// buildTypes are the names that a policy has for them.
var buildTypes = map[string]string{attest.BuildType: "go-image", attest.BuildTypeDockerfile: "dockerfile", attest.BuildTypeElsewhere: "elsewhere",
	attest.BuildTypeGitHub: "github-workflow"}

// built is a provenance and who signed it.
type built struct {
	attest.Provenance
	by *attest.Verified
}

// read gives GitHub's provenance, which does not say when it was made, the time at which it was signed at the latest.
func read(s *attest.Verified) (built, error) {
	p, err := attest.ReadProvenance(s.Predicate)
	if err != nil {
		return built{}, fmt.Errorf("its predicate cannot be read: %w", err)
	}
	if p.BuildDefinition.BuildType == attest.BuildTypeGitHub {
		p.RunDetails.Metadata.FinishedOn = s.SignedAt
	}
	return built{Provenance: p, by: s}, nil
}

// accepted is the newest provenance of what is expected.
func (c *court) accepted() (*built, error) {
	list, err := c.of("provenance", attest.PredicateProvenance)
	if err != nil {
		return nil, err
	}
	var newest *built
	var objection error
	for _, s := range list {
		p, err := read(s)
		if err != nil {
			return nil, err
		}
		if err := c.origin(p); err != nil {
			objection = err
			continue
		}
		if newest == nil || p.RunDetails.Metadata.FinishedOn.After(newest.RunDetails.Metadata.FinishedOn) {
			newest = &p
		}
	}
	if newest == nil {
		return nil, objection
	}
	return newest, nil
}

func (c *court) origin(p built) error {
	source := p.BuildDefinition.ExternalParameters.Source
	allowed := c.in.Rules.Provenance.Repositories
	switch {
	case buildTypes[p.BuildDefinition.BuildType] == "":
		return fmt.Errorf("its build type is %q, whose parameters this program does not know", p.BuildDefinition.BuildType)
	case !c.in.Rules.Provenance.AllowsBuild(buildTypes[p.BuildDefinition.BuildType]):
		return fmt.Errorf("it was %s %s, and the policy's build-types do not have %s", attest.HowBuilt(p.BuildDefinition.BuildType), source.Repository,
			buildTypes[p.BuildDefinition.BuildType])
	case source.Repository == "" || source.Commit == "":
		return fmt.Errorf("it does not say which commit of which repository was built")
	case c.in.Repository != "" && source.Repository != c.in.Repository:
		return fmt.Errorf("it was built from %s, not from %s", source.Repository, c.in.Repository)
	case len(allowed) > 0 && !policy.Allows(allowed, source.Repository):
		return fmt.Errorf("it was built from %s, which is none of the repositories that the policy allows", source.Repository)
	case c.in.Commit != "" && source.Commit != c.in.Commit:
		return fmt.Errorf("it was built from commit %.12s, not from %.12s", source.Commit, c.in.Commit)
	case p.BuildDefinition.BuildType == attest.BuildTypeGitHub && c.in.Path != nil && *c.in.Path != "":
		return fmt.Errorf("it does not say from which folder of %s it was built, and should be from %s", source.Repository, *c.in.Path)
	case c.in.Path != nil && source.Path != *c.in.Path:
		return fmt.Errorf("it was built from %s of %s, not from %s: it is another service", folder(source.Path), source.Repository, folder(*c.in.Path))
	case source.Dirty:
		return fmt.Errorf("it was built from a working tree that differs from commit %.12s", source.Commit)
	}
	if p.BuildDefinition.BuildType == attest.BuildTypeGitHub {
		if err := p.certified(); err != nil {
			return err
		}
	}
	return signedIn(p.by, source.Repository)
}

// certified holds GitHub's provenance against the certificate: both are made from the token of the job, so where they differ somebody
// else wrote it.
func (b built) certified() error {
	c := b.by.Certificate
	if c == nil {
		return errors.New("it is GitHub's, and was signed with a key and not with the certificate of a job")
	}
	source := b.BuildDefinition.ExternalParameters.Source
	for _, p := range []struct{ what, said, proved string }{
		{"commit", source.Commit, c.Commit},
		{"ref", source.Ref, c.Ref},
		{"builder", b.RunDetails.Builder.ID, c.Workflow},
		{"run", b.RunDetails.Metadata.InvocationID, c.Run},
	} {
		if p.said != p.proved {
			return fmt.Errorf("it says %s %s, and its certificate %s", p.what, p.said, p.proved)
		}
	}
	return nil
}

func folder(path string) string {
	if path == "" {
		return "the root"
	}
	return "folder " + path
}

// signedIn refuses what a job of another repository says of this one, where the policy allows several to sign. A key has no
// repository.
func signedIn(by *attest.Verified, repository string) error {
	if by.Certificate == nil {
		return nil
	}
	u, err := url.Parse(by.Certificate.Repository)
	if err != nil || strings.TrimPrefix(u.Path, "/") != repository {
		return fmt.Errorf("it was signed by a job of %q and not of %s", by.Certificate.Repository, repository)
	}
	return nil
}

var errUnknown = errors.New("what the image was built from is not known, since no provenance counts")

// origins are all that the image may have been built from: two commits, and two repositories, may well build the same image.
func (c *court) origins() []built {
	var list []built
	for _, s := range c.heard {
		if s.PredicateType != attest.PredicateProvenance {
			continue
		}
		if p, err := read(s); err == nil && c.origin(p) == nil {
			list = append(list, p)
		}
	}
	return list
}

// signedHere refuses what was signed by a job of a repository that the image was not built from.
func (c *court) signedHere(by *attest.Verified) error {
	if by.Certificate == nil {
		return nil
	}
	if c.in.Repository != "" {
		return signedIn(by, c.in.Repository)
	}
	objection := errUnknown
	for _, p := range c.origins() {
		if objection = signedIn(by, p.BuildDefinition.ExternalParameters.Source.Repository); objection == nil {
			return nil
		}
	}
	return objection
}

func (c *court) builder() (string, error) {
	p, err := c.accepted()
	if err != nil {
		return "", err
	}
	id := p.RunDetails.Builder.ID
	switch {
	case p.BuildDefinition.BuildType == attest.BuildTypeElsewhere: // its builder.id is who took it over
		return "", errors.New("it was built elsewhere, and the provenance does not say by whom")
	case id == "":
		return "", errors.New("the provenance does not say who built it")
	case !policy.Allows(c.in.Rules.Provenance.Builders, id):
		return "", fmt.Errorf("it was built by %s, which is none of the builders that the policy allows", id)
	}
	return "built by " + id, nil
}

// baseImage holds every image among the resolved dependencies against the policy: the one that the last stage begins with, and
// those of other stages, from which anything may be copied.
func (c *court) baseImage() (string, error) {
	p, err := c.accepted()
	if err != nil {
		return "", err
	}
	var bases []string
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		name, ok := imageName(d.URI)
		if !ok {
			continue
		}
		digest := "sha256:" + d.Digest["sha256"]
		switch {
		case !digestForm.MatchString(digest):
			return "", fmt.Errorf("the provenance names base image %s without its digest", d.URI)
		case !allowsImage(c.in.Rules.Provenance.BaseImages, name, digest):
			return "", fmt.Errorf("the policy does not allow base image %s@%s", name, digest)
		}
		bases = append(bases, name)
	}
	if len(bases) == 0 && p.BuildDefinition.BuildType != attest.BuildType { // which always lists all
		return "", errors.New("the provenance does not say which image it was built on")
	}
	if len(bases) == 0 {
		return "built on no other image", nil
	}
	return "built on " + strings.Join(bases, ", "), nil
}

// allowsImage takes sha256:HEX, NAME@sha256:HEX or a pattern for names, which allows every digest.
func allowsImage(patterns []string, name, digest string) bool {
	return policy.Allows(patterns, digest) || policy.Allows(patterns, name) || policy.Allows(patterns, name+"@"+digest)
}

// imageName is HOST/REPOSITORY of a package URL that names an image, as docker and BuildKit complete it.
// https://github.com/package-url/purl-spec/blob/main/PURL-TYPES.rst#docker
func imageName(uri string) (string, bool) {
	u, err := packageurl.FromString(uri)
	if err != nil || u.Type != packageurl.TypeDocker && u.Type != packageurl.TypeOCI {
		// What says that it is an image and cannot be read is no allowed one.
		return uri, strings.HasPrefix(uri, "pkg:docker") || strings.HasPrefix(uri, "pkg:oci")
	}
	name := strings.TrimPrefix(u.Namespace+"/"+u.Name, "/")
	if host := u.Qualifiers.Map()["repository_url"]; host != "" {
		if u.Type == packageurl.TypeOCI { // where it is, with its name
			return host, true
		}
		return host + "/" + name, true
	}
	first, _, nested := strings.Cut(name, "/")
	switch {
	case !nested:
		return "docker.io/library/" + name, true
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		return "docker.io/" + name, true
	}
	return name, true
}
