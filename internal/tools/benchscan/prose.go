package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// prose writes text as it is found in repositories.
type prose struct{ *rand.Rand }

var vocabulary = strings.Fields(`account address amount app array balance batch body buffer build cache call cart channel charge
	check client cloud cluster code command config connect context copy count create currency customer data database date debug decode
	default delete deploy device digest email encode endpoint entry error event example export factory field file filter format
	function gateway group handle handler hash header health host http image import index input instance invoice item job label
	latency limit list loader log login manager map message method metric model module monitor name network node number object offset
	option order output package page parse partner path payment payload port price process product profile project provider
	proxy query queue range rate reader record refund region registry release remote replica report request resource response result
	retry role route rule run schema scope segment server service session settle shard shipment signal sink size source stack
	start state status step storage store stream string subject table tag target task team template test tenant thread time timeout
	topic trace transfer transport type update upload url usage user validate value version volume wallet webhook worker write`)

// keywords are what rules look for. They make up one word in 100, as in the code of larger projects.
var keywords = strings.Fields("api access auth credential key password secret token")

func (p prose) word() string {
	if p.IntN(100) == 0 {
		return keywords[p.IntN(len(keywords))]
	}
	return vocabulary[p.IntN(len(vocabulary))]
}

func (p prose) camel() string {
	name := p.word()
	for range 1 + p.IntN(3) {
		w := p.word()
		name += strings.ToUpper(w[:1]) + w[1:]
	}
	return name
}

func (p prose) sentence() string {
	words := []string{"The"}
	for range 4 + p.IntN(12) {
		words = append(words, p.word())
	}
	return strings.Join(words, " ")
}

// letters are of what keys consist of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (p prose) random(alphabet string, n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[p.IntN(len(alphabet))]
	}
	return string(text)
}

func (p prose) hex(n int) string { return p.random("0123456789abcdef", n) }

func (p prose) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.IntN(256)) // #nosec G115 -- below 256
	}
	return b
}

var kinds = []string{"go", "go", "go", "go", "yaml", "json", "md", "ts", "sum"}

func (p prose) path() string {
	return fmt.Sprintf("%s/%s/%s%d.%s", []string{"internal", "pkg", "services", "web", "deploy"}[p.IntN(5)], p.word(), p.word(), p.IntN(50), kinds[p.IntN(len(kinds))])
}

func (p prose) file(name string) []string {
	var lines []string
	for range 20 + p.IntN(160) {
		lines = append(lines, p.line(name))
	}
	return lines
}

// line is one of a file with such a name. Some look like secrets and are none, as in every repository.
func (p prose) line(name string) string {
	switch name[strings.LastIndexByte(name, '.'):] {
	case ".go":
		return p.code()
	case ".ts":
		return [...]func() string{
			func() string {
				return fmt.Sprintf("  const %s = await %s(%s.%s);", p.camel(), p.camel(), p.word(), p.camel())
			},
			func() string { return fmt.Sprintf("  if (%s !== '%s') { return %s; }", p.camel(), p.word(), p.camel()) },
			func() string { return fmt.Sprintf("  %s: %s<%s>;", p.camel(), p.camel(), p.camel()) },
			func() string { return fmt.Sprintf("  key: `${%s}-%d`,", p.camel(), p.IntN(1000)) },
			func() string { return "  }" },
		}[p.IntN(5)]()
	case ".yaml":
		return [...]func() string{
			func() string { return fmt.Sprintf("%s%s: %s", strings.Repeat("  ", p.IntN(4)), p.word(), p.word()) },
			func() string { return fmt.Sprintf("    - name: %s", strings.ToUpper(p.word()+"_"+p.word())) },
			func() string { return fmt.Sprintf("      value: %q", p.sentence()) },
			func() string { return fmt.Sprintf("        secretKeyRef: {name: %s, key: %s}", p.word(), p.word()) },
			func() string {
				return fmt.Sprintf("    image: registry.example.com/%s/%s@sha256:%s", p.word(), p.word(), p.hex(64))
			},
		}[p.IntN(5)]()
	case ".json":
		return [...]func() string{
			func() string { return fmt.Sprintf("  %q: %q,", p.camel(), p.word()) },
			func() string { return fmt.Sprintf("  %q: %d,", p.camel(), p.IntN(100000)) },
			func() string {
				return fmt.Sprintf("  %q: \"https://%s.example.com/%s?%s=%s%%20%s\",", p.camel(), p.word(), p.word(), p.word(), p.word(), p.word())
			},
		}[p.IntN(3)]()
	case ".sum":
		return fmt.Sprintf("github.com/%s/%s v%d.%d.%d h1:%s", p.word(), p.word(), p.IntN(3), p.IntN(30), p.IntN(9), base64.StdEncoding.EncodeToString(p.bytes(32)))
	}
	return p.sentence() + ". " + p.sentence() + "."
}

func (p prose) code() string {
	return [...]func() string{
		func() string {
			return fmt.Sprintf("\t%s, err := %s.%s(ctx, %s)", p.word(), p.word(), p.camel(), p.camel())
		},
		func() string { return "\tif err != nil {" },
		func() string { return fmt.Sprintf("\t\treturn fmt.Errorf(\"%s %s: %%w\", err)", p.word(), p.word()) },
		func() string { return "\t}" },
		func() string { return "" },
		func() string { return fmt.Sprintf("\t// %s.", p.sentence()) },
		func() string {
			return fmt.Sprintf("func (%s *%s) %s(ctx context.Context, %s string) error {", p.word()[:1], p.camel(), p.camel(), p.word())
		},
		func() string { return fmt.Sprintf("\t%s.%s = %s[%q]", p.word(), p.camel(), p.camel(), p.word()) },
		func() string {
			return fmt.Sprintf("\t\"github.com/example/%s/internal/%s/%s\"", p.word(), p.word(), p.word())
		},
		func() string { return fmt.Sprintf("\t%sKey = %q", p.camel(), p.camel()) },
		func() string { return fmt.Sprintf("\tfor _, %s := range %s {", p.word(), p.camel()) },
		func() string { return fmt.Sprintf("\t%s string `json:%q yaml:%q`", p.camel(), p.camel(), p.word()) },
	}[p.IntN(12)]()
}

// secret is a line with a value of a form that a rule knows. No one has issued any of them.
func (p prose) secret() string {
	token := "gh" + "p_" + p.random(letters, 36)
	return [...]func() string{
		func() string { return "token := \"" + token + "\"" },
		func() string { return "GITHUB: " + base64.StdEncoding.EncodeToString([]byte("token="+token)) },
		func() string {
			return "aws_access_key_id = AK" + "IA" + p.random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
		},
		func() string { return "stripe: sk" + "_live_" + p.random(letters, 24) },
		func() string {
			return "slack = xox" + "b-" + p.random("0123456789", 12) + "-" + p.random("0123456789", 12) + "-" + p.random(letters, 24)
		},
		func() string { return "api_key: \"" + p.random(letters, 32) + "\"" },
		func() string { return "password = '" + p.random(letters+"-_", 24) + "'" },
		func() string {
			return "-----BEGIN RSA PRIVATE KEY-----\n" + p.random(letters, 64) + "\n" + p.random(letters, 64) + "\n-----END RSA PRIVATE KEY-----"
		},
	}[p.IntN(8)]()
}
