package catalog

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/record"
)

// own is a server with the repository of a service, whose branch main has code, and a delivery that has its catalogue there too.
func own(t *testing.T) (Inputs, string) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "acme", "checkout.git")
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := gitstore.CreateBare(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, map[string]string{"src/main.go": "package main\n", "README.md": "code\n", ".github/workflows/ci.yml": "on: push\n"})
	srv := gitServer(t, root, "x-access-token", "t0ken", func(git http.Handler) http.Handler { return git })
	in := inputs(t, strings.Replace(srv.URL, "http://", "http://x-access-token:t0ken@", 1)+"/acme/checkout.git")
	in.Origin = srv.URL + "/acme/checkout" // as actions/checkout writes it
	in.Branch = "catalogue"
	return in, dir
}

// A branch of the service's own repository: it has no commit, no file and no workflow of the code, and the code has none of it.
func TestBranchOfTheServicesOwnRepository(t *testing.T) {
	t.Parallel()
	in, dir := own(t)
	code := git(t, dir, "rev-parse", "main")
	mustRun(t, in)
	in.Record = delivered(t, in.Service, "101", strings.Repeat("b", 40), digestA, record.Passed)
	if out := mustRun(t, in); out.Evidence.Delivery != 2 || strings.Contains(out.Evidence.URL, "t0ken") {
		t.Errorf("%+v", out.Evidence)
	}
	if now := git(t, dir, "rev-parse", "main"); now != code {
		t.Errorf("the code is at %s, it was at %s", now, code)
	}
	if roots := strings.Fields(git(t, dir, "rev-list", "--max-parents=0", "catalogue", "main")); len(roots) != 2 {
		t.Errorf("the branches have %d first commits in all", len(roots))
	}
	files := git(t, dir, "ls-tree", "-r", "--name-only", "catalogue")
	if !strings.Contains(files, "catalog/checkout.yaml\n") || strings.Contains(files, "src/") || strings.Contains(files, ".github/") {
		t.Errorf("the catalogue has %s", files)
	}
	if refs := strings.Count(git(t, dir, "for-each-ref"), "\n"); refs != 2 {
		t.Errorf("%d branches and tags", refs)
	}
}

// The branch is main unless another is named, and that is where the code is.
func TestBranchWithCodeIsNoCatalogue(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(in *Inputs, dir string){
		"own repository": func(*Inputs, string) {},
		"code of another": func(in *Inputs, dir string) {
			in.Origin = ""
			edit(t, dir, map[string]string{"idp.yaml": "name: cart\n"})
		},
		"a folder":             func(in *Inputs, dir string) { in.Origin, in.URL = dir, dir },
		"a folder, not whole":  func(in *Inputs, dir string) { in.Origin, in.URL = strings.TrimSuffix(dir, ".git"), dir },
		"own, with a password": func(in *Inputs, _ string) { in.Origin = in.URL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, dir := own(t)
			in.Branch = "main"
			change(&in, dir)
			before := git(t, dir, "rev-parse", "main")
			_, err := Run(t.Context(), in, testDeps())
			text := ""
			if err != nil {
				text = strings.Join(fault.Lines(err), "\n")
			}
			if fault.KindOf(err) != fault.BadInput || !strings.Contains(text, "is no catalogue") || !strings.Contains(text, "--catalog-branch") || strings.Contains(text, "t0ken") {
				t.Error(text)
			}
			if now := git(t, dir, "rev-parse", "main"); now != before {
				t.Errorf("it pushed %s", now)
			}
		})
	}
	// The catalogue of others may have begun with anything but code, such as the README that its host made.
	url := bare(t)
	edit(t, url, map[string]string{"README.md": "our catalogue\n"})
	mustRun(t, inputs(t, url))
}

func TestSameRepository(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		origin, catalogue string
		want              bool
	}{
		{"git@github.com:Acme/checkout.git", "https://x:t0ken@github.com/acme/checkout", true},
		{"ssh://git@github.com/acme/checkout", "https://github.com/acme/checkout.git", true},
		{"https://github.com/acme/checkout", "https://github.com/acme/catalog", false},
		{"https://github.com/acme/checkout", "https://git.acme.example/acme/checkout", false},
		{"", "/srv/checkout", false},
		{"/srv/checkout", "/srv/checkout.git", true},
		{"/srv/checkout", "https://github.com/srv/checkout", false},
	} {
		if got := sameRepository(Inputs{Origin: test.origin, URL: test.catalogue}); got != test.want {
			t.Errorf("%s and %s: %v", test.origin, test.catalogue, got)
		}
	}
}
