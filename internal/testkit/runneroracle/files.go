// Package runneroracle reads what a step writes as strictly as the GitHub runner does, for tests to hold our writes against.
// It follows actions/runner v2.336.0 on Linux: FileCommandManager.cs for the command files, ActionCommand.cs,
// ActionCommandManager.cs and OutputManager.cs for the log. Where the runner warns and goes on, the oracle says so too, since
// nothing of ours may make it warn.
package runneroracle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Pair is a name and its value.
type Pair struct{ Name, Value string }

// Pairs reads a file of outputs or state: EnvFileKeyValuePairs. Pairs before an error have been taken by the runner, so
// they are given beside it.
func Pairs(data []byte) ([]Pair, error) {
	text := decode(data)
	var pairs []Pair
	for text != "" {
		var line string
		line, text, _ = cutLine(text)
		if line == "" {
			continue
		}
		equals, here := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (here < 0 || equals < here):
			pairs = append(pairs, Pair{line[:equals], line[equals+1:]}) // the name may be empty here; the runner looks at the line
		case here >= 0:
			name, delimiter := line[:here], line[here+2:]
			if name == "" || delimiter == "" {
				return pairs, fmt.Errorf("invalid format %q: name and delimiter must not be empty", line)
			}
			value, rest, err := heredoc(text, delimiter)
			if err != nil {
				return pairs, err
			}
			pairs, text = append(pairs, Pair{name, value}), rest
		default:
			return pairs, fmt.Errorf("invalid format %q", line)
		}
	}
	return pairs, nil
}

// heredoc reads up to a line that is exactly the delimiter.
func heredoc(text, delimiter string) (value, rest string, err error) {
	for at := 0; ; {
		if at == len(text) {
			return "", "", fmt.Errorf("invalid value: matching delimiter not found %q", delimiter)
		}
		line, after, ended := cutLine(text[at:])
		switch {
		case line == delimiter:
			return strings.TrimSuffix(text[:at], "\n"), after, nil
		case !ended:
			return "", "", fmt.Errorf("invalid value: EOF marker missing new line")
		}
		at = len(text) - len(after)
	}
}

// cutLine ends a line at LF alone, as the runner does anywhere but on Windows.
func cutLine(text string) (line, rest string, ended bool) { return strings.Cut(text, "\n") }

// blockedEnv is what a step may not set for the next ones; case does not matter.
const blockedEnv = "NODE_OPTIONS"

// Env reads a file of environment variables. Blocked ones are an error of the step in the log.
func Env(data []byte) (set []Pair, blocked []string, err error) {
	pairs, err := Pairs(data)
	for _, p := range pairs {
		if strings.EqualFold(p.Name, blockedEnv) {
			blocked = append(blocked, p.Name)
		} else {
			set = append(set, p)
		}
	}
	return set, blocked, err
}

// Path reads a file of entries for PATH: File.ReadAllLines, for which CR ends a line too.
func Path(data []byte) []string {
	var entries []string
	for _, line := range readLines(decode(data)) {
		if line != "" {
			entries = append(entries, line)
		}
	}
	return entries
}

// decode is what .NET's File.ReadAllText makes of bytes: the encoding that a byte order mark names, else UTF-8 with U+FFFD
// for what is not.
func decode(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decode16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decode16(data[2:], binary.BigEndian)
	}
	return strings.ToValidUTF8(string(data), "\ufffd")
}

func decode16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// readLines is .NET's ReadLine until the end: LF, CR, and CR LF each end a line.
func readLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
