package portal

import (
	"bytes"
	"html"
	"net/url"
	"strings"

	"github.com/org/idp/internal/ui"
)

// Pages are built from elements, not from templates: html/template calls methods by name, so that the linker could drop no
// method of any type, which is 14 MB of a program that every job downloads. Whatever comes from a catalogue is a text or the
// value of an attribute, and there is no way to write it as it is. So which place it is for never has to be guessed.

// part is what an element is made of.
type part interface{ write(b *bytes.Buffer) }

// text is shown as it reads. Characters that cannot be seen are taken out, as they change how the rest is read.
type text string

func (t text) write(b *bytes.Buffer) { b.WriteString(html.EscapeString(ui.Clean(string(t)))) }

// newline is one in a text that is shown as it is set.
type newline struct{}

func (newline) write(b *bytes.Buffer) { b.WriteByte('\n') }

// parts is several in a row; nil ones are left out.
type parts []part

func (p parts) write(b *bytes.Buffer) {
	for _, one := range p {
		if one != nil {
			one.write(b)
		}
	}
}

// attribute is a name, which code gives, and a value, which anyone may have given: for a link see [to] and [out].
type attribute struct{ name, value string }

func (a attribute) write(b *bytes.Buffer) {
	b.WriteByte(' ')
	b.WriteString(a.name)
	b.WriteString(`="`)
	b.WriteString(html.EscapeString(ui.Clean(a.value)))
	b.WriteByte('"')
}

type element struct {
	tag        string
	attributes []attribute
	inside     parts
}

// el makes an element. Attributes may stand anywhere among what is inside; a nil part is none.
func el(tag string, inside ...part) element {
	e := element{tag: tag}
	for _, p := range inside {
		switch p := p.(type) {
		case nil:
		case attribute:
			if p.name != "" {
				e.attributes = append(e.attributes, p)
			}
		default:
			e.inside = append(e.inside, p)
		}
	}
	return e
}

// void elements have nothing inside and no end.
var void = map[string]bool{"meta": true, "link": true, "input": true, "br": true}

func (e element) write(b *bytes.Buffer) {
	b.WriteByte('<')
	b.WriteString(e.tag)
	for _, a := range e.attributes {
		a.write(b)
	}
	b.WriteByte('>')
	if void[e.tag] {
		return
	}
	e.inside.write(b)
	b.WriteString("</")
	b.WriteString(e.tag)
	b.WriteByte('>')
}

func class(names string) attribute { return attribute{"class", names} }

func at(name, value string) attribute { return attribute{name, value} }

// to leads to a file of the site, whose names are safe in an address.
func to(path string) attribute { return attribute{"href", path} }

// safeURL is an address that a person may follow: of the web or of mail, with nothing else hidden in it.
func safeURL(address string) bool {
	u, err := url.Parse(address)
	if err != nil || ui.Clean(address) != address {
		return false
	}
	switch u.Scheme {
	case "https", "http":
		return u.Host != ""
	case "mailto":
		return u.Opaque != ""
	}
	return false
}

// out is a link to elsewhere; of an address that nobody should follow only the text is left.
func out(address string, inside ...part) part {
	if !safeURL(address) {
		return parts(inside)
	}
	return el("a", append([]part{attribute{"href", address}, at("rel", "noreferrer")}, inside...)...)
}

// only gives the part where it holds.
func only(holds bool, p part) part {
	if holds {
		return p
	}
	return nil
}

// fileName is a name as that of a file which is the same in an address and on every file system. Different names have
// different files, also where upper and lower case are one.
func fileName(name string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'_', hex[c>>4], hex[c&15]})
		}
	}
	if s := b.String(); len(s) > 0 && len(s) <= maxFileName {
		return s
	}
	return longName(name)
}
