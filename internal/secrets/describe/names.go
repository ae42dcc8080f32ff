package describe

import (
	"regexp"
	"slices"
	"strings"
)

// special are rules whose names do not say what they find.
var special = map[string]string{
	"age-secret-key": "A private key", "private-key": "A private key", "pkcs12-file": "A file of private keys",
	"generic-api-key": "What looks like an API key or a password",
	"jwt":             "A JSON Web Token", "jwt-base64": "A JSON Web Token",
	"curl-auth-header": "A credential in a call of curl", "curl-auth-user": "A password in a call of curl",
	"kubernetes-secret-yaml": "A Kubernetes Secret", "sidekiq-sensitive-url": "A URL with a Sidekiq credential",
	"nuget-config-password": "A password of NuGet", "hashicorp-tf-password": "A password in Terraform code",
	"hashicorp-tf-api-token": "A Terraform API token", "microsoft-teams-webhook": "A Microsoft Teams webhook",
}

// spelled are the parts of rule names that are not written as they sound.
var spelled = map[string]string{
	"1password": "1Password", "clickhouse": "ClickHouse", "droneci": "Drone CI", "easypost": "EasyPost", "flyio": "Fly.io", "frameio": "Frame.io",
	"freshbooks": "FreshBooks", "gocardless": "GoCardless", "hubspot": "HubSpot", "intra42": "42 Intra", "jfrog": "JFrog", "kucoin": "KuCoin",
	"launchdarkly": "LaunchDarkly", "linkedin": "LinkedIn", "maxmind": "MaxMind", "messagebird": "MessageBird", "nytimes": "New York Times",
	"openshift": "OpenShift", "planetscale": "PlanetScale", "privateai": "Private AI", "rapidapi": "RapidAPI", "readme": "ReadMe", "settlemint": "SettleMint",
	"sumologic": "Sumo Logic", "travisci": "Travis CI", "api": "API", "aws": "AWS", "id": "ID", "oauth": "OAuth", "personnal": "personal", "pub": "public",
}

// kinds are the words that say what sort of secret it is; the issuer comes before them.
var kinds = strings.Fields(`access api application batch bearer browser client custom delivery encryption id identity insert key license
	long oauth page password personal personnal private pub public reference refresh secret service session shared short test token user`)

var plainName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// nameOf says what a rule finds, from the rule's own name: "A Coinbase access token" for coinbase-access-token. It is empty where
// that says nothing.
func nameOf(rule string) string {
	if name, ok := special[rule]; ok {
		return name
	}
	words := strings.Split(rule, "-")
	first := slices.IndexFunc(words, func(w string) bool { return slices.Contains(kinds, w) })
	if !plainName.MatchString(rule) || first < 1 {
		return ""
	}
	for i, w := range words {
		switch as, ok := spelled[w]; {
		case ok:
			words[i] = as
		case i < first:
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	article := "A "
	if strings.ContainsAny(words[0][:1], "AEIO") {
		article = "An "
	}
	return article + strings.Join(words, " ")
}
