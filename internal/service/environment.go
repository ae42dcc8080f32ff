package service

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/strictyaml"
)

// Local is the environment of the local deploy target. It needs no entry in idp.yaml.
const Local = "local"

// In is the service as it is in one environment: a copy with that environment's variables, scale, size, manifests and
// strategy over its own.
// An environment that idp.yaml does not list is BadInput, except Local.
func (s *Service) In(environment string) (*Service, error) {
	env, listed := s.Environments[environment]
	if !listed && environment != Local {
		return nil, s.unknown(environment)
	}
	c := *s
	c.Env = maps.Clone(s.Env)
	if len(env.Env) > 0 && c.Env == nil {
		c.Env = map[string]string{}
	}
	maps.Copy(c.Env, env.Env)
	if env.Scale != nil {
		c.Scale = env.Scale.over(s.Scale)
	}
	if env.Size != "" {
		c.Size = env.Size
	}
	if env.Deploy != nil {
		c.Deploy = *env.Deploy
	}
	return &c, nil
}

// Namespace is the Kubernetes namespace of an environment.
func (s *Service) Namespace(environment string) string {
	return cmp.Or(s.Environments[environment].Namespace, s.Name)
}

func (s *Service) unknown(environment string) error {
	names := slices.Sorted(maps.Keys(s.Environments))
	if !slices.Contains(names, Local) {
		names = append(names, Local)
	}
	if environment == "" {
		return fault.BadInputf("no environment was named").WithNext("Say it: --environment NAME, one of " + strings.Join(names, ", ") + ".")
	}
	hint := ""
	if near, ok := strictyaml.Nearest(environment, names); ok {
		hint = fmt.Sprintf(", did you mean %q?", near)
	}
	return fault.BadInputf("environment %q is not in %s%s", environment, File, hint).WithNext(
		"Name one of " + strings.Join(names, ", ") + ", or add it under environments in " + File + ".")
}

// BudgetPattern is the form of a budget. The tags of Environment.Budget and of the policy's budget say the same; a test
// holds them together.
const BudgetPattern = `^[0-9]+(\.[0-9]{1,2})? [A-Z]{3}/month$`

var budget = regexp.MustCompile(BudgetPattern)

// ParseBudget reads an amount a month, such as 300 USD/month. The currency is an ISO 4217 code.
func ParseBudget(s string) (amount float64, currency string, err error) {
	if !budget.MatchString(s) {
		return 0, "", fmt.Errorf("budget %.40q: want an amount, a currency and /month, such as 300 USD/month", s)
	}
	number, rest, _ := strings.Cut(s, " ")
	amount, err = strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, "", fmt.Errorf("budget %.40q: the amount is too large", s)
	}
	return amount, strings.TrimSuffix(rest, "/month"), nil
}
