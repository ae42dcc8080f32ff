package service_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/service"
)

func TestOwnerFromCodeowners(t *testing.T) {
	t.Parallel()
	const info = "kind: Component\nmetadata: {name: cart}\nspec: {owner: team-info}\n"
	for name, test := range map[string]struct{ owners, idp, info, want string }{
		"a team":                  {"* @acme/everyone\n/services/ @acme/team-payments @ann", "name: cart", "", "team-payments"},
		"a person":                {"* @ann", "name: cart", "", "user:ann"},
		"an address, then a team": {"* ann@example.com @acme/team-a", "name: cart", "", "team-a"},
		"idp.yaml says another":   {"* @acme/team-a", "name: cart\nowner: team-b", "", "team-b"},
		"catalog-info.yaml does":  {"* @acme/team-a", "name: cart", info, "team-info"},
		"an address only":         {"* ann@example.com", "name: cart", "", ""},
		"of another folder":       {"/web/ @acme/web", "name: cart", "", ""},
		"nobody's":                {"* @acme/all\n/services/cart/", "name: cart", "", ""},
		"no file":                 {"", "name: cart", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for file, text := range map[string]string{".git/HEAD": "", ".github/CODEOWNERS": test.owners, "services/cart/idp.yaml": test.idp + "\n", "services/cart/catalog-info.yaml": test.info} {
				if text == "" && file != ".git/HEAD" {
					continue
				}
				put(t, filepath.Join(root, file), text)
			}
			s, err := service.Load(filepath.Join(root, "services", "cart"))
			switch {
			case test.want != "" && (err != nil || s.Owner != test.want):
				t.Errorf("%+v, %v", s, err)
			case test.want == "" && (fault.KindOf(err) != fault.BadInput || err == nil || !strings.Contains(strings.Join(fault.Lines(err), "\n"), `required key "owner" is missing`)):
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// An address in CODEOWNERS is neither a team nor a user of a catalogue, and whoever reads that the owner is missing is told so.
func TestOwnerIsAnAddress(t *testing.T) {
	t.Parallel()
	for idp, want := range map[string]bool{"name: cart": true, "name: Cart": true, "name: cart\nowner: team-a\nport: x": false} {
		root := t.TempDir()
		put(t, filepath.Join(root, ".git/HEAD"), "")
		put(t, filepath.Join(root, "CODEOWNERS"), "# all\n* jane@example.com\n")
		put(t, filepath.Join(root, "idp.yaml"), idp+"\n")
		_, err := service.Load(root)
		said := strings.Contains(strings.Join(fault.Lines(err), "\n"), `CODEOWNERS:2 gives it to "jane@example.com": a catalogue has teams and users, and no addresses. Write owner in idp.yaml: a team, or user:NAME.`)
		if fault.KindOf(err) != fault.BadInput || said != want {
			t.Errorf("%q: %q", idp, fault.Lines(err))
		}
	}
}

// Whose the service is must not be guessed where the file is there and cannot be read.
func TestCodeownersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, path string){
		"a folder":  func(t *testing.T, path string) { put(t, filepath.Join(path, "x"), "") },
		"too large": func(t *testing.T, path string) { put(t, path, strings.Repeat("#\n", 3<<20)) },
		"a link out": func(t *testing.T, path string) {
			put(t, filepath.Join(filepath.Dir(path), "x"), "")
			if err := os.Symlink("/etc/hostname", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		root := t.TempDir()
		put(t, filepath.Join(root, ".git/HEAD"), "")
		put(t, filepath.Join(root, "idp.yaml"), "name: cart\n")
		prepare(t, filepath.Join(root, "docs", "CODEOWNERS"))
		if s, err := service.Load(root); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
