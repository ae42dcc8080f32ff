// Package catalog registers a service and its delivery in the catalogue: a Git repository of Backstage entities, a
// machine-readable index and one log of deliveries per service and environment. It says what the catalogue holds; gitstore makes
// the one commit that a delivery is.
package catalog

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Inputs is what the stage works from.
type Inputs struct {
	URL    string
	Branch string
	Plan   bool // nothing is pushed or copied

	Elsewhere []string // references that other catalogues have

	SigningKey string // text of a private key; empty leaves commits unsigned
	Committer  string // of the catalogue's commits, NAME <EMAIL>; empty is idp <idp@localhost>

	// Filled by the app.

	Definitions map[string][]byte // of the service's APIs, by name

	Named func(ctx context.Context, folder string) (string, error) // name of the service in another folder of the repository, at the same commit; empty without one

	Record   *record.Record // a snapshot; its catalog stage, if any, is not looked at
	Service  *service.Service
	Origin   string // URL of the code's remote, without credentials; empty without one
	Checkout string // folder for a readable copy of the catalogue, replaced whole; empty for none
	Diff     string // file for what would change, written where nothing is pushed; empty for none

	Costs   func(month time.Time) ([]byte, error) // the record's estimate as FOCUS rows in CSV; nil where there is none
	CI      *catalogfile.CI                       // what this delivery took of a runner; nil where that has no price
	Suite   string                                // version of this program
	Adopted time.Time                             // when idp.yaml came into the repository; zero where it is not known
	Brings  *catalogfile.Brings                   // what is in the delivery and was not live before; nil where it is not known
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	s.String(&in.URL, action.Input{Name: "catalog", Example: "https://github.com/acme/catalog.git",
		Usage: "Git URL of the catalogue. Default for the local target: a bare repository in the output folder."})
	s.Bool(&in.Plan, action.Input{Name: "catalog-dry-run", Example: "true",
		Usage: "Push nothing to the catalogue, and write what would change there to catalog.diff in the output folder."})
	s.String(&in.Branch, action.Input{Name: "catalog-branch", Default: "main", Example: "main",
		Usage: "Branch of the catalogue that is written to."})
	s.List(&in.Elsewhere, action.Input{Name: "catalog-elsewhere", Example: "group:*, user:*",
		Usage: "Entities that other catalogues have, such as teams from an identity provider, so that they are not written here: references as KIND:NAMESPACE/NAME, a * at the end for all that begin so."})
	s.String(&in.SigningKey, action.Input{Name: "catalog-signing-key", Secret: true, Example: "${{ secrets.CATALOG_SIGNING_KEY }}",
		Usage: "Text of a private key, ssh or armoured OpenPGP, without a passphrase, that signs the commits in the catalogue."})
	s.String(&in.Committer, action.Input{Name: "catalog-committer", Default: "idp <idp@localhost>", Example: "acme-bot <bot@acme.example>",
		Usage: "Committer of the commits in the catalogue. For signed ones, the account that has the key, with an e-mail address that it has verified."})
}

// Deps is what the stage needs from outside.
type Deps struct {
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error // gives the context's error when that ends first; nil waits
	Progress action.Progress                            // nil tells nobody
}

// filled gives the dependencies without gaps. There is no other clock, so that has to be given.
func (d Deps) filled() (Deps, error) {
	if d.Now == nil {
		return d, fault.Undeterminedf("there is no clock to date the delivery with")
	}
	if d.Sleep == nil {
		d.Sleep = wait
	}
	if d.Progress == nil {
		d.Progress = func(string) {}
	}
	return d, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// noBranch matches what git takes for no branch's name; git itself is asked later.
var noBranch = regexp.MustCompile(`^[-/.]|[/.]$|\.\.|//|/\.|@\{|\.lock(/|$)|[\x00-\x20\x7f~^:?*\[\\]`)

// Check refuses a URL that no catalogue can be at, a branch that there cannot be, a key that cannot sign and a committer that
// nobody is, before anything is done. Empty ones get their default later.
func (in Inputs) Check() error {
	if noBranch.MatchString(in.Branch) {
		return fault.BadInputf("input catalog-branch: %q cannot be the name of a branch", in.Branch)
	}
	if err := catalogfile.CheckPatterns(in.Elsewhere); err != nil {
		return fault.BadInputf("input catalog-elsewhere: %w", err).WithNext("Write KIND:NAMESPACE/NAME, or the beginning of it and a *, such as group:*.")
	}
	if _, _, err := in.identity(); err != nil {
		return err
	}
	if in.URL == "" {
		return nil
	}
	_, err := gitstore.ParseRemote(in.URL)
	return err
}

// identity is who commits, and the key that signs; nil where commits are not to be signed.
func (in Inputs) identity() (gitstore.Person, gitstore.Signer, error) {
	who, err := gitstore.ParsePerson(cmp.Or(in.Committer, "idp <idp@localhost>"))
	if err != nil || in.SigningKey == "" {
		return who, nil, err
	}
	key, err := gitstore.ParseKey(in.SigningKey)
	return who, key, err
}

// sameRepository tells whether the catalogue is a branch of the service's own repository. There it begins with a branch of its
// own, so one that is there already and has no index is of code.
func sameRepository(in Inputs) bool {
	at := func(url string) string {
		if place, _ := projection.Source(url, ""); place != "" {
			return place
		}
		to, err := gitstore.ParseRemote(url) // a folder
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(to.Shown, ".git")
	}
	return in.Origin != "" && strings.EqualFold(at(in.Origin), at(in.URL))
}

// shown is the catalogue's URL without credentials.
func (in Inputs) shown() string {
	to, err := gitstore.ParseRemote(in.URL)
	if err != nil {
		return "the catalogue"
	}
	return to.Shown
}

// Outputs is what the stage found out.
type Outputs = action.Result[record.Catalog]

// Run brings the catalogue up to date. Done twice, the second changes nothing.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	var out Outputs
	deps, err := deps.filled()
	if err != nil {
		return out, err
	}
	to, err := gitstore.ParseRemote(in.URL)
	if err != nil {
		return out, err
	}
	out.Evidence.URL = to.Shown
	if err := in.validate(); err != nil {
		return out, err
	}
	out.Evidence.Component = in.Service.Name
	who, signer, err := in.identity()
	if err != nil {
		return out, err
	}
	temp, err := tempDir(in.Checkout)
	if err != nil {
		return out, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	store, err := gitstore.Open(ctx, gitstore.Options{Remote: to, Branch: in.Branch, Temp: temp, Whole: in.Checkout != "" && !in.Plan,
		Author: who, Signer: signer, Now: deps.Now, Sleep: deps.Sleep, Progress: deps.Progress})
	if err != nil {
		return out, err
	}
	defer store.Close()
	out.Tool = record.Tool{Name: "git", Version: store.Version()}
	done, err := publish(ctx, store, in, deps)
	if err != nil {
		return out, err
	}
	if signer != nil && done.changed {
		out.Evidence.Signer = signer.Fingerprint()
	}
	out.Evidence.Delivery, out.Evidence.Commit, out.Evidence.Changed = done.delivery, done.commit, done.changed
	out.Summary = "component " + in.Service.Name + done.summary(in)
	if in.Plan && in.Diff != "" {
		if err := record.WriteFile(in.Diff, []byte(done.diff+"\n"), 0o644); err != nil {
			return out, fault.Undeterminedf("what would change in the catalogue cannot be written: %w", err)
		}
	}
	if in.Plan || in.Checkout == "" {
		return out, nil
	}
	if err := store.Copy(ctx, done.commit, in.Checkout); err != nil {
		return out, fmt.Errorf("the delivery is in the catalogue, its copy for people is not: %w", err)
	}
	return out, nil
}

// name is what a service or an environment may be called; it is checked here again because paths are made of it.
var name = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (in Inputs) validate() error {
	switch {
	case in.Record == nil || in.Service == nil:
		return fault.Undeterminedf("there is no delivery to register")
	case !name.MatchString(in.Service.Name):
		return fault.BadInputf("service name %q cannot be a file in the catalogue", in.Service.Name)
	case in.Record.Service.Name != in.Service.Name:
		return fault.BadInputf("the record is of service %q, idp.yaml is of %q", in.Record.Service.Name, in.Service.Name)
	case !name.MatchString(in.Record.Environment):
		return fault.BadInputf("environment %q cannot be a folder in the catalogue", in.Record.Environment).
			WithNext("Use lower-case letters, digits and hyphens, at most 63 of them.")
	case in.Checkout != "":
		return replaceable(in.Checkout)
	}
	return nil
}

// tempDir lies beside the copy, so that putting that in place is a rename on one file system.
func tempDir(checkout string) (string, error) {
	parent := ""
	if checkout != "" {
		parent = filepath.Dir(checkout)
		if err := os.MkdirAll(parent, 0o755); err != nil { // #nosec G301 -- the output folder is for everyone on the runner to read
			return "", fault.Undeterminedf("the output folder cannot be made: %w", err)
		}
	}
	dir, err := os.MkdirTemp(parent, ".catalog-*")
	if err != nil {
		return "", fault.Undeterminedf("there is no place for a clone of the catalogue: %w", err)
	}
	return filepath.Abs(dir)
}
