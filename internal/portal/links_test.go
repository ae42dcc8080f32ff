package portal

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/org/idp/internal/record"
)

// TestNoLinkIsBroken follows every link of every page, and every file in the list that the script reads.
func TestNoLinkIsBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*catalogue{"shop": shop(), "hostile": hostileCatalogue(func(i int) string { return hostile[i%len(hostile)] }), "many": many(120)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := made(t, c)
			ids, wanted, linked := map[string]bool{}, map[string]string{}, map[string]bool{"index.html": true}
			pages(t, site, func(page string, n *html.Node) {
				ids[page] = true
				for _, a := range n.Attr {
					switch {
					case a.Key == "id":
						ids[page+"#"+a.Val] = true
					case a.Key == "href" || a.Key == "src":
						u, err := url.Parse(a.Val)
						if err != nil {
							t.Errorf("%s leads to %q: %v", page, a.Val, err)
							continue
						}
						if u.Scheme != "" || strings.HasPrefix(a.Val, "#state=") { // what is on the web, and what the script reads
							continue
						}
						file := page
						if u.Path != "" {
							file = path.Join(path.Dir(page), u.Path)
						}
						linked[file] = true
						if u.Fragment != "" {
							file += "#" + u.Fragment
						}
						wanted[file] = page
					}
				}
			})
			for file, page := range wanted {
				if _, err := os.Stat(filepath.Join(site, filepath.FromSlash(file))); err != nil && !ids[file] {
					t.Errorf("%s leads to %s, which is not there", page, file)
				}
			}
			list := read(t, site, "assets", "services.js")
			for page := range ids {
				if !strings.Contains(page, "#") && !linked[page] && !strings.Contains(list, `"`+page+`"`) {
					t.Errorf("nothing leads to %s", page)
				}
			}
			if len(wanted) < 10 {
				t.Errorf("only %d links were followed", len(wanted))
			}
		})
	}
}

// many is a catalogue of n services of 200 teams, each delivered to two environments; every hundredth failed last.
func many(n int) *catalogue {
	c := newCatalogue()
	for i := range n {
		name := fmt.Sprintf("service-%05d", i)
		c.add(sample{name: name, description: fmt.Sprintf("Does the %dth of the things that have to be done.", i), owner: fmt.Sprintf("team-%03d", i%200),
			system: fmt.Sprintf("system-%02d", i%40), tier: 1 + i%4, slo: "99.9"})
		for d, environment := range []string{"staging", "production"} {
			l := line(name, environment, i, now.Add(-time.Duration(i%2000+d)*time.Hour))
			c.deliver(l)
			if i%100 == 7 && d == 1 {
				l.Time = l.Time.Add(time.Minute)
				c.deliver(failed(l, record.Failed, "sast", false))
			}
		}
	}
	return c
}
