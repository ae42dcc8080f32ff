package waiver

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
)

const head = `# Findings that are let pass for now: why, who answers for it, and until when. docs/findings.md says more.
waivers:
`

// Add gives the file with one more waiver at its end. All that was in it stays as it was, comments too. Data is empty for
// a file that is not there yet.
func Add(name string, data []byte, w Waiver) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return append([]byte(head), w.lines(2)...), nil
	}
	f, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	for _, old := range f.Waivers {
		if old.Fingerprint == w.Fingerprint && old.Scanner == w.Scanner {
			return nil, fault.BadInputf("%s:%d waives this finding already, until %s", name, old.line, old.Expires).
				WithNext("Change that one.")
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	list := doc.Content[0].Content[1] // Parse has seen that there is this one key
	if list.Style&yaml.FlowStyle != 0 {
		if len(list.Content) > 0 {
			return nil, fault.BadInputf("%s writes its waivers in brackets, to which nothing can be added", name).
				WithNext("Write one waiver a line: - fingerprint: …")
		}
		data = bytes.Replace(data, []byte("[]"), nil, 1)
		list.Column = 3
	}
	text := bytes.TrimRight(data, " \t\r\n")
	out := append(append(text, '\n'), w.lines(list.Column-1)...)
	if _, err := Parse(name, out); err != nil {
		return nil, fault.Undeterminedf("%s cannot be added to: %w", name, err)
	}
	return out, nil
}

// lines writes the waiver as an item of a list. A double-quoted text of Go without \x and \U escapes is one of YAML.
func (w Waiver) lines(indent int) []byte {
	var b bytes.Buffer
	lead := strings.Repeat(" ", indent) + "- "
	for _, f := range []struct{ key, value string }{
		{"fingerprint", strconv.Quote(w.Fingerprint)}, {"scanner", quoted(w.Scanner)}, {"rule", quoted(w.Rule)}, {"path", quoted(w.Path)},
		{"reason", quoted(w.Reason)}, {"owner", quoted(w.Owner)}, {"expires", w.Expires},
	} {
		fmt.Fprintf(&b, "%s%s: %s\n", lead, f.key, f.value)
		lead = strings.Repeat(" ", indent+2)
	}
	return b.Bytes()
}

// quoted writes any text as a YAML string in one line.
func quoted(s string) string {
	return strconv.Quote(strings.ToValidUTF8(s, "?"))
}
