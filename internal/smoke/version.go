package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/org/idp/internal/fault"
)

// longestVersion is the bytes of an answer that can still be a version; a page that some proxy shows is longer.
const longestVersion = 4 << 10

// orElse is what a service can do whose path says nothing of its version.
const orElse = "Or name another path in idp.yaml (version: /…), or go without this proof (version: off)."

// version is where the version is asked for, and the wanted one once it has been seen there.
type version struct {
	target string
	seen   string
}

// sighting is one look at the version. Exactly one field is set.
type sighting struct {
	wanted  string // the digest or commit that was wanted, as it was answered
	other   string // another version, quoted
	problem string // why no version can be told
}

// look asks once which version answers.
func (r *runner) look(ctx context.Context) sighting {
	a := r.ask(ctx, request{method: http.MethodGet, url: r.version.target, follow: true}, http.StatusOK)
	text := strings.TrimSpace(string(a.body))
	switch {
	case a.problem != "":
		return sighting{problem: a.problem}
	case a.status != http.StatusOK:
		return sighting{problem: fmt.Sprintf("answered %d, want 200", a.status)}
	case text == "":
		return sighting{problem: "the answer is empty"}
	case len(text) > longestVersion || !utf8.ValidString(text) || strings.HasPrefix(text, "<"):
		return sighting{problem: "the answer is neither a text nor a JSON object with a version: " + quote(text)}
	}
	versions := versionsIn(text)
	for _, want := range []string{r.in.WantDigest, r.in.WantCommit} {
		if want != "" && slices.Contains(versions, want) {
			return sighting{wanted: want}
		}
	}
	if len(versions) == 0 {
		return sighting{problem: "the answer has no version at its top level: " + quote(text)}
	}
	return sighting{other: quote(text)}
}

// versionsIn lists what may be a version in an answer: the strings at the top of a JSON object, else the whole text.
func versionsIn(text string) []string {
	var value any
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&value); err != nil {
		return []string{text}
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case map[string]any:
		var versions []string
		for _, item := range v {
			if s, ok := item.(string); ok && s != "" {
				versions = append(versions, s)
			}
		}
		return versions
	}
	return []string{text} // a commit of digits only reads as a number
}

// await asks until the new version answers: a 200 of the old one looks as good.
func (r *runner) await(ctx context.Context) error {
	r.deps.Progress("waiting for the new version to answer")
	var last sighting
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		s := r.look(ctx)
		if s.wanted != "" {
			r.version.seen = s.wanted
			return nil
		}
		if ctx.Err() == nil || last == (sighting{}) { // what the deadline cut off says less than what was seen before
			last = s
		}
		if ctx.Err() != nil || r.deps.Sleep(ctx, wait) != nil {
			return r.notSeen(last)
		}
		if s.other != "" {
			r.deps.Progress("not yet the new version: " + s.other)
		}
	}
}

// notSeen says why the new version was not seen within the timeout.
func (r *runner) notSeen(s sighting) error {
	if s.other != "" {
		return fault.Failedf("%s does not answer with the new version after %v: %s", r.in.VersionPath, r.in.Timeout, s.other).
			WithDetail(r.wanted()...).
			WithNext(fmt.Sprintf("Did the new version start? %s has to answer with IDP_REVISION or IDP_DIGEST from the environment.", r.in.VersionPath), orElse)
	}
	if !r.answered {
		return r.unreachable(s.problem)
	}
	return fault.Undeterminedf("which version answers cannot be told from %s: %s", r.in.VersionPath, s.problem).
		WithDetail(r.wanted()...).
		WithNext(fmt.Sprintf("Let %s answer with IDP_REVISION or IDP_DIGEST from the environment, as text or in a JSON object.", r.in.VersionPath),
			orElse)
}

func (r *runner) unreachable(problem string) error {
	return fault.Undeterminedf("%s never answered within %v: %s", r.base, r.in.Timeout, problem).
		WithNext("Is the service running, and is the URL right for where this runs?")
}

func (r *runner) wanted() (lines []string) {
	if r.in.WantDigest != "" {
		lines = append(lines, "wanted digest: "+r.in.WantDigest)
	}
	if r.in.WantCommit != "" {
		lines = append(lines, "wanted revision: "+r.in.WantCommit)
	}
	return lines
}
