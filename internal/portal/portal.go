// Package portal writes what a catalogue says as a site of static pages: services, teams, organisations, and how far the
// golden path is in use. The pages ask no other host for anything and work from a folder.
package portal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/spend"
)

// Inputs is what a portal is made from.
type Inputs struct {
	Catalog     string // folder
	Environment string // where a deployment counts
	Actual      spend.Export
	Out         string // folder, replaced whole
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.Catalog, action.Input{Name: "catalog", Example: "catalog", Usage: "Folder with the catalogue, checked out. Default: this one."})
	s.String(&in.Environment, action.Input{Name: "environment", Default: "production", Example: "production", Usage: "Where a deployment counts in the metrics."})
	in.Actual.Declare(s)
	s.String(&in.Out, action.Input{Name: "out", Default: "portal", Example: "public",
		Usage: "Folder that the site is written to. An earlier site in it is replaced; anything else is not."})
}

// Deps is what is needed from outside.
type Deps struct {
	Now func() time.Time
}

// Outputs says what was written.
type Outputs struct {
	Index    string // file to open first
	Services int
	Teams    int
	Pages    int
	States   []Count // what needs a look comes first; none of no service
}

// Count is how many services one thing is said of.
type Count struct {
	Says     string // such as "✓ last delivery passed"
	Services int
}

// siteFile says that a folder is a site of ours.
const (
	siteFile   = "site.json"
	siteSchema = "idp.portal/v1"
)

type siteMark struct {
	Schema   string    `json:"schema"`
	Made     time.Time `json:"made"`
	Services int       `json:"services"`
}

//go:embed assets/portal.css assets/portal.js
var assets embed.FS

// Run reads the whole catalogue and writes the whole site, or leaves what was there. A catalogue without a service is bad
// input; one that cannot be read whole is undetermined, since a page made without a part of it would be wrong.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	var done Outputs
	if deps.Now == nil {
		return done, fault.Undeterminedf("there is no clock to date the site with")
	}
	if err := replaceable(in.Out); err != nil {
		return done, err
	}
	root, err := os.OpenRoot(cmp.Or(in.Catalog, ".")) // links out of the catalogue are not followed: what they lead to would be published
	if err != nil {
		return done, fault.BadInputf("the catalogue cannot be opened: %w", err).WithNext("Clone it first, and name its folder with --catalog.")
	}
	defer func() { _ = root.Close() }()
	charges, err := in.Actual.Read()
	if err != nil {
		return done, err
	}
	s, err := load(ctx, root.FS(), cmp.Or(in.Environment, "production"), deps.Now().UTC().Truncate(time.Second), charges)
	if err != nil {
		return done, err
	}
	if len(s.services) == 0 {
		return done, fault.BadInputf("the catalogue has no service, so there is nothing to show").
			WithNext("Deliver a service with --catalog first: docs/portal.md.")
	}
	done.Services, done.Teams, done.Index = len(s.services), len(s.teams), filepath.Join(in.Out, indexPage)
	count := counts(s.services)
	for _, st := range worst {
		if n := count[st]; n > 0 {
			done.States = append(done.States, Count{looks[st].mark + " " + looks[st].word, n})
		}
	}
	done.Pages, err = replace(ctx, in.Out, s)
	return done, err
}

// replaceable tells whether the folder may be replaced: when it is absent, empty, or a site that was made by Run.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err == nil {
		var mark siteMark
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, siteFile)); err == nil { // #nosec G304 -- the user's own output folder
			err = json.Unmarshal(data, &mark)
		}
		if err == nil && mark.Schema == siteSchema {
			return nil
		}
	}
	return fault.BadInputf("folder %s is in the way: it is not an earlier site of idp portal, so it is not replaced", dir).
		WithNext("Move it away, or choose another folder with --out.")
}

// replace writes the site beside the folder and then puts it in its place, so nobody ever finds half of one.
func replace(ctx context.Context, dir string, s *site) (pages int, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { // #nosec G301 -- a site is for everyone to read
		return 0, fault.BadInputf("%w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return 0, fault.BadInputf("%w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh, old := filepath.Join(work, "fresh"), filepath.Join(work, "old")
	w := &writer{dir: fresh}
	if err := w.site(ctx, s); err != nil {
		return 0, err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return 0, errors.Join(err, os.Rename(old, dir))
	}
	return w.pages, nil
}

// writer puts files into a new folder.
type writer struct {
	dir   string
	pages int
}

func (w *writer) file(name string, data []byte) error {
	name = filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- a site is for everyone to read
		return err
	}
	return os.WriteFile(name, data, 0o644) // #nosec G306 -- a site is for everyone to read
}

func (w *writer) page(name string, p page) error {
	w.pages++
	return w.file(name, p.render())
}

// site writes everything.
func (w *writer) site(ctx context.Context, s *site) error {
	for _, name := range []string{"portal.css", "portal.js"} {
		data, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		if err := w.file("assets/"+name, data); err != nil {
			return err
		}
	}
	mark, err := json.Marshal(siteMark{Schema: siteSchema, Made: s.made, Services: len(s.services)})
	if err != nil {
		return err
	}
	data, err := s.listData()
	if err != nil {
		return err
	}
	err = errors.Join(w.file(siteFile, append(mark, '\n')), w.file("assets/services.js", data), w.page(indexPage, s.listPage()))
	if err != nil {
		return err
	}
	for _, x := range s.services {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.page(x.file(), s.servicePage(x)); err != nil {
			return err
		}
	}
	for _, g := range s.teams {
		if err := w.page(g.teamFile(), s.teamPage(g)); err != nil {
			return err
		}
	}
	for _, g := range s.systems {
		if err := w.page(g.systemFile(), s.systemPage(g)); err != nil {
			return err
		}
	}
	for _, e := range s.entities.things {
		p, err := s.thingPage(e)
		if err != nil {
			return err
		}
		if err := w.page(e.thingFile(), p); err != nil {
			return err
		}
	}
	for name, p := range s.thingsPages() {
		if err := w.page(name, p); err != nil {
			return err
		}
	}
	return errors.Join(w.page(organisationPage, s.organisationPage()), w.page(adoptionPage, s.adoptionPage()))
}

// maxFileName is what every file system and archive takes, with room for an ending.
const maxFileName = 100

// longName is the file name of a name that is too long for one, or empty. No other begins with two of these.
func longName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "__" + hex.EncodeToString(sum[:16])
}
