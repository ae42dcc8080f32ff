package runneroracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Command is one that the runner obeys.
type Command struct {
	Name       string // in lower case
	Properties map[string]string
	Data       string
}

func (c Command) String() string {
	var props []string
	for _, k := range slices.Sorted(maps.Keys(c.Properties)) {
		props = append(props, fmt.Sprintf("%s=%q", k, c.Properties[k]))
	}
	return fmt.Sprintf("%s(%s) %q", c.Name, strings.Join(props, ","), c.Data)
}

// registered are the commands of the runner, in lower case.
var registered = []string{"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
	"save-state", "set-env", "set-output", "stop-commands", "warning"}

// forbidden commands fail the step unless ACTIONS_ALLOW_UNSECURE_COMMANDS is set.
var forbidden = []string{"add-path", "set-env"}

// Log is the reading of one step's log. Standard output and standard error are read side by side into the same one.
type Log struct {
	Commands []Command // but stop-commands and its token
	Text     []string  // lines that are shown
	Stops    []string  // tokens, each time that commands were stopped
	Errors   []string  // of the runner about what was written
	token    string    // resumes; empty while commands are read
}

// Read takes everything that one stream of a step wrote.
func (l *Log) Read(text string) *Log {
	for _, line := range readLines(strings.ToValidUTF8(text, "\ufffd")) {
		if !l.obey(line) {
			l.Text = append(l.Text, line)
		}
	}
	return l
}

// Stopped tells whether the rest of the step can give no commands.
func (l *Log) Stopped() bool { return l.token != "" }

// obey is TryProcessCommand.
func (l *Log) obey(line string) bool {
	c, ok := l.parseColons(line)
	if !ok {
		c, ok = l.parseHashes(line)
	}
	switch {
	case !ok:
		return false
	case l.token != "":
		if strings.EqualFold(c.Name, l.token) {
			l.token = ""
			return true
		}
		return false
	case c.Name == "stop-commands":
		// ValidateStopToken
		if c.Data == "" || slices.Contains(registered, strings.ToLower(c.Data)) || strings.EqualFold(c.Data, "pause-logging") {
			l.Errors = append(l.Errors, fmt.Sprintf("invalid token %q for stop-commands", c.Data))
			return true
		}
		l.token = c.Data
		l.Stops = append(l.Stops, c.Data)
		return true
	}
	l.check(c)
	l.Commands = append(l.Commands, c)
	return true
}

// check is what the commands themselves refuse.
func (l *Log) check(c Command) {
	switch {
	case slices.Contains(forbidden, c.Name):
		l.Errors = append(l.Errors, c.Name+" is disabled")
	case (c.Name == "set-output" || c.Name == "save-state") && c.Properties["name"] == "":
		l.Errors = append(l.Errors, c.Name+" without a name")
	case c.Name == "add-mask" && strings.TrimSpace(c.Data) == "":
		l.Errors = append(l.Errors, "cannot add a mask for an empty string")
	case c.Name == "echo" && !strings.EqualFold(strings.TrimSpace(c.Data), "on") && !strings.EqualFold(strings.TrimSpace(c.Data), "off"):
		l.Errors = append(l.Errors, "invalid echo command value")
	}
}

// known finds a name in any case, as the runner's set does, together with the token that resumes.
func (l *Log) known(name string) (string, bool) {
	lower := strings.ToLower(name)
	return lower, slices.Contains(registered, lower) || l.token != "" && strings.EqualFold(name, l.token)
}

// parseColons is TryParseV2: ::name key=value,key=value::data after any white space.
func (l *Log) parseColons(line string) (Command, bool) {
	line = strings.TrimLeftFunc(line, unicode.IsSpace)
	rest, ok := strings.CutPrefix(line, "::")
	if !ok {
		return Command{}, false
	}
	info, data, ok := strings.Cut(rest, "::")
	if !ok {
		return Command{}, false
	}
	name, properties, _ := strings.Cut(info, " ")
	if name, ok = l.known(name); !ok {
		return Command{}, false
	}
	return Command{name, pairs(strings.TrimSpace(properties), ",", unescapeProperty), unescapeData.Replace(data)}, true
}

// parseHashes is TryParse: ##[name key=value;key=value]data, anywhere in a line.
func (l *Log) parseHashes(line string) (Command, bool) {
	_, rest, ok := strings.Cut(line, "##[")
	if !ok {
		return Command{}, false
	}
	info, data, ok := strings.Cut(rest, "]")
	if !ok {
		return Command{}, false
	}
	name, properties, _ := strings.Cut(info, " ")
	if name, ok = l.known(name); !ok {
		return Command{}, false
	}
	return Command{name, pairs(properties, ";", unescapeHash), unescapeHash.Replace(data)}, true
}

func pairs(text, between string, unescape *sequence) map[string]string {
	props := map[string]string{}
	for _, p := range strings.Split(text, between) {
		p = strings.TrimLeft(p, "=") // RemoveEmptyEntries, with at most two parts
		if k, v, ok := strings.Cut(p, "="); ok && v != "" {
			props[strings.ToLower(k)] = unescape.Replace(v)
		}
	}
	return props
}

// sequence replaces one after the other, %25 last, as the runner does.
type sequence []string

func (s *sequence) Replace(text string) string {
	for i := 0; i < len(*s); i += 2 {
		text = strings.ReplaceAll(text, (*s)[i], (*s)[i+1])
	}
	return text
}

var (
	unescapeData     = &sequence{"%0D", "\r", "%0A", "\n", "%25", "%"}
	unescapeProperty = &sequence{"%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%"}
	unescapeHash     = &sequence{"%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%"}
)
