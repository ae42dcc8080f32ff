// Package entityfile edits files of Backstage entities: it sets what a delivery says, and leaves alone what people wrote, their
// comments and their order too.
package entityfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/catalogfile"
)

// Edit sets the component's fields in the file, and those of what goes with it, and leaves all else as people wrote it:
// other keys, comments, other entities. It gives the new text and the fields that changed; without one the text stays byte for byte.
func Edit(data []byte, c Component, things []Thing, gone []string) ([]byte, []string, error) {
	docs, err := Documents(data)
	if err != nil {
		return nil, nil, err
	}
	root, err := findEntity(docs, "Component", c.Name)
	if err != nil {
		return nil, nil, err
	}
	empty := len(docs) == 0
	if root == nil {
		root = newEntity(&docs)
	}
	e := &editor{}
	e.component(root, c)
	for _, t := range things {
		e.thing(&docs, t)
	}
	docs = e.without(docs, gone)
	if e.err != nil || len(e.changed) == 0 {
		return data, nil, e.err
	}
	var before []byte
	if len(data) > 0 && empty {
		before = append(slices.Clone(data), '\n') // only comments, which are in no document
	}
	text, err := encode(before, docs)
	if err == nil && readsBack(text, docs, c, things) != nil {
		for _, d := range docs {
			unfold(d)
		}
		text, err = encode(before, docs)
	}
	if err != nil {
		return nil, nil, err
	}
	return text, e.changed, readsBack(text, docs, c, things)
}

func encode(before []byte, docs []*yaml.Node) ([]byte, error) {
	b := bytes.NewBuffer(before)
	enc := yaml.NewEncoder(b)
	enc.SetIndent(2)
	for _, d := range docs {
		if err := enc.Encode(d); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), enc.Close()
}

// unfold writes folded texts line by line: where a line of one is indented, the library puts an empty line before it, which
// becomes a part of the text.
func unfold(n *yaml.Node) {
	if n.Style&yaml.FoldedStyle != 0 {
		n.Style = n.Style&^yaml.FoldedStyle | yaml.LiteralStyle
	}
	for _, c := range n.Content {
		unfold(c)
	}
}

// readsBack refuses what must not be published, whatever the file held that YAML writes in another way.
func readsBack(text []byte, want []*yaml.Node, c Component, things []Thing) error {
	docs, err := Documents(text)
	if err == nil && !slices.EqualFunc(docs, want, same) {
		err = errors.New("it says something else")
	}
	for _, t := range append([]Thing{{Kind: "Component", Name: c.Name}}, things...) {
		if err != nil {
			break
		}
		var root *yaml.Node
		if root, err = findEntity(docs, t.Kind, t.Name); err == nil && root == nil {
			err = fmt.Errorf("%s %s is not there", t.Kind, t.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("it cannot be edited safely, since its new text does not read back: %w", err)
	}
	return nil
}

// same tells whether two trees say the same, however they are written.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && a.Anchor == b.Anchor && a.ShortTag() == b.ShortTag() && slices.EqualFunc(a.Content, b.Content, same)
}

// newEntity adds an empty one.
func newEntity(docs *[]*yaml.Node) *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	*docs = append(*docs, &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}})
	return root
}

// Documents are the parts of a file, between lines of hyphens.
func Documents(data []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		if root := doc.Content[0]; isNull(root) && doc.HeadComment+doc.FootComment+root.HeadComment+root.LineComment == "" {
			continue // nothing between two lines of hyphens
		}
		docs = append(docs, &doc)
	}
}

// findEntity gives the mapping of an entity in the default namespace; nil when the file has others only.
func findEntity(docs []*yaml.Node, kind, name string) (*yaml.Node, error) {
	var found *yaml.Node
	want, _ := catalogfile.Ref(name, kind, "default")
	for _, doc := range docs {
		root := doc.Content[0]
		if isNull(root) {
			continue
		}
		head, err := HeadOf(root)
		if err != nil {
			return nil, err
		}
		if err := uniqueKeys(root); err != nil {
			return nil, err
		}
		if head.Ref() != want {
			continue
		}
		if head.APIVersion != APIVersion {
			return nil, fmt.Errorf("line %d: apiVersion %q, this program writes %q", root.Line, head.APIVersion, APIVersion)
		}
		if found != nil {
			return nil, fmt.Errorf("line %d: %s %s is there twice", root.Line, strings.ToLower(kind), name)
		}
		found = root
	}
	return found, nil
}

// Head is what tells entities apart.
type Head struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
}

// HeadOf is empty for nothing between two lines of hyphens.
func HeadOf(root *yaml.Node) (h Head, err error) {
	if isNull(root) {
		return h, nil
	}
	if root.Kind != yaml.MappingNode || root.Decode(&h) != nil {
		return h, fmt.Errorf("line %d: it is not an entity", root.Line)
	}
	return h, nil
}

// Ref names the entity as Backstage does: kind:namespace/name, in lower case.
func (h Head) Ref() string {
	return strings.ToLower(h.Kind + ":" + cmp.Or(h.Metadata.Namespace, "default") + "/" + h.Metadata.Name)
}

// APIVersion is of all entities that are written.
const APIVersion = "backstage.io/v1alpha1"

// editor collects what it changed; after its first error it does nothing more.
type editor struct {
	changed []string
	err     error
}

// component sets what idp.yaml says. What it does not say is left to people, except for the keys that are ours alone.
func (e *editor) component(root *yaml.Node, c Component) {
	e.set(root, "apiVersion", "apiVersion", APIVersion)
	e.set(root, "kind", "kind", "Component")
	meta := e.mapping(root, "metadata")
	e.set(meta, "metadata.name", "name", c.Name)
	e.setIfSaid(meta, "metadata.description", "description", c.Description)
	e.ours(meta, "labels", tierLabel, c.Tier)
	e.ours(meta, "annotations", sloAnnotation, c.SLO)
	if c.Source != "" {
		e.set(e.mapping(meta, "annotations"), "metadata.annotations", "backstage.io/source-location", c.Source)
	}
	if c.Slug != "" {
		e.set(e.mapping(meta, "annotations"), "metadata.annotations", "github.com/project-slug", c.Slug)
	}
	e.links(meta, c.Links)
	spec := e.mapping(root, "spec")
	if e.err == nil && Value(spec, "type") == nil {
		e.set(spec, "spec.type", "type", "service") // a person may know better, such as website
	}
	e.set(spec, "spec.lifecycle", "lifecycle", c.Lifecycle)
	e.set(spec, "spec.owner", "owner", c.Owner)
	e.system(spec, "spec.system", c.System, c.SystemBefore)
	for _, l := range c.Names {
		e.names(spec, l)
	}
}

func (e *editor) setIfSaid(m *yaml.Node, field, key, text string) {
	if text != "" {
		e.set(m, field, key, text)
	}
}

// system sets it, and takes it away where idp.yaml named it before and names none now.
func (e *editor) system(spec *yaml.Node, field, now, before string) {
	e.setIfSaid(spec, field, "system", now)
	if e.err == nil && now == "" && before != "" && text(spec, "system") == before && remove(spec, "system") {
		e.note(field)
	}
}

// ours sets a key that nobody else writes, and takes it away when there is nothing to say.
func (e *editor) ours(meta *yaml.Node, group, key, text string) {
	if text != "" {
		e.set(e.mapping(meta, group), "metadata."+group, key, text)
		return
	}
	if e.err != nil || Value(meta, group) == nil {
		return
	}
	if m := Value(meta, group); m.Kind == yaml.MappingNode && remove(m, key) {
		e.note("metadata." + group)
	}
}

// links sets each link that idp.yaml has: over the one of the same address, else over the one of the same type and
// title, else behind the others.
func (e *editor) links(meta *yaml.Node, links []Link) {
	if e.err != nil || len(links) == 0 {
		return
	}
	list := Value(meta, "links")
	if list == nil || isNull(list) {
		list = replace(meta, "links", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	}
	if list.Kind != yaml.SequenceNode {
		e.err = fmt.Errorf("line %d: links is not a list", list.Line)
		return
	}
	for _, l := range links {
		item := findLink(list, l)
		if item == nil {
			item = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			list.Content = append(list.Content, item)
		}
		e.set(item, "metadata.links", "url", l.URL)
		e.set(item, "metadata.links", "title", l.Title)
		e.set(item, "metadata.links", "type", l.Kind)
	}
}

func findLink(list *yaml.Node, l Link) *yaml.Node {
	var similar *yaml.Node
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			continue
		}
		if text(item, "url") == l.URL {
			return item
		}
		if text(item, "type") == l.Kind && text(item, "title") == l.Title {
			similar = item
		}
	}
	return similar
}
