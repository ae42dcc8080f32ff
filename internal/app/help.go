package app

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/reading"
)

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

const exitCodes = `Exit codes: 0 passed, 1 a gate failed, 2 bad input, 3 could not be determined.
`

// commandInputs are the inputs of commands, for their help.
var commandInputs = map[string]func() declarer{
	"metrics":  func() declarer { return &reading.MetricsInputs{} },
	"spend":    func() declarer { return &reading.SpendInputs{} },
	"evidence": func() declarer { return &reading.ImageInputs{} },
}

type declarer interface{ Declare(*action.Set) }

func help(w cli.World, args []string) int {
	if len(args) == 0 {
		printHelp(w.Stdout)
		return cli.Passed
	}
	for _, a := range registry {
		if a.Name == args[0] {
			printActionHelp(w.Stdout, a)
			return cli.Passed
		}
	}
	for _, c := range commands {
		if c.name == args[0] {
			_, _ = fmt.Fprintf(w.Stdout, "idp %s %s\n\n%s\n", c.name, c.usage, c.does)
			if in, ok := commandInputs[c.name]; ok {
				var set action.Set
				in().Declare(&set)
				_, _ = fmt.Fprintln(w.Stdout)
				printFlags(w.Stdout, &set)
			}
			return cli.Passed
		}
	}
	return cli.Exit(w, unknownCommand(args[0]))
}

func printHelp(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	p("idp walks the golden path of a delivery: scan, build, sign, verify, deploy, smoke-test, register, account.\n\n")
	p("Try it:  idp path --target local --service FOLDER\n\nActions:\n")
	for _, a := range registry {
		p("  %-13s %s\n", a.Name, a.Does)
	}
	p("\nOther commands:\n")
	for _, c := range commands {
		if c.does != "" {
			p("  %-13s %s\n", c.name, c.does)
		}
	}
	p("\nidp COMMAND --help says more. %s", exitCodes)
}

func printActionHelp(w io.Writer, a delivery.Action) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	set := a.Inputs()
	p("idp %s: %s\n\nUsage: idp %s [flags]\n", a.Name, a.Does, a.Name)
	if a.Alone != nil {
		p("       idp %s IMAGE %s\n        %s\n", a.Name, reading.AloneUsage, reading.AloneDoes)
	}
	p("\n")
	printFlags(w, set)
	p("\nEach flag can be given as an environment variable too: --%s as %s.\n%s",
		"service", action.Variable("service"), exitCodes)
}

func printFlags(w io.Writer, set *action.Set) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	p("Flags:\n")
	for _, in := range set.Inputs() {
		if in.Secret {
			p("  %s, a secret: not a flag\n", action.Variable(in.Name))
		} else {
			p("  --%s%s\n", in.Name, valueOf(set, in))
		}
		for _, line := range wrap(in.Usage+extras(set, in), 96) {
			p("        %s\n", line)
		}
	}
}

func valueOf(set *action.Set, in action.Input) string {
	switch {
	case set.IsBool(in.Name):
		return ""
	case len(in.OneOf) > 0:
		return " " + strings.Join(in.OneOf, "|")
	}
	return " " + strings.ToUpper(in.Name)
}

// quoted sets a default that is only dots apart from the end of the sentence: of a dot, ".." would be left.
func quoted(text string) string {
	if strings.Trim(text, ".") == "" {
		return strconv.Quote(text)
	}
	return text
}

func extras(set *action.Set, in action.Input) string {
	switch {
	case in.Secret && in.Required:
		return " Required."
	case in.Secret:
		return ""
	case in.Required:
		return " Required, such as " + in.Example + "."
	case in.Default != "" && !set.IsBool(in.Name):
		return " Default: " + quoted(in.Default) + "."
	case in.Example != "" && len(in.OneOf) == 0:
		return " Such as " + in.Example + "."
	}
	return ""
}
