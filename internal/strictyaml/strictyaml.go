// Package strictyaml reads a YAML file that a person writes into a Go struct and reports everything that is wrong with it
// at once, each problem with its line and column. The struct's tags are the one source: `yaml` names the key,
// `jsonschema` constrains it (required, enum, minimum, maximum, minLength, pattern) as it does in the published schema,
// `want` says in words what a pattern asks for, and `keys` with `keyswant` do the same for the keys of a map.
//
// It takes less than YAML allows. Anchors, aliases, merge keys, explicit tags and further documents are refused: each is a
// way for a file to mean something else than it seems to, or to grow without bound when it is read.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
)

const (
	maxBytes = 1 << 20 // a file that a person writes is a few kilobytes
	maxDepth = 32      // levels of nesting; the deepest that idp.yaml has is 5, plus a JSON value of its author's
)

// Path leads to a node: keys of mappings as string, positions in lists as int.
type Path []any

// Document is a file as far as it could be read, and the problems found in it so far.
type Document struct {
	file     string
	next     []string
	supplied map[string]bool
	root     *yaml.Node          // nil where the file is not a mapping that can be read
	flagged  map[*yaml.Node]bool // nodes with a problem
	refused  map[*yaml.Node]bool // keys that nothing is read from
	problems Problems
}

// Option changes how a file is read.
type Option func(*Document)

// Next adds a line on what to do to the error.
func Next(steps ...string) Option { return func(d *Document) { d.next = append(d.next, steps...) } }

// Supplied names required keys of the top level that may be missing, since another file says them.
func Supplied(keys ...string) Option {
	return func(d *Document) {
		for _, k := range keys {
			d.supplied[k] = true
		}
	}
}

// Decode reads data into the struct that into points to. The error is a *fault.Error of kind BadInput with all problems.
func Decode(file string, data []byte, into any) error { return Parse(file, data, into).Err() }

// Parse reads data into the struct that into points to and keeps the problems, so that a caller can add its own before it
// asks for all of them with Err. Fields with a problem keep their zero value.
func Parse(file string, data []byte, into any, opts ...Option) *Document {
	d := &Document{file: file, supplied: map[string]bool{}, flagged: map[*yaml.Node]bool{}, refused: map[*yaml.Node]bool{}}
	for _, opt := range opts {
		opt(d)
	}
	d.root = d.read(data)
	if d.root != nil {
		d.decode(d.root, reflect.ValueOf(into).Elem(), nil, rules{})
	}
	return d
}

// ReadFile reads a regular file of at most 1 MiB. The error is fs.ErrNotExist where there is none, else BadInput.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.BadInputf("%w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.BadInputf("%s is not a file", path)
	}
	f, err := os.Open(path) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return nil, fault.BadInputf("%w", err)
	}
	defer func() { _ = f.Close() }()
	// One byte more than is allowed, so that Parse sees that there is more and says so.
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fault.BadInputf("%w", err)
	}
	return data, nil
}

// Documents reads the documents of a file that belongs to another program: without a struct, and with all that YAML
// allows. It gives none where one cannot be read.
func Documents(file string, data []byte) ([]*yaml.Node, Problems) {
	d := &Document{file: file}
	return d.documents(data, math.MaxInt), d.problems
}

// documents gives the roots of up to limit documents, or none and a problem.
func (d *Document) documents(data []byte, limit int) []*yaml.Node {
	if len(data) > maxBytes {
		d.add(1, 1, "the file is larger than 1 MiB")
		return nil
	}
	if line, column, problem := plainText(data); problem != "" {
		d.add(line, column, problem)
		return nil
	}
	var roots []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(data)); len(roots) < limit; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			d.syntax(err, data)
			return nil
		}
		roots = append(roots, doc.Content[0])
	}
	return roots
}

// read gives the one mapping that the file consists of, or nil and a problem.
func (d *Document) read(data []byte) *yaml.Node {
	roots := d.documents(data, 2)
	switch {
	case len(d.problems) > 0:
		return nil
	case len(roots) == 0 || len(roots) == 1 && isNull(roots[0]):
		d.add(1, 1, "the file is empty")
		return nil
	case len(roots) > 1:
		d.at(roots[1], "a second YAML document begins here: a file holds one")
		return nil
	}
	root := roots[0]
	if !d.inspect(root, 1) {
		return nil
	}
	if root.Kind != yaml.MappingNode && !d.flagged[root] {
		d.add(root.Line, root.Column, "want a mapping of keys to values, got "+describe(root))
		return nil
	}
	return root
}

// plainText finds the first byte that no text file has. The YAML parser refuses most of them too, but says no line.
func plainText(data []byte) (line, column int, problem string) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, "not UTF-8 text"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return line, column, fmt.Sprintf("control character %q is not allowed", r)
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		data = data[size:]
	}
	return 0, 0, ""
}

var (
	syntaxLine = regexp.MustCompile(`^line (\d+): `)
	// The library counts lines from 0 in the messages of its parser, and from 1 in those of its scanner.
	fromZero = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or|<document start>|node content)`)
)

// syntax reports what the YAML parser could not read. It knows lines only, and for the first one not even that. Within a
// list or mapping the line is where that begins.
func (d *Document) syntax(err error, data []byte) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
		if fromZero.MatchString(text) {
			line++
		}
	}
	d.add(line, 1, "not valid YAML: "+clean(cmp.Or(startOf(text, data, line), text), 120))
}

// unquoted matches a value that begins with a character that YAML keeps for itself.
var unquoted = regexp.MustCompile("(?:^|[:,\\[{-])\\s+([@`%])|^([@`%])")

// startOf says which character the parser did not take for the start of anything; it says only the line.
func startOf(text string, data []byte, line int) string {
	lines := bytes.Split(data, []byte("\n"))
	if !strings.HasPrefix(text, "found character that cannot start any token") || line > len(lines) {
		return ""
	}
	at := lines[line-1]
	if indent := at[:len(at)-len(bytes.TrimLeft(at, " \t"))]; bytes.ContainsRune(indent, '\t') {
		return "the line is indented with a tab: YAML takes spaces"
	}
	if m := unquoted.FindSubmatch(at); m != nil {
		return fmt.Sprintf("a text that begins with %s needs quotes", append(m[1], m[2]...))
	}
	return ""
}

// inspect reports what is refused whatever the struct says. It is false where the file is nested too deeply to go on.
func (d *Document) inspect(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		d.add(n.Line, n.Column, fmt.Sprintf("nested more than %d levels deep", maxDepth))
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.flag(n, "aliases (*"+clean(n.Value, quoteLimit)+") are not supported: write the value out")
		return true
	case n.Anchor != "":
		d.flag(n, "anchors (&"+clean(n.Anchor, quoteLimit)+") are not supported: write the value out where it is needed")
	case n.Style&yaml.TaggedStyle != 0:
		d.flag(n, "tags ("+clean(n.Tag, quoteLimit)+") are not supported: leave it out")
		return true
	}
	if n.Kind == yaml.MappingNode {
		return d.inspectKeys(n, depth)
	}
	for _, item := range n.Content {
		if !d.inspect(item, depth+1) {
			return false
		}
	}
	return true
}

func (d *Document) inspectKeys(n *yaml.Node, depth int) bool {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch line, again := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
			d.refuse(key, "a key is plain text, without anchor, alias, tag or structure")
		case key.ShortTag() == "!!merge":
			d.refuse(key, "merge keys (<<) are not supported: write the keys out")
		case !isText(key):
			d.refuse(key, fmt.Sprintf("key %s: want text, got %s: put it in quotes", quote(key.Value), kindOf(key)))
		case again:
			d.refuse(key, fmt.Sprintf("key %s is there already, in line %d", quote(key.Value), line))
		default:
			first[key.Value] = key.Line
		}
		if !d.inspect(value, depth+1) {
			return false
		}
	}
	return true
}
