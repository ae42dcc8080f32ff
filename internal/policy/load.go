package policy

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/strictyaml"
)

// Docs says what each key of a policy means.
const Docs = "docs/policy.md"

// Default is the policy that applies where none is given.
//
//go:embed default.yaml
var Default []byte

// Load reads a policy file; an empty path gives the embedded default. All problems come together in one *fault.Error of
// kind BadInput.
func Load(path string) (*Policy, error) {
	if path == "" {
		return Parse("default.yaml", Default)
	}
	if strings.Contains(path, "://") {
		return nil, fault.BadInputf("policy %s is an address: only files can be read", clean(path)).WithNext(
			"Fetch it in a step before this one and give the file.")
	}
	data, err := strictyaml.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		missing := fault.BadInputf("there is no policy file %s", path).WithNext(
			"Give the path of one, or leave the input out for the policy that is built in.", Docs+" shows one.")
		missing.Err = err
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// clean takes credentials and the query out of an address.
func clean(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
}

// Parse reads a policy from data. File is how messages name it, and relative paths in it start from its folder. A policy
// that sets nothing, such as {}, is read; its rules refuse every delivery, see Rules.Missing.
func Parse(file string, data []byte) (*Policy, error) {
	p := &Policy{}
	doc := strictyaml.Parse(file, data, p, strictyaml.Next(Docs+" says what each key means."))
	p.Defaults.validate(doc, strictyaml.Path{"defaults"})
	names := slices.Sorted(maps.Keys(p.Environments))
	for _, name := range names {
		p.Environments[name].validate(doc, strictyaml.Path{"environments", name})
	}
	p.order(doc, names)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if p.Name == "" {
		p.Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	}
	sum := sha256.Sum256(data)
	p.Digest = "sha256:" + hex.EncodeToString(sum[:])
	p.Defaults.Signer = p.Defaults.Signer.from(filepath.Dir(file))
	for name, rules := range p.Environments {
		rules.Signer = rules.Signer.from(filepath.Dir(file))
		p.Environments[name] = rules
	}
	return p, nil
}

// validate adds what the tags cannot say.
func (r Rules) validate(doc *strictyaml.Document, p strictyaml.Path) {
	sub := func(steps ...any) strictyaml.Path { return append(p[:len(p):len(p)], steps...) }
	if doc.Has(sub("require")) && r.Require != nil && len(r.Require) == 0 {
		doc.Problem(sub("require"), "%s: is empty: name the evidence that a delivery must show", sub("require"))
	}
	r.Signer.validate(doc, sub("signer"))
	r.SBOM.validate(doc, sub("sbom"))
	r.SAST.validate(doc, sub("sast"))
	r.Secrets.validate(doc, sub("secrets"))
	if r.EvidenceMaxAge != "" {
		if _, err := ParseAge(r.EvidenceMaxAge); err != nil {
			doc.Problem(sub("evidence-max-age"), "%s: %v", p, err)
		}
	}
	if r.Budget != "" {
		if _, _, err := service.ParseBudget(r.Budget); err != nil {
			doc.Problem(sub("budget"), "%s: %v", p, err)
		}
	}
	for i, f := range r.Freeze {
		f.validate(doc, sub("freeze", i))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Sizes)) {
		quantity(doc, sub("sizes", name, "cpu"), r.Sizes[name].CPU, "1m", "want cores, such as 100m or 2")
		quantity(doc, sub("sizes", name, "memory"), r.Sizes[name].Memory, "1Mi", "want memory of 1Mi or more, such as 128Mi or 2Gi")
	}
}

// quantity refuses less than least: 128m of memory is an eighth of a byte, and meant as 128Mi.
func quantity(doc *strictyaml.Document, p strictyaml.Path, s, least, want string) {
	if s == "" {
		return
	}
	q, err := resource.ParseQuantity(s)
	if err != nil || q.Cmp(resource.MustParse(least)) < 0 {
		doc.Wrong(p, want)
	}
}

// ParseAge reads a whole number of minutes, hours or days, such as 10m, 12h or 7d. A day has 24 hours.
func ParseAge(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if len(s) >= 2 && len(s) <= 6 {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
		if unit := units[s[len(s)-1]]; err == nil && n > 0 && unit > 0 {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("age %.20q: want a number of minutes, hours or days, such as 10m, 12h or 7d", s)
}
