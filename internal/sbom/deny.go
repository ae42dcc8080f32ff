package sbom

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Denial is what may not be in an image. In its patterns * stands for any characters, and case is no matter.
type Denial struct {
	packages, licenses, allowed, exempt []*regexp.Regexp
}

// NewDenial compiles patterns that CheckPackage and CheckLicense accept. Allowed are the licences besides which there may be no
// other; none allow all that are not denied. Exempt are packages that need not say their licence.
func NewDenial(packages, licenses, allowed, exempt []string) Denial {
	return Denial{packages: compile(packages), licenses: compile(licenses), allowed: compile(allowed), exempt: compile(exempt)}
}

// denied tells whether a licence is on the list, or leaves open whether it is.
func (d Denial) denied(e expression) bool {
	on := func(id string) bool { return matches(d.licenses, id) }
	return e.listed(on) || slices.ContainsFunc(e.perhaps(), on)
}

// fine tells whether a licence may be in an image. One that leaves open which it is has to be allowed as either.
func (d Denial) fine(e expression) bool {
	on := func(id string) bool { return matches(d.allowed, id) }
	off := func(id string) bool { return !on(id) }
	may := e.perhaps()
	return !d.denied(e) && (len(d.allowed) == 0 || e.listed(on) || len(may) > 0 && !slices.ContainsFunc(may, off))
}

func compile(patterns []string) []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, p := range patterns {
		parts := strings.Split(unescaped.Replace(p), "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		list = append(list, regexp.MustCompile("(?is)^"+strings.Join(parts, ".*")+"$"))
	}
	return list
}

// unescaped is how a pattern may write the scope of npm, as package URLs do.
var unescaped = strings.NewReplacer("%40", "@", "%2F", "/", "%2f", "/")

func matches(list []*regexp.Regexp, texts ...string) bool {
	return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return slices.ContainsFunc(texts, re.MatchString) })
}

// CheckPackage says what is wrong with a pattern for packages; nil for nothing.
func CheckPackage(pattern string) error {
	if !packagePattern.MatchString(pattern) {
		return fmt.Errorf("want a package URL, such as pkg:npm/event-stream@3.3.6 or pkg:golang/github.com/acme/*")
	}
	return nil
}

var packagePattern = regexp.MustCompile(`^pkg:[A-Za-z*][A-Za-z0-9.*-]*/[^?#\s]+$`)

// CheckLicense says what is wrong with a pattern for licences: one that matches nothing on SPDX's list would never deny.
func CheckLicense(pattern string) error {
	re := compile([]string{pattern})
	for id := range lists().licenses {
		if matches(re, id) {
			return nil
		}
	}
	return fmt.Errorf("matches no licence on the list of SPDX; want an id such as AGPL-3.0-only, or AGPL-*")
}

// Packages refuses a document with a denied package, or with one that does not say what it is.
func (d Denial) Packages(doc *Document) error {
	var denied, unnamed []string
	for _, p := range doc.Packages {
		switch {
		case p.URL != "" && matches(d.packages, p.URL, p.URL+"@"+p.Version):
			denied = append(denied, p.Name)
		case p.URL == "" && !p.Root:
			unnamed = append(unnamed, p.Name)
		}
	}
	if len(denied) > 0 {
		return fmt.Errorf("the policy denies %s", some(denied))
	}
	if len(unnamed) > 0 {
		return fmt.Errorf("without a package URL it cannot be told what this is: %s", some(unnamed))
	}
	return nil
}

// Licenses refuses a document with a package under a licence that is denied or not among those allowed, or not known.
func (d Denial) Licenses(doc *Document) error {
	var denied, other, unknown []string
	for _, p := range doc.Packages {
		exempt := p.Root || p.URL != "" && matches(d.exempt, p.URL, p.URL+"@"+p.Version)
		if len(p.Licenses) == 0 && !exempt {
			unknown = append(unknown, p.Name)
		}
		for _, text := range p.Licenses {
			e, err := parseExpression(text)
			switch named := fmt.Sprintf("%s of %s", text, p.Name); {
			case err != nil && matches(d.licenses, text), err == nil && !e.met(func(one expression) bool { return !d.denied(one) }):
				denied = append(denied, named)
			case err == nil && !e.met(d.fine):
				other = append(other, named)
			case err != nil && !exempt:
				unknown = append(unknown, p.Name)
			}
		}
	}
	if len(denied) > 0 {
		return fmt.Errorf("the policy denies %s", some(denied))
	}
	if len(other) > 0 {
		return fmt.Errorf("the policy does not allow %s", some(other))
	}
	if len(unknown) > 0 {
		return fmt.Errorf("the licence is not known of %s", some(unknown))
	}
	return nil
}

// some names the first few.
func some(list []string) string {
	const few = 3
	slices.Sort(list)
	list = slices.Compact(list)
	short := make([]string, 0, few)
	for _, text := range list[:min(few, len(list))] {
		if r := []rune(text); len(r) > 200 {
			text = string(r[:200]) + "…"
		}
		short = append(short, text)
	}
	text := strings.Join(short, ", ")
	if n := len(list) - len(short); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
