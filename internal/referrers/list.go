package referrers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/verifying"
)

// Limits against a registry that never ends. An image has five pieces of evidence a run; SBOMs are the largest of them.
const (
	maxReferrers = 1000
	maxIndex     = 16 << 20
	maxBundle    = 64 << 20
	maxBundles   = 256 << 20 // all of one image: anyone who may write there can attach more, and they are held in memory
)

// read gives the bundles, and what cosign keeps in tags.
func (s *session) read(ctx context.Context) ([]attest.Attached, error) {
	attached, err := s.bundles(ctx)
	if err != nil {
		return nil, err
	}
	for _, suffix := range []string{".sig", ".att"} {
		tag := s.tag(suffix)
		tagged, err := s.tagged(ctx, tag)
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", tag.TagStr(), err)
		}
		attached = append(attached, tagged...)
	}
	return attached, nil
}

func (s *session) bundles(ctx context.Context) ([]attest.Attached, error) {
	// A registry lists nothing for a digest that it does not have; without this, "not there" would read as "unsigned".
	if _, err := s.puller.Get(ctx, s.digest); err != nil {
		return nil, err
	}
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	var attached []attest.Attached
	s.left = maxBundles
	seen := map[string]bool{}
	for _, d := range list {
		if seen[d.Digest.String()] {
			continue
		}
		seen[d.Digest.String()] = true
		a, err := s.referrer(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("referrer %s: %w", d.Digest, err)
		}
		if a != nil {
			attached = append(attached, *a)
		}
	}
	return attached, nil
}

// list asks for all pages of the list of referrers. go-containerregistry's own client reads the first page only.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (s *session) list(ctx context.Context) ([]v1.Descriptor, error) {
	repo := s.digest.Context()
	next := &url.URL{Scheme: repo.Scheme(), Host: repo.RegistryStr(),
		Path: fmt.Sprintf("/v2/%s/referrers/%s", repo.RepositoryStr(), s.digest.DigestStr())}
	var all []v1.Descriptor
	for first := true; next != nil; first = false {
		page, link, err := s.page(ctx, next, first)
		if err != nil {
			return nil, err
		}
		if page == nil {
			return s.fallback(ctx)
		}
		if all = append(all, page.Manifests...); len(all) > maxReferrers {
			return nil, fmt.Errorf("more than %d referrers", maxReferrers)
		}
		if link != nil && len(page.Manifests) == 0 {
			return nil, errors.New("the list of referrers goes on after an empty page")
		}
		next = link
	}
	return all, nil
}

// page is nil where the registry has no list of referrers, which only the first page can tell.
func (s *session) page(ctx context.Context, u *url.URL, first bool) (*v1.IndexManifest, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", string(types.OCIImageIndex))
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		if first {
			return nil, nil, nil
		}
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, nil, err
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != string(types.OCIImageIndex) {
		return nil, nil, fmt.Errorf("the list of referrers came as %q", resp.Header.Get("Content-Type"))
	}
	data, err := readAll(resp.Body, maxIndex)
	if err != nil {
		return nil, nil, fmt.Errorf("list of referrers: %w", err)
	}
	index, err := parseIndex(data)
	if err != nil {
		return nil, nil, err
	}
	link, err := nextPage(u, resp.Header.Values("Link"))
	return index, link, err
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next"?`)

// nextPage reads the Link header (RFC 8288). Credentials go with the request, so a link to another host is refused.
func nextPage(from *url.URL, headers []string) (*url.URL, error) {
	m := nextLink.FindStringSubmatch(strings.Join(headers, ","))
	if m == nil {
		return nil, nil
	}
	u, err := from.Parse(m[1])
	if err != nil {
		return nil, fmt.Errorf("next page of the list of referrers: %w", err)
	}
	if u.Scheme != from.Scheme || u.Host != from.Host {
		return nil, fmt.Errorf("the next page of the list of referrers is on another host, %s", u.Host)
	}
	return u, nil
}

// fallback reads the list from the tag that clients keep where the registry keeps none.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (s *session) fallback(ctx context.Context) ([]v1.Descriptor, error) {
	tag := s.tag("")
	desc, err := s.at(ctx, tag)
	if desc == nil || err != nil {
		return nil, err
	}
	index, err := parseIndex(desc.Manifest)
	if err != nil {
		return nil, fmt.Errorf("tag %s: %w", tag.TagStr(), err)
	}
	if len(index.Manifests) > maxReferrers {
		return nil, fmt.Errorf("more than %d referrers", maxReferrers)
	}
	return index.Manifests, nil
}

func parseIndex(data []byte) (*v1.IndexManifest, error) {
	var index v1.IndexManifest
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("list of referrers: %w", err)
	}
	if index.SchemaVersion != 2 || (index.MediaType != "" && index.MediaType != types.OCIImageIndex) {
		return nil, errors.New("the list of referrers is not an OCI image index")
	}
	return &index, nil
}

// manifest is the part of an OCI manifest that tells what a referrer is; v1.Manifest has no artifact type.
type manifest struct {
	ArtifactType string `json:"artifactType"`
	Config       struct {
		MediaType    string `json:"mediaType"`
		ArtifactType string `json:"artifactType"`
	} `json:"config"`
	Layers  []v1.Descriptor `json:"layers"`
	Subject *v1.Descriptor  `json:"subject"`
}

// isBundle errs on the side of yes: any sign of a bundle, in the list or in the manifest, makes it one that must be read.
func (m manifest) isBundle(listed v1.Descriptor) bool {
	kinds := []string{m.ArtifactType, m.Config.MediaType, m.Config.ArtifactType, listed.ArtifactType}
	for _, l := range m.Layers {
		kinds = append(kinds, string(l.MediaType))
	}
	for _, k := range kinds {
		if strings.HasPrefix(k, attest.BundleTypePrefix) {
			return true
		}
	}
	return listed.Annotations["dev.sigstore.bundle.content"] != ""
}

// referrer is nil for one that is no sigstore bundle.
func (s *session) referrer(ctx context.Context, listed v1.Descriptor) (*attest.Attached, error) {
	desc, err := s.puller.Get(ctx, s.digest.Context().Digest(listed.Digest.String()))
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if !m.isBundle(listed) {
		return nil, nil
	}
	if m.Subject == nil || m.Subject.Digest.String() != s.digest.DigestStr() {
		return nil, errors.New("its manifest refers to something else")
	}
	if len(m.Layers) != 1 {
		return nil, fmt.Errorf("%d layers, expected one bundle", len(m.Layers))
	}
	data, err := s.counted(ctx, m.Layers[0])
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	statement, _, err := verifying.Claimed(data)
	if err != nil {
		return nil, err
	}
	return &attest.Attached{Manifest: listed.Digest.String(), Bundle: data, Statement: statement}, nil
}

// counted reads a layer, unless it is too much with those before.
func (s *session) counted(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if s.left -= d.Size; s.left < 0 { // a size that is not true is refused by blob
		return nil, fmt.Errorf("there are more than %d MiB of evidence", maxBundles>>20)
	}
	return s.blob(ctx, d)
}

// blob reads a layer whole; its digest is checked on the way.
func (s *session) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	layer, err := s.puller.Layer(ctx, s.digest.Context().Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	data, err := readAll(body, maxBundle)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != d.Size {
		return nil, fmt.Errorf("%d bytes, expected %d", len(data), d.Size)
	}
	return data, nil
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d MiB", limit>>20)
	}
	return data, nil
}
