package describe

import (
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/detect"
)

// The GitHub tokens are published, expired ones (the fixtures of base62-token.js, which implements GitHub's description);
// the values of AWS, Stripe and jwt.io are those of their documentation. All are in pieces, so that none is in this file.
func TestConfidence(t *testing.T) {
	t.Parallel()
	join := func(parts ...string) string { return strings.Join(parts, "") }
	for _, c := range []struct{ what, rule, secret, path, want, why string }{
		{"a right checksum", "github-pat", join("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "a.go", "high", "GitHub has issued it"},
		{"another", "github-pat", join("gh", "p_adE7dp8rHP6gUTuPwxLTZjZdtya3sV", "0UQzQM"), "a.go", "high", "GitHub has issued it"},
		{"another", "github-pat", join("gh", "p_H3xbiBdlzffNx7Y56iNsPw3joObj7U", "2nO29h"), "a.go", "high", "GitHub has issued it"},
		{"in a test all the same", "github-pat", join("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "testdata/a", "high", "GitHub has issued it"},
		{"an OAuth token's", "github-oauth", join("gh", "o_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "a.go", "high", "GitHub has issued it"},
		{"one letter changed", "github-pat", join("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkj", "0mLq17"), "a.go", "low", "GitHub has not issued it"},
		{"npm's", "npm-access-token", join("np", "m_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"), "a.go", "high", "npm has issued it"},
		{"npm's, wrong", "npm-access-token", join("np", "m_TCllNwh2WLQlMWVhybM1iQrsTj6rMQ", "0BOh6d"), "a.go", "medium", "not that of a token of npm"},
		{"a form without checksum", "github-fine-grained-pat", join("github", "_pat_11ABCDEFG0k3JzQmV8xYw2_Tn5Rb7Lp9"), "a.go", "high", ""},
		{"AWS's example", "aws-access-token", join("AK", "IAIOSFODNN7EXAMPLE"), "a.go", "low", "an example"},
		{"AWS's example secret", "generic-api-key", join("wJalrXUtnFEMI/K7MDENG/", "bPxRfiCYEXAMPLEKEY"), "a.go", "low", "an example"},
		{"a form like AWS's", "aws-access-token", join("AK", "IAQ3EGRIZ2TXKPLM47"), "a.go", "high", ""},
		{"Stripe's documented key", "stripe-access-token", join("sk", "_test_4eC39HqLyjWDarjtT1zdp7dc"), "a.go", "low", "an example"},
		{"Stripe's live mode", "stripe-access-token", join("sk", "_live_9sKq2mZ9vB4nL8wR3tY6pD1s"), "a.go", "high", "live mode"},
		{"live mode in a test", "stripe-access-token", join("rk", "_live_9sKq2mZ9vB4nL8wR3tY6pD1s"), "a_test.go", "high", "live mode"},
		{"Stripe's test mode", "stripe-access-token", join("sk", "_test_9sKq2mZ9vB4nL8wR3tY6pD1s"), "a.go", "medium", "test mode"},
		{"a test file", "slack-bot-token", join("xo", "xb-318273645192-817263549182-q8WmZpL4vKx2"), "pkg/a_test.go", "medium", "tests or examples"},
		{"a fixture", "generic-api-key", "q8WmZpL4vKx2RtY7", "web/fixtures/a.json", "low", "tests or examples"},
		{"an example file", "generic-api-key", "q8WmZpL4vKx2RtY7", ".env.example", "low", "tests or examples"},
		{"a name that only looks so", "generic-api-key", "q8WmZpL4vKx2RtY7", "latest/contest.go", "medium", ""},
		{"a readable value", "generic-api-key", "aaaabbbbccccdddd1111", "a.go", "low", "little random"},
		{"a placeholder", "generic-api-key", "your-api-key-goes-here1", "a.go", "low", "an example"},
		{"one character", "generic-api-key", "xxxxxxxxxxxx", "a.go", "low", "an example"},
		{"a file by its name", "pkcs12-file", "", "keys/a.p12", "medium", ""},
	} {
		if got := Rate(c.rule, c.secret, c.path); got.Confidence != c.want || !strings.Contains(got.Why, c.why) || (c.why == "") != (got.Why == "") {
			t.Errorf("%s: %+v, want %s, %q", c.what, got, c.want, c.why)
		}
	}
}

// Every built-in rule has a severity and words that name no value; the tables name only rules that exist.
func TestEveryRuleIsDescribed(t *testing.T) {
	t.Parallel()
	builtIn, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for id := range builtIn.Config.Rules {
		i := Of(id)
		if i.What == "" || i.Revoke == "" || i.Severity == "" || i.Confidence == "" {
			t.Errorf("%s: %+v", id, i)
		}
		if strings.HasPrefix(i.What, "What looks like") && id != "generic-api-key" {
			t.Errorf("%s does not say what it finds: %s", id, i.What)
		}
		for _, p := range providers {
			used[p.prefix] = used[p.prefix] || strings.HasPrefix(id, p.prefix)
		}
	}
	for _, p := range providers {
		if !used[p.prefix] {
			t.Errorf("no rule starts with %s", p.prefix)
		}
	}
	for id := range unspecific {
		if _, ok := builtIn.Config.Rules[id]; !ok {
			t.Errorf("there is no rule %s", id)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"adafruit-api-key": "An Adafruit API key", "coinbase-access-token": "A Coinbase access token", "1password-secret-key": "A 1Password secret key",
		"cisco-meraki-api-key": "A Cisco Meraki API key", "flyio-access-token": "A Fly.io access token", "asana-client-id": "An Asana client ID",
		"airtable-personnal-access-token": "An Airtable personal access token", "planetscale-oauth-token": "A PlanetScale OAuth token",
		"lob-pub-api-key": "A Lob public API key", "jwt": "A JSON Web Token", "acme-api-key": "An Acme API key",
		"own": "", "token": "", "api-key": "", "::error-key": "", "Ünïcode-key": "",
	} {
		if got := nameOf(rule); got != want {
			t.Errorf("%s: %q, want %q", rule, got, want)
		}
	}
	if i := Of("own rule"); i.What != "What looks like a secret (own rule)" {
		t.Errorf("%+v", i)
	}
}
