package app

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/pflag"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
)

// parseFlags reads the command line against the declared inputs and gives what was given.
func parseFlags(set *action.Set, name string, args []string) (map[string]string, error) {
	given, rest, err := parseArgs(set, name, args)
	if err == nil && len(rest) > 0 {
		err = fault.BadInputf("%q is not an input of idp %s", rest[0], name).WithNext(fmt.Sprintf("See: idp %s --help", name))
	}
	return given, err
}

// parseArgs gives besides what is no flag.
func parseArgs(set *action.Set, name string, args []string) (given map[string]string, rest []string, err error) {
	fs := flagsOf(set, name)
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

func flagsOf(set *action.Set, name string) *pflag.FlagSet {
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
		if near := nearest(unknown.GetSpecifiedName(), names); near != "" {
			return problem.WithNext("Did you mean --" + near + "?")
		}
	}
	return problem.WithNext(fmt.Sprintf("See: idp %s --help", name))
}

// nearest finds the name that a typing error most likely meant; empty when none is near.
func nearest(word string, names []string) string {
	best, distance := "", 1+len(word)/3
	for _, n := range names {
		if d := levenshtein.ComputeDistance(word, n); d <= distance {
			best, distance = n, d-1
		}
	}
	return best
}

func unknownCommand(name string) error {
	var names []string
	for _, a := range registry {
		names = append(names, a.Name)
	}
	for _, c := range commands {
		names = append(names, c.name)
	}
	problem := fault.BadInputf("there is no command %q", name)
	if near := nearest(name, names); near != "" {
		return problem.WithNext("Did you mean: idp " + near)
	}
	return problem.WithNext("See: idp --help")
}

// wrap breaks text into lines of at most width columns.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
