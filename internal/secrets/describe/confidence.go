package describe

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"regexp"
	"strings"

	"github.com/org/idp/internal/secrets/prefilter"
)

// The values of a finding's confidence: how likely it is that the secret opens something. Nothing is sent anywhere to find
// out.
const (
	confidenceLow    = "low"
	confidenceMedium = "medium"
	confidenceHigh   = "high"
)

// Rating is a confidence and, where the value or its place says more than the rule, why, as a sentence.
type Rating struct{ Confidence, Why string }

// Rate tells a secret that looks live from one that does not. What proves something about the value comes before what only
// its surroundings suggest.
func Rate(rule, secret, path string) Rating {
	usual := Of(rule).Confidence
	if wellKnown[hash(secret)] || placeholder.MatchString(secret) || (len(secret) >= 8 && variety(secret) <= 4) {
		return Rating{confidenceLow, "The value is an example, not a secret that someone was given."}
	}
	if issuer, right, has := checksum(secret); has {
		switch {
		case right:
			return Rating{confidenceHigh, "Its checksum is right, so " + issuer + " has issued it."}
		case issuer == "GitHub":
			return Rating{confidenceLow, "Its checksum is wrong, so GitHub has not issued it."}
		default: // not all of its tokens are known to have one
			return Rating{confidenceMedium, "Its checksum is not that of a token of " + issuer + "."}
		}
	}
	switch {
	case liveMode.MatchString(secret):
		return Rating{confidenceHigh, "It is a key of the live mode."}
	case testMode.MatchString(secret):
		return Rating{confidenceMedium, "It is a key of a test mode."}
	case Fixture(path):
		return Rating{lowered(usual), "It is in a file of tests or examples."}
	case unspecific[rule] && secret != "" && prefilter.Entropy(secret) < readable && !pem.MatchString(secret):
		return Rating{lowered(usual), "The value is little random."}
	}
	return Rating{Confidence: usual}
}

// Fixture tells a file of tests or examples by its path.
func Fixture(path string) bool { return fixture.MatchString(path) }

func lowered(confidence string) string {
	if confidence == confidenceHigh {
		return confidenceMedium
	}
	return confidenceLow
}

// readable is the entropy, in bits a character, below which a value is more like a name than like a key: 3.5, from which on
// gitleaks reports a value that it knows nothing else of, and a little more.
const readable = 3.7

var (
	pem         = regexp.MustCompile(`^-----BEGIN `)
	placeholder = regexp.MustCompile(`(?i)example|dummy|change_?me|placeholder|redacted|your[_-]|xxxxx|0123456789|123456789|abcdefghij|deadbeef`)
	testMode    = regexp.MustCompile(`^(?:[a-zA-Z]{2,10}[_-])?(?i:test|sandbox)[_-]`)
	liveMode    = regexp.MustCompile(`^[a-zA-Z]{2,10}[_-](?:live|prod|production)[_-]`)
	fixture     = regexp.MustCompile(`(?i)(?:^|[/!])(?:testdata|__tests__|__mocks__|__fixtures__|fixtures?|mocks?|tests?|specs?|examples?|samples?|e2e)/` +
		`|_test\.[a-z]+$|[._-](?:tests?|spec|example|sample|template|dist)(?:\.[a-z]+)?$`)
)

// wellKnown are hashes of values that documentation prints: the token on jwt.io, Stripe's two test keys.
var wellKnown = map[string]bool{
	"7f75367e7881255134e1375e723d1dea8ad5f6a4fdb79d938df1f1754a830606": true,
	"2cafc0970149a84f3b9e62eaf169f36f59907a3b3e31f7b82e68c69cd27f7326": true,
	"f2d6ca16515033e5dce14eba840b979d27b5cbae24bb3e5bf484339667f86397": true,
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// variety is how many different bytes there are.
func variety(s string) int {
	var seen [256]bool
	n := 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			n++
		}
	}
	return n
}

// base62 is the alphabet of the checksums: digits, upper case, lower case.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// withChecksum are tokens whose last 6 characters are the CRC-32 of the 30 before them, in base 62. See
// https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/ and
// https://github.blog/2021-09-23-announcing-npms-new-access-token-format/.
var withChecksum = regexp.MustCompile(`^(gh[pousr]|npm)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$`)

// checksum holds the checksum of a token that has one against the token.
func checksum(secret string) (issuer string, right, has bool) {
	m := withChecksum.FindStringSubmatch(secret)
	if m == nil {
		return "", false, false
	}
	issuer = "GitHub"
	if m[1] == "npm" {
		issuer = "npm"
	}
	sum := crc32.ChecksumIEEE([]byte(m[2]))
	var digits strings.Builder
	for power := uint32(916132832); power > 0; power /= 62 { // 62 to the 5th
		digits.WriteByte(base62[sum/power%62])
	}
	return issuer, digits.String() == m[3], true
}
