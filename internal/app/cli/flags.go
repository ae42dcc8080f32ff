package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/pflag"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
)

// Fill reads the flags and variables of a command or an action. Secrets are masked before anything else is done.
func Fill(w World, name string, set *action.Set, args []string) error {
	given, err := ParseFlags(set, name, args)
	if err != nil {
		return err
	}
	return fillFrom(w, set, given)
}

func fillFrom(w World, set *action.Set, given map[string]string) error {
	err := set.Fill(given, w.Getenv)
	for _, secret := range set.Secrets() {
		w.Runner.Mask(secret)
	}
	return err
}

// IsHelp tells that help was asked for instead of anything else.
func IsHelp(err error) bool { return errors.Is(err, pflag.ErrHelp) }

// ParseFlags reads the command line against the declared inputs and gives what was given.
func ParseFlags(set *action.Set, name string, args []string) (map[string]string, error) {
	given, rest, err := ParseArgs(set, name, args)
	if err == nil && len(rest) > 0 {
		err = fault.BadInputf("%q is not an input of idp %s", rest[0], name).WithNext(fmt.Sprintf("See: idp %s --help", name))
	}
	return given, err
}

// ParseArgs gives besides what is no flag.
func ParseArgs(set *action.Set, name string, args []string) (given map[string]string, rest []string, err error) {
	fs := FlagsOf(set, name)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil, nil, err
		}
		return nil, nil, flagProblem(set, name, err)
	}
	given = map[string]string{}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return given, fs.Args(), nil
}

// FlagsOf has a flag for every declared input that is no secret.
func FlagsOf(set *action.Set, name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	for _, in := range set.Inputs() {
		if in.Secret { // every user of a machine can read the arguments of a program
			continue
		}
		fs.String(in.Name, "", in.Usage)
		if set.IsBool(in.Name) {
			fs.Lookup(in.Name).NoOptDefVal = "true"
		}
	}
	return fs
}

func flagProblem(set *action.Set, name string, err error) error {
	problem := fault.BadInputf("idp %s: %w", name, err)
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		for _, in := range set.Inputs() {
			if in.Secret && in.Name == unknown.GetSpecifiedName() {
				return fault.BadInputf("input %s is a secret, so it is not taken from the command line, which others can read", in.Name).
					WithNext("Give it as the variable " + action.Variable(in.Name))
			}
			names = append(names, in.Name)
		}
		if near := Nearest(unknown.GetSpecifiedName(), names); near != "" {
			return problem.WithNext("Did you mean --" + near + "?")
		}
	}
	return problem.WithNext(fmt.Sprintf("See: idp %s --help", name))
}

// Nearest finds the name that a typing error most likely meant; empty when none is near.
func Nearest(word string, names []string) string {
	best, distance := "", 1+len(word)/3
	for _, n := range names {
		if d := levenshtein.ComputeDistance(word, n); d <= distance {
			best, distance = n, d-1
		}
	}
	return best
}
