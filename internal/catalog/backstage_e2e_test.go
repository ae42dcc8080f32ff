//go:build e2e

package catalog

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/service"
)

// validators installs Backstage's validators once for each version of the lock file, outside the checkout, and gives the
// script that runs them.
func validators(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile("testdata/backstage/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "idp-e2e", fmt.Sprintf("backstage-%x", sha256.Sum256(lock))[:22])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json", "validate.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata/backstage", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// npm writes this file last, so an installation that was cut off is made again.
	if _, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json")); err != nil {
		cmd := exec.Command("npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	return filepath.Join(dir, "validate.mjs")
}

// validate reads files of the catalogue in dir, all of its entities where none is named.
func validate(t *testing.T, script, dir string, files ...string) (string, error) {
	t.Helper()
	if len(files) == 0 {
		err := fs.WalkDir(os.DirFS(dir), "catalog", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("node", append([]string{script, dir}, files...)...).CombinedOutput()
	return string(out), err
}

func TestBackstageAcceptsTheEntities(t *testing.T) {
	script := validators(t)
	url, dir := bare(t), filepath.Join(t.TempDir(), "catalog")
	edited, err := os.ReadFile("entityfile/testdata/edited.yaml")
	if err != nil {
		t.Fatal(err)
	}
	edit(t, url, map[string]string{"catalog/edited.yaml": strings.ReplaceAll(string(edited), "name: checkout", "name: edited")})
	hostile := full()
	hostile.Name, hostile.Owner, hostile.System = strings.Repeat("x", 63), "On", "1e3"
	hostile.Lifecycle, hostile.Description = "experimental", "null\n- a: b # c"
	hostile.APIs = []service.API{{Name: "No", Type: "1.0", File: "x", Description: "{a: &b *c}"}}
	hostile.Resources = []service.Resource{{Name: strings.Repeat("0", 63), Type: "null", Description: "# no"}}
	services := []*service.Service{
		full(),
		{Name: "edited", Owner: "group:default/team-payments", Tier: 4, SLA: 99.95, Runbook: "https://wiki.example.com/new"},
		{Name: "a", Owner: "b"},
		{Name: "b", Owner: "user:ann"},
		hostile,
	}
	for i, svc := range services {
		in := delivery(t, url, svc, i+1)
		in.Checkout = dir
		mustRun(t, in)
	}
	out, err := validate(t, script, dir)
	// Five components; two APIs and two resources, and the API that is edited by hand; three teams; two systems.
	if err != nil || strings.Count(out, ".yaml: ") != 15 || !strings.Contains(out, ": api:default/edited\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The relations are those that the catalogue is to have, by hand. Each is there from both ends, and what it names is, too.
func TestBackstageMakesTheRelations(t *testing.T) {
	script := validators(t)
	url, dir := bare(t), filepath.Join(t.TempDir(), "catalog")
	stock := &service.Service{Name: "stock", Owner: "team-goods", System: "shop",
		APIs: []service.API{{Name: "stock-api", Type: "grpc", File: "stock.proto"}}}
	for i, svc := range []*service.Service{full(), stock} {
		in := delivery(t, url, svc, i+1)
		in.Checkout = dir
		mustRun(t, in)
	}
	out, err := validate(t, script, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	there, relations := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) == 2 {
			there[words[1]] = true
		} else if len(words) == 3 {
			relations[strings.TrimSpace(line)] = true
		}
	}
	var want []string
	for _, r := range [][3]string{
		{"component checkout", "ownedBy ownerOf", "group team-payments"}, {"component checkout", "partOf hasPart", "system shop"},
		{"component checkout", "providesApi apiProvidedBy", "api checkout-api"}, {"component checkout", "consumesApi apiConsumedBy", "api stock-api"},
		{"component checkout", "dependsOn dependencyOf", "component stock"}, {"component checkout", "dependsOn dependencyOf", "resource checkout-db"},
		{"component stock", "ownedBy ownerOf", "group team-goods"}, {"component stock", "partOf hasPart", "system shop"},
		{"component stock", "providesApi apiProvidedBy", "api stock-api"},
		{"api checkout-api", "ownedBy ownerOf", "group team-payments"}, {"api checkout-api", "partOf hasPart", "system shop"},
		{"api stock-api", "ownedBy ownerOf", "group team-goods"}, {"api stock-api", "partOf hasPart", "system shop"},
		{"resource checkout-db", "ownedBy ownerOf", "group team-payments"}, {"resource checkout-db", "partOf hasPart", "system shop"},
		{"system shop", "ownedBy ownerOf", "group team-payments"},
	} {
		from, to := strings.Replace(r[0], " ", ":default/", 1), strings.Replace(r[2], " ", ":default/", 1)
		out, in, _ := strings.Cut(r[1], " ")
		want = append(want, from+" "+out+" "+to, to+" "+in+" "+from)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(relations))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for relation := range relations {
		if words := strings.Fields(relation); !there[words[0]] || !there[words[2]] {
			t.Errorf("%s names what is not in the catalogue", relation)
		}
	}
}

// The validators have to be able to say no, or their yes means nothing.
func TestBackstageRefusesWhatIsWrong(t *testing.T) {
	script, dir := validators(t), t.TempDir()
	good, _, err := entityfile.Edit(nil, componentOf(delivery(t, "", full(), 1)), derivedOf(delivery(t, "", full(), 1)).things, nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("apis/checkout/checkout-api.yaml", "openapi: 3.1.0\n")
	change := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%q is not in it", old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	const definition = "$text: ../apis/checkout/checkout-api.yaml"
	tests := map[string]string{}
	for name, test := range map[string]struct{ text, want string }{
		"as-written":         {string(good), "component:default/checkout"},
		"nothing":            {"", ""},
		"number":             {change(`"99.9"`, "99.9"), "annotations"},
		"no-owner":           {change("owner: team-payments", ""), "owner"},
		"foreign-root-key":   {string(good) + "tier: 1\n", "additional properties"},
		"name":               {change("name: checkout", "name: -x-"), "metadata.name"},
		"definition-gone":    {change(definition, "$text: ../apis/checkout/other.yaml"), "other.yaml"},
		"definition-foreign": {change(definition, "$text: https://github.com/acme/checkout/blob/HEAD/api/openapi.yaml"), "same repository"},
		"resource-no-type":   {change("  type: database\n", ""), "type"},
		"relation-no-kind":   {change("spec:\n", "spec:\n  dependsOn: [stock]\n"), "kind"},
	} {
		write("catalog/"+name+".yaml", test.text)
		tests[name] = test.want
	}
	out, err := validate(t, script, dir)
	if err == nil {
		t.Error("it ends as if all were accepted")
	}
	said := map[string]string{}
	for line := range strings.Lines(out) {
		if name, rest, ok := strings.Cut(line, ".yaml: "); ok {
			said[strings.TrimPrefix(name, "catalog/")] += rest
		}
	}
	for name, want := range tests {
		if name != "as-written" && want != "" && !strings.Contains(said[name], want) {
			t.Errorf("%s: %q, want %q", name, said[name], want)
		}
	}
	if got := said["as-written"]; got != "component:default/checkout\napi:default/checkout-api\nresource:default/checkout-db\n" {
		t.Errorf("as written: %q\n%s", got, out)
	}
	if out, err := validate(t, script, dir, "catalog/nothing.yaml"); err == nil {
		t.Errorf("nothing at all is accepted: %s", out)
	}
}
