package signing

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/org/idp/internal/fault"
)

// claims are those of a runner's identity token that matter here. Nothing about them is verified: that is Fulcio's part.
type claims struct {
	Subject    string `json:"sub"`
	Repository string `json:"repository"`
	Visibility string `json:"repository_visibility"`
}

// subjectForm has the owner and the repository of a subject, both with their numbers in repositories that were made after
// July 15th, 2026.
var subjectForm = regexp.MustCompile(`^repo:([^/:@]+)(?:@[0-9]+)?/([^/:@]+)(?:@[0-9]+)?(?::|$)`)

func claimsOf(token string) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("the identity token is not a JWT")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, errors.New("the identity token is not a JWT")
	}
	if json.Unmarshal(body, &c) != nil { // whose error would quote it
		return c, errors.New("the identity token has no claims that can be read")
	}
	if m := subjectForm.FindStringSubmatch(c.Subject); c.Repository == "" && m != nil {
		c.Repository = m[1] + "/" + m[2]
	}
	return c, nil
}

// publishable refuses to tell the world about a repository that is not public. One that does not say what it is, is not.
func (c claims) publishable(log string) error {
	if c.Visibility == "public" {
		return nil
	}
	what := "whose visibility is not known"
	if c.Visibility != "" {
		what = "which is " + c.Visibility
	}
	return fault.BadInputf("keyless signing would publish repository %q, %s: its name, workflow, branch and commits would be in the public log of %s for ever. Nothing was sent",
		c.Repository, what, log).
		WithNext("Sign with a key: --key cosign.key, its password in COSIGN_PASSWORD",
			"Or with a sigstore instance of your own: --signing-config FILE --trusted-root FILE",
			"Or, if all of that may be known: --allow-public-log")
}
