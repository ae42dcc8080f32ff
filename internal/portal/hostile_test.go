package portal

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html"

	"github.com/org/idp/internal/catalogfile"
)

// hostile is what anyone may have written into a repository, and so into a catalogue.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg onload=alert(1)>`, `</title><script>alert(1)</script>`, `<!--`, `]]>`, `</table></main><h1>gone`,
	`javascript:alert(1)`, `JaVaScRiPt:alert(1)`, "java\nscript:alert(1)", `data:text/html,<script>alert(1)</script>`, `vbscript:x`, `//evil.example/x`, `https://evil.example/" onclick="alert(1)`,
	`file:///etc/passwd`, `&lt;b&gt;&amp;`, `{{.}}`, "a\u202eb\u2066c", "\u0000\u0007", `"); alert(1); ("`, `</script><script>alert(1)</script>`, "\u2028alert(1)\u2029", `__proto__`, `constructor`,
	`style="position:fixed"`, `a/../../b`, `..`, `%2e%2e%2f`, `<base href=https://evil.example>`, `<meta http-equiv=refresh content="0;url=https://evil.example">`, `#state=all`, strings.Repeat("W", 400),
}

// hostileCatalogue puts strings of a maker into every place of a catalogue. The names of folders and files stay possible ones.
func hostileCatalogue(text func(int) string) *catalogue {
	c := newCatalogue()
	quote := func(i int) string { b, _ := json.Marshal(text(i)); return string(b) }
	for i := range hostile {
		name := text(i)
		c.add(sample{name: name, owner: text(i + 1), system: text(i + 2), description: text(i + 3), tier: i % 5, slo: text(i + 4), extra: fmt.Sprintf(
			"  links:\n    - {url: %s, title: %s, type: runbook}\n    - {url: %s, title: %s}\n", quote(i+5), quote(i+6), quote(i+7), quote(i+8)), spec: fmt.Sprintf("  providesApis: [%s]\n  consumesApis: [%s]\n  dependsOn: [%s]\n", quote(i+23), quote(i+24), quote(i+25))})
		c.files[fmt.Sprintf("catalog/api-%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "kind: API\nmetadata: {name: %s, title: %s, description: %s}\nspec: {type: %s, lifecycle: %s, system: %s, definition: %s}\n"+
			"---\nkind: API\nmetadata: {name: %s, namespace: other}\nspec: {type: %s, system: %s, definition: {$text: %s}}\n---\nkind: Group\nmetadata: {name: %s, description: %s, links: [{url: %s, title: %s}]}\n"+
			"---\nkind: Resource\nmetadata: {name: %s}\nspec: {type: %s, system: %s}\n---\nkind: System\nmetadata: {name: %s, description: %s}\n", quote(i), quote(i+1), quote(i+2), quote(i+3), quote(i+4),
			quote(i+5), quote(i+6), quote(i+7), quote(i+8), quote(i+9), quote(i+10), quote(i+1), quote(i+12), quote(i+13), quote(i+14), quote(i+15), quote(i+16), quote(i+17), quote(i+2), quote(i+19))}
		s := c.index.Services[name]
		s.Repository, s.Path = text(i+9), text(i+10)
		s.Entity = fmt.Sprintf("catalog/%d.yaml", i)
		c.files[s.Entity] = c.files["catalog/"+name+".yaml"]
		delete(c.files, "catalog/"+name+".yaml")
		c.index.Services[name] = s
		if strings.ContainsAny(hostile[i], "/\x00\n") || hostile[i] == ".." || len(hostile[i]) > 200 {
			continue // no service of that name has a log
		}
		for n, environment := range []string{"production", text(i + 11)} {
			if n == 1 && (strings.ContainsAny(hostile[(i+11)%len(hostile)], "/\x00\n") || hostile[(i+11)%len(hostile)] == ".." || len(environment) > 200) {
				continue
			}
			l := line(name, environment, i, now.Add(-time.Hour))
			l.Commit, l.Image, l.Digest, l.Signer, l.Suite = text(i+12), text(i+13), text(i+14), text(i+15), text(i+16)
			l.Evidence = []string{text(i + 17), text(i + 18)}
			l.Run = &catalogfile.CIRun{ID: text(i + 19), URL: text(i + 20)}
			l.Cost = &catalogfile.Cost{Currency: text(i + 21), Min: 1, Max: 2}
			if i%3 == 0 {
				l = failed(l, "failed", text(i+22), true)
			}
			c.deliver(l)
		}
	}
	return c
}

// TestHostileTextsAreOnlyTexts holds the elements of every page, and the names of their attributes, against what code may make:
// those of the pages of a harmless catalogue, and links and policies are looked at by value.
func TestHostileTextsAreOnlyTexts(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{}
	known := shop()
	known.add(sample{name: "unpriced", owner: "team-payments", system: "shop"})
	unpriced := line("unpriced", "production", 1, now.Add(-time.Hour))
	unpriced.Cost = nil
	known.deliver(unpriced)
	shapes(t, made(t, known), func(_, shape string) { allowed[shape] = true })
	shapes(t, made(t, hostileCatalogue(func(i int) string { return fmt.Sprint("harmless-", i%len(hostile)) })), func(_, shape string) { allowed[shape] = true })
	if len(allowed) < 30 {
		t.Fatalf("only %d shapes of elements are known", len(allowed))
	}
	n := 0
	shapes(t, made(t, hostileCatalogue(func(i int) string { return hostile[i%len(hostile)] })), func(page, shape string) {
		n++
		if !allowed[shape] {
			t.Errorf("%s has %s", page, shape)
		}
	})
	if n < 1000 {
		t.Errorf("only %d elements were looked at", n)
	}
}

// shapes calls each with every element of every page: its name, its parent's, and what attributes it has.
func shapes(t *testing.T, site string, each func(page, shape string)) {
	t.Helper()
	pages(t, site, func(page string, n *html.Node) {
		var names []string
		for _, a := range n.Attr {
			names = append(names, a.Key)
			switch a.Key {
			case "href", "src":
				if scheme, _, ok := strings.Cut(a.Val, ":"); ok && !slices.Contains([]string{"https", "http", "mailto"}, scheme) && a.Val != icon {
					t.Errorf("%s leads to %q", page, a.Val)
				}
			case "class", "role", "http-equiv", "content", "type":
				names = append(names, a.Val)
			}
		}
		if n.Data == "text" || n.Data == "g" || n.Data == "circle" { // which marks there are depends on what was delivered
			names = nil
		}
		each(page, n.Parent.Data+" > "+n.Data+" "+strings.Join(names, " "))
	})
}

// pages calls each with every element of every page of a site.
func pages(t *testing.T, site string, each func(page string, n *html.Node)) {
	t.Helper()
	err := filepath.WalkDir(site, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".html" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		root, err := html.Parse(f)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(site, path)
		for n := range root.Descendants() {
			if n.Type == html.ElementNode {
				each(filepath.ToSlash(name), n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
