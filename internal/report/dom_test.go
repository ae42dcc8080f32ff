package report

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	htmlrenderer "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
)

// page is a comment as a browser has it.
type page struct {
	skeleton string   // its elements, without code and span
	text     string   // all of it, on one line
	links    []string // where they lead
	linked   []string // what GitHub would turn into a link, a picture or a notification after parsing
	comments []string
}

var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(htmlrenderer.WithUnsafe()))

// opened parses Markdown as GitHub does, with all of the HTML in it.
func opened(t testing.TB, markdown string) page {
	t.Helper()
	var b bytes.Buffer
	if err := gfm.Convert([]byte(markdown), &b); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	var p page
	p.walk(root, false, 0)
	p.text = strings.Join(strings.Fields(p.text), " ")
	return p
}

// autolinked is what GitHub's filters look for in the text of a page: html-pipeline's mentions, and references to issues,
// commits and emoji as docs.github.com describes them ("Autolinked references and URLs").
var autolinked = regexp.MustCompile(`(?i)(^|\W)@[a-z0-9]|#[0-9]+|\bgh-[0-9]+|\b[0-9a-f]{7,40}\b|:[a-z0-9_+-]+:|https?://|www\.[a-z]`)

// apart are elements into which GitHub's filters do not look.
var apart = []string{"pre", "code", "a"}

func (p *page) walk(n *html.Node, ignored bool, depth int) {
	switch n.Type {
	case html.TextNode:
		p.text += n.Data
		if m := autolinked.FindString(n.Data); m != "" && !ignored {
			p.linked = append(p.linked, m)
		}
	case html.CommentNode:
		p.comments = append(p.comments, n.Data)
	case html.ElementNode:
		if n.Data != "code" && n.Data != "span" {
			p.skeleton += strings.Repeat(" ", depth) + n.Data + "\n"
			depth++
		}
		for _, a := range n.Attr {
			switch {
			case n.Data == "a" && a.Key == "href":
				p.links = append(p.links, a.Val)
			case n.Data == "code" && a.Key == "class", (n.Data == "td" || n.Data == "th") && (a.Key == "style" || a.Key == "align"):
			default:
				p.skeleton += "attribute " + a.Key + "\n"
			}
		}
		ignored = ignored || slices.Contains(apart, n.Data)
		if slices.Contains([]string{"td", "th", "p", "li", "br", "summary"}, n.Data) {
			p.text += " "
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.walk(c, ignored, depth)
	}
}

// harmless holds a comment against one of the same form with harmless strings: it has the same elements, leads nowhere else,
// and calls nobody.
func harmless(t testing.TB, got, benign string) page {
	t.Helper()
	is, want := opened(t, got), opened(t, benign)
	if is.skeleton != want.skeleton {
		t.Errorf("the elements are\n%s\nand not\n%s\nof\n%s", is.skeleton, want.skeleton, got)
	}
	if len(is.linked) > 0 {
		t.Errorf("GitHub would make something of %q in\n%s", is.linked, got)
	}
	for _, l := range is.links {
		if !strings.HasPrefix(l, "https://github.com/acme/checkout/") || strings.ContainsAny(l, " <>\"`") {
			t.Errorf("a link leads to %q in\n%s", l, got)
		}
	}
	if len(is.comments) > 0 {
		t.Errorf("comments %q in\n%s", is.comments, got)
	}
	return is
}
