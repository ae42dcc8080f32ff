package sast

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/securego/gosec/v2/issue"
	"go.yaml.in/yaml/v3"
)

//go:embed rules.yaml
var rulesYAML []byte

// helps says what each rule means and how to fix it.
var helps = sync.OnceValues(func() (map[string]string, error) {
	all := map[string]string{}
	if err := yaml.Unmarshal(rulesYAML, &all); err != nil {
		return nil, fmt.Errorf("rules.yaml: %w", err)
	}
	return all, nil
})

// uri is where to read more: the weakness, or the rule's page where gosec names no weakness.
func uri(i *issue.Issue) string {
	if i.Cwe != nil {
		return i.Cwe.SprintURL()
	}
	return "https://securego.io/docs/rules/" + strings.ToLower(i.RuleID)
}
