// Package action declares what an action takes and gives, once. Flags, the environment of a GitHub runner, action.yml,
// README.md and --help all come from that declaration.
package action

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
)

// Input is one input of an action.
type Input struct {
	Name     string // with hyphens; the flag is --Name, the runner's variable INPUT_NAME
	Usage    string // one sentence, ends in a full stop
	Default  string // shown and applied as text; empty means that idp.yaml, the policy or the stage decides
	Workflow string // default in a workflow only, as an expression such as ${{ github.token }}
	Example  string // shown where a missing one is asked for
	OneOf    []string
	Required bool
	Secret   bool // taken from the environment only, since argument lists are public; never shown, and masked in logs
}

// Output is one output of an action.
type Output struct {
	Name, Usage string
}

// Set holds the inputs of one action and where their values go. Declaring an input twice with the same words gives it two
// targets, so a path is declared by declaring its stages.
type Set struct {
	inputs []*bound
	byName map[string]*bound
}

type bound struct {
	Input
	isBool  bool
	value   string // after Fill
	targets []func(string) error
}

// String declares a text, of one line or several.
func (s *Set) String(target *string, in Input) {
	s.add(in, false, func(v string) error { *target = v; return nil })
}

// Bool declares a switch, in the words of YAML's core schema: true, True, TRUE, false, False or FALSE.
func (s *Set) Bool(target *bool, in Input) {
	if in.Default == "" {
		in.Default = "false"
	}
	in.OneOf = []string{"true", "false"}
	s.add(in, true, func(v string) error { *target = v == "true"; return nil })
}

// OptionalBool declares a switch whose default is decided elsewhere: the target stays nil where nothing is given.
func (s *Set) OptionalBool(target **bool, in Input) {
	in.OneOf = []string{"true", "false"}
	s.add(in, true, func(v string) error {
		if *target = nil; v != "" {
			on := v == "true"
			*target = &on
		}
		return nil
	})
}

// Int declares a whole number of 0 or more.
func (s *Set) Int(target *int, in Input) {
	s.add(in, false, func(v string) error {
		if v == "" {
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a whole number", v)
		}
		*target = n
		return nil
	})
}

// Duration declares a time span, such as 90s or 10m.
func (s *Set) Duration(target *time.Duration, in Input) {
	s.add(in, false, func(v string) error {
		if v == "" {
			return nil
		}
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a time span such as 90s or 10m", v)
		}
		*target = d
		return nil
	})
}

// List declares several texts, one a line or separated by commas.
func (s *Set) List(target *[]string, in Input) { s.split(target, in, "\r\n,") }

// Lines declares several texts, one a line, which may hold commas.
func (s *Set) Lines(target *[]string, in Input) { s.split(target, in, "\r\n") }

func (s *Set) split(target *[]string, in Input, at string) {
	s.add(in, false, func(v string) error {
		*target = nil
		for _, item := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(at, r) }) {
			if item = strings.TrimSpace(item); item != "" {
				*target = append(*target, item)
			}
		}
		return nil
	})
}

func (s *Set) add(in Input, isBool bool, target func(string) error) {
	if s.byName == nil {
		s.byName = map[string]*bound{}
	}
	if b, ok := s.byName[in.Name]; ok {
		if !sameWords(b.Input, in) {
			panic(fmt.Sprintf("input %s is declared in two ways", in.Name))
		}
		b.Required = b.Required || in.Required
		b.targets = append(b.targets, target)
		return
	}
	b := &bound{Input: in, isBool: isBool, targets: []func(string) error{target}}
	s.byName[in.Name] = b
	s.inputs = append(s.inputs, b)
}

func sameWords(a, b Input) bool {
	return a.Usage == b.Usage && a.Default == b.Default && a.Workflow == b.Workflow && a.Example == b.Example && a.Secret == b.Secret &&
		slices.Equal(a.OneOf, b.OneOf)
}

// Inputs lists the declarations in their order.
func (s *Set) Inputs() []Input {
	list := make([]Input, len(s.inputs))
	for i, b := range s.inputs {
		list[i] = b.Input
	}
	return list
}

// Fill gives every input its value, from the first of flags, the runner's environment and the default that has one, and
// reports all that is wrong together, exit code 2. Flags holds only what was given on the command line.
func (s *Set) Fill(flags map[string]string, getenv func(string) string) error {
	var problems []string
	for _, b := range s.inputs {
		value, given := flags[b.Name]
		if !given || b.Secret {
			value = strings.TrimSpace(getenv(Variable(b.Name)))
		}
		if value == "" {
			value = b.Default
		}
		if err := b.set(value); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) == 0 {
		return nil
	}
	if len(problems) == 1 {
		return fault.BadInputf("%s", problems[0])
	}
	return fault.BadInputf("%d inputs are wrong", len(problems)).WithDetail(problems...)
}

func (b *bound) set(value string) error {
	if b.isBool && slices.Contains([]string{"True", "TRUE", "False", "FALSE"}, value) {
		value = strings.ToLower(value)
	}
	b.value = value
	if value == "" && b.Required {
		return fmt.Errorf("input %s is required, %s", b.Name, b.how())
	}
	if value != "" && len(b.OneOf) > 0 && !slices.Contains(b.OneOf, value) {
		return b.wrong(fmt.Errorf("%q is not one of %s", value, strings.Join(b.OneOf, ", ")))
	}
	for _, target := range b.targets {
		if err := target(value); err != nil {
			return b.wrong(err)
		}
	}
	return nil
}

// how says how the input is given.
func (b *bound) how() string {
	if b.Secret {
		return "as the variable " + Variable(b.Name)
	}
	return fmt.Sprintf("such as --%s %s", b.Name, b.Example)
}

// wrong names the input, and not what a secret one holds.
func (b *bound) wrong(err error) error {
	if b.Secret {
		return fmt.Errorf("input %s is not of its form", b.Name)
	}
	return fmt.Errorf("input %s: %w", b.Name, err)
}

// Secrets gives the values of the secret inputs, as far as Fill read them, also when it gave an error.
func (s *Set) Secrets() []string {
	var values []string
	for _, b := range s.inputs {
		if b.Secret && b.value != "" {
			values = append(values, b.value)
		}
	}
	return values
}

// IsBool tells whether the input is a switch, which needs no value on the command line.
func (s *Set) IsBool(name string) bool { return s.byName[name] != nil && s.byName[name].isBool }

// Variable is the environment variable in which a GitHub runner hands over an input: upper case, hyphens kept.
func Variable(name string) string {
	return "INPUT_" + strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
}
