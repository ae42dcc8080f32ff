// Package describe says of a secret, by the rule of gitleaks that found it, what it is, how grave that is and where it is revoked;
// and by its value and its place, how likely it opens something. None of what it says has the value in it.
package describe

import (
	"strings"

	"github.com/org/idp/internal/finding"
)

// provider is who issues a secret, and where it is revoked.
type provider struct{ prefix, what, url string }

// providers are those that services use most, by the start of gitleaks' rule names; a longer prefix comes before a shorter.
var providers = []provider{
	{"anthropic-", "An Anthropic API key", "https://console.anthropic.com/settings/keys"},
	{"atlassian-", "An Atlassian API token", "https://id.atlassian.com/manage-profile/security/api-tokens"},
	{"aws-", "An AWS credential", "https://console.aws.amazon.com/iam/home#/security_credentials"},
	{"azure-ad-", "An Azure client secret", "https://entra.microsoft.com/"},
	{"cloudflare-", "A Cloudflare credential", "https://dash.cloudflare.com/profile/api-tokens"},
	{"databricks-", "A Databricks token", "https://docs.databricks.com/dev-tools/auth/pat.html"},
	{"datadog-", "A Datadog token", "https://app.datadoghq.com/organization-settings/api-keys"},
	{"digitalocean-", "A DigitalOcean token", "https://cloud.digitalocean.com/account/api/tokens"},
	{"gcp-", "A Google Cloud API key", "https://console.cloud.google.com/apis/credentials"},
	{"github-app-", "A GitHub App token", "https://github.com/settings/installations"},
	{"github-oauth", "A GitHub OAuth token", "https://github.com/settings/applications"},
	{"github-", "A GitHub token", "https://github.com/settings/tokens"},
	{"gitlab-", "A GitLab token", "https://gitlab.com/-/user_settings/personal_access_tokens"},
	{"grafana-", "A Grafana token", "https://grafana.com/orgs"},
	{"heroku-", "A Heroku API key", "https://dashboard.heroku.com/account"},
	{"huggingface-", "A Hugging Face token", "https://huggingface.co/settings/tokens"},
	{"mailchimp-", "A Mailchimp API key", "https://admin.mailchimp.com/account/api/"},
	{"mailgun-", "A Mailgun key", "https://app.mailgun.com/settings/api_security"},
	{"npm-", "An npm token", "https://www.npmjs.com/settings/~/tokens"},
	{"openai-", "An OpenAI API key", "https://platform.openai.com/api-keys"},
	{"pypi-", "A PyPI token", "https://pypi.org/manage/account/token/"},
	{"rubygems-", "A RubyGems API key", "https://rubygems.org/profile/api_keys"},
	{"sendgrid-", "A SendGrid API key", "https://app.sendgrid.com/settings/api_keys"},
	{"sentry-", "A Sentry token", "https://sentry.io/settings/account/api/auth-tokens/"},
	{"slack-", "A Slack credential", "https://api.slack.com/apps"},
	{"snyk-", "A Snyk token", "https://app.snyk.io/account"},
	{"stripe-", "A Stripe key", "https://dashboard.stripe.com/apikeys"},
	{"telegram-", "A Telegram bot token", "https://t.me/BotFather"},
	{"twilio-", "A Twilio API key", "https://console.twilio.com/"},
}

// unspecific are rules that know the place of a secret but not its form.
var unspecific = map[string]bool{"generic-api-key": true, "curl-auth-header": true, "curl-auth-user": true, "jwt": true, "jwt-base64": true,
	"kubernetes-secret-yaml": true, "nuget-config-password": true, "hashicorp-tf-password": true, "sidekiq-sensitive-url": true, "pkcs12-file": true}

// halves end the names of rules for what is of use only together with something else.
var halves = []string{"-client-id", "-key-id", "-access-id", "-user-api-id", "-pub-key", "-pub-api-key", "-public-key"}

// Rule is what a person is told about what a rule finds.
type Rule struct {
	What, Revoke, URL string
	Severity          finding.Severity
	Confidence        string
}

// Of describes a rule; one that is not gitleaks' own is called by its name, as that is.
func Of(rule string) Rule {
	r := Rule{What: "What looks like a secret (" + rule + ")", Revoke: "Revoke it where it was issued, and put a new one into a secret store.",
		Severity: finding.Critical, Confidence: confidenceHigh}
	if unspecific[rule] {
		r.Severity, r.Confidence = finding.High, confidenceMedium
	}
	for _, end := range halves {
		if strings.HasSuffix(rule, end) {
			r.Severity = finding.High
		}
	}
	if name := nameOf(rule); name != "" {
		r.What = name
	}
	switch rule {
	case "private-key", "pkcs12-file", "age-secret-key":
		r.Revoke = "Replace it wherever its public half is trusted, and revoke its certificates."
	}
	for _, p := range providers {
		if strings.HasPrefix(rule, p.prefix) {
			r.What, r.URL, r.Revoke = p.what, p.url, "Revoke it: "+p.url
			break
		}
	}
	return r
}
