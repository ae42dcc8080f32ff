package catalog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalog/entityfile"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// full is a service that says all that goes with a component.
func full() *service.Service {
	svc := checkout()
	svc.APIs = []service.API{{Name: "checkout-api", Type: "openapi", File: "api/openapi.yaml", Description: "Takes orders."}}
	svc.Consumes = []string{"stock-api"}
	svc.DependsOn = []string{"component:stock"}
	svc.Resources = []service.Resource{{Name: "checkout-db", Type: "database"}}
	return svc
}

// run is a delivery in CI of what svc says, each with a number of its own.
func deliver(t *testing.T, url string, svc *service.Service, run int) Outputs {
	t.Helper()
	return mustRun(t, delivery(t, url, svc, run))
}

func delivery(t *testing.T, url string, svc *service.Service, run int) Inputs {
	t.Helper()
	in := inputs(t, url)
	in.Service, in.Definitions = svc, map[string][]byte{}
	in.Record = delivered(t, svc, fmt.Sprint(run), fmt.Sprintf("%040x", run), digestA, record.Passed)
	for _, a := range svc.APIs {
		in.Definitions[a.Name] = []byte("openapi: 3.1.0\ninfo: {title: " + a.Name + "}\n")
	}
	return in
}

func stateOf(t *testing.T, url, name string) catalogfile.State {
	t.Helper()
	s, err := catalogfile.ParseState([]byte(show(t, url, catalogfile.StateFile(name))), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(t *testing.T, url string) string {
	t.Helper()
	return git(t, url, "ls-tree", "-r", "--name-only", "main", "catalog/", "apis/")
}

func TestWhatGoesWithAComponent(t *testing.T) {
	t.Parallel()
	url := bare(t)
	deliver(t, url, full(), 1)
	const want = `spec:
  type: service
  lifecycle: production
  owner: team-payments
  system: shop
  providesApis:
    - checkout-api
  consumesApis:
    - stock-api
  dependsOn:
    - component:stock
    - resource:checkout-db
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: checkout-api
  description: Takes orders.
spec:
  type: openapi
  lifecycle: production
  owner: team-payments
  system: shop
  definition:
    $text: ../apis/checkout/checkout-api.yaml
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata:
  name: checkout-db
spec:
  type: database
  owner: team-payments
  system: shop
`
	if _, got, _ := strings.Cut(show(t, url, "catalog/checkout.yaml"), "      type: dashboard\n"); got != want {
		t.Error(cmp.Diff(want, got))
	}
	if got := show(t, url, "apis/checkout/checkout-api.yaml"); got != "openapi: 3.1.0\ninfo: {title: checkout-api}\n" {
		t.Errorf("definition: %q", got)
	}
	if got := show(t, url, "catalog/groups/team-payments.yaml"); !strings.HasSuffix(got, "kind: Group\nmetadata:\n  name: team-payments\nspec:\n  type: team\n  children: []\n") {
		t.Errorf("group:\n%s", got)
	}
	if got := show(t, url, "catalog/systems/shop.yaml"); !strings.HasSuffix(got, "kind: System\nmetadata:\n  name: shop\nspec:\n  owner: team-payments\n") {
		t.Errorf("system:\n%s", got)
	}
	before := commits(t, url)
	if out := deliver(t, url, full(), 1); out.Evidence.Changed || commits(t, url) != before {
		t.Errorf("the second time it changed %s", out.Summary)
	}
}

// What is not said is not written.
func TestNothingIsInvented(t *testing.T) {
	t.Parallel()
	for _, owner := range []string{"user:ann", "group:elsewhere/team-a"} {
		url := bare(t)
		deliver(t, url, &service.Service{Name: "checkout", Owner: owner, System: "system:elsewhere/shop"}, 1)
		if got := names(t, url); got != "catalog/checkout.yaml\n" {
			t.Errorf("%s: %s", owner, got)
		}
		if s := stateOf(t, url, "checkout"); s.Derived != nil {
			t.Errorf("%s: %+v", owner, s.Derived)
		}
	}
	url := bare(t)
	in := delivery(t, url, full(), 1)
	in.Elsewhere = []string{"group:*", "SYSTEM:default/shop", "api:default/checkout-api"}
	mustRun(t, in)
	if got := names(t, url); got != "catalog/checkout.yaml\n" || strings.Contains(show(t, url, "catalog/checkout.yaml"), "kind: API") {
		t.Errorf("other catalogues have them: %s", got)
	}
	if !strings.Contains(show(t, url, "catalog/checkout.yaml"), "    - checkout-api\n") {
		t.Error("what it provides is said whoever has the API")
	}
}

func TestWhatPeopleWroteIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	const people = `apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: Team-Payments, title: Payments}
spec: {type: squad, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: shop}
spec: {owner: team-platform}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: checkout-api, namespace: default}
spec: {type: grpc, lifecycle: production, owner: team-payments, definition: x}
`
	url := bare(t)
	edit(t, url, map[string]string{"catalog/people/all.yml": people, "catalog/notes.txt": "kind: Resource\nmetadata: {name: checkout-db}\n"})
	deliver(t, url, full(), 1)
	if got := names(t, url); got != "catalog/checkout.yaml\ncatalog/notes.txt\ncatalog/people/all.yml\n" {
		t.Errorf("files: %s", got)
	}
	if got := show(t, url, "catalog/checkout.yaml"); strings.Contains(got, "kind: API") || !strings.Contains(got, "kind: Resource") {
		t.Errorf("%s", got)
	}
	if got := show(t, url, "catalog/people/all.yml"); got != people {
		t.Errorf("what people wrote became\n%s", got)
	}
	d := stateOf(t, url, "checkout").Derived
	if diff := cmp.Diff([]string{"api:default/checkout-api", "group:default/team-payments", "system:default/shop"}, d.Others); diff != "" {
		t.Error(diff)
	}
}

// A file that nobody can read may have anything, so nothing is written that it may have until it is mended.
func TestAFileThatCannotBeReadMayHaveIt(t *testing.T) {
	t.Parallel()
	url := bare(t)
	edit(t, url, map[string]string{"catalog/org.yaml": "kind: Group\nmetadata: {name: team-payments}\nspec: [\n"})
	deliver(t, url, full(), 1)
	if got := names(t, url); strings.Contains(got, "groups/") || !strings.Contains(got, "systems/shop.yaml") {
		t.Errorf("%s", got)
	}
	edit(t, url, map[string]string{"catalog/org.yaml": "# nothing\n"})
	deliver(t, url, full(), 2)
	if got := names(t, url); !strings.Contains(got, "groups/team-payments.yaml") {
		t.Errorf("after it was mended: %s", got)
	}
}

func TestWhatIdpYAMLNoLongerNames(t *testing.T) {
	t.Parallel()
	url := bare(t)
	svc := full()
	svc.APIs = append(svc.APIs, service.API{Name: "kept", Type: "grpc", File: "kept.proto"}, service.API{Name: "needed", Type: "grpc", File: "needed.proto"})
	deliver(t, url, svc, 1)
	text := show(t, url, "catalog/checkout.yaml")
	text = strings.Replace(text, "  name: kept\n", "  name: kept\n  title: Kept\n", 1)
	text = strings.Replace(text, "    - component:stock\n", "    - component:stock\n    - resource:by-hand\n", 1)
	edit(t, url, map[string]string{"catalog/checkout.yaml": text,
		"catalog/web.yaml": "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: web}\nspec: {type: website, lifecycle: production, owner: x, consumesApis: [needed]}\n"})
	least := checkout()
	deliver(t, url, least, 2)
	got := show(t, url, "catalog/checkout.yaml")
	for part, want := range map[string]bool{"name: checkout-api": false, "name: checkout-db": false, "name: kept": true, "name: needed": true,
		"providesApis": false, "consumesApis": false, "component:stock": false, "resource:by-hand": true} {
		if strings.Contains(got, part) != want {
			t.Errorf("%s is there: %v\n%s", part, !want, got)
		}
	}
	if files := names(t, url); files != "catalog/checkout.yaml\ncatalog/groups/team-payments.yaml\ncatalog/systems/shop.yaml\ncatalog/web.yaml\n" {
		t.Errorf("%s", files)
	}
	before := commits(t, url)
	if out := deliver(t, url, least, 2); out.Evidence.Changed || commits(t, url) != before {
		t.Errorf("the second time it changed %s", out.Summary)
	}
}

func TestDefinitionsAreAsDelivered(t *testing.T) {
	t.Parallel()
	url := bare(t)
	deliver(t, url, full(), 1)
	in := delivery(t, url, full(), 2)
	in.Definitions["checkout-api"] = []byte("openapi: 3.2.0\n")
	mustRun(t, in)
	if got := show(t, url, "apis/checkout/checkout-api.yaml"); got != "openapi: 3.2.0\n" {
		t.Errorf("%q", got)
	}
	svc := full()
	svc.APIs[0].File = "api/openapi.json"
	deliver(t, url, svc, 3)
	if got := names(t, url); strings.Contains(got, ".yaml\napis") || !strings.HasPrefix(got, "apis/checkout/checkout-api.json\ncatalog/") {
		t.Errorf("%s", got)
	}
	// What a person took out of the service's file is written again, unless it is in another one now.
	edit(t, url, map[string]string{"catalog/checkout.yaml": "# empty\n"})
	deliver(t, url, svc, 4)
	if got := show(t, url, "catalog/checkout.yaml"); !strings.Contains(got, "kind: API") || !strings.Contains(got, "kind: Resource") {
		t.Errorf("%s", got)
	}
	edit(t, url, map[string]string{"catalog/checkout.yaml": "# empty\n", "catalog/db.yaml": "kind: Resource\nmetadata: {name: checkout-db}\n"})
	deliver(t, url, svc, 5)
	if got := show(t, url, "catalog/checkout.yaml"); !strings.Contains(got, "kind: API") || strings.Contains(got, "kind: Resource") {
		t.Errorf("%s", got)
	}
}

func TestASystemGoesWithTheOwnerOfItsServices(t *testing.T) {
	t.Parallel()
	url := bare(t)
	owner := func() string {
		_, owner, _ := strings.Cut(show(t, url, "catalog/systems/shop.yaml"), "owner: ")
		return strings.TrimSpace(owner)
	}
	of := func(name, owner string) *service.Service {
		return &service.Service{Name: name, Owner: owner, System: "shop"}
	}
	deliver(t, url, of("a", "team-a"), 1)
	deliver(t, url, of("a", "team-b"), 2)
	if got := owner(); got != "team-b" {
		t.Errorf("the only service of it has another owner: %s", got)
	}
	deliver(t, url, of("b", "team-b"), 3)
	deliver(t, url, of("a", "team-c"), 4)
	if got := owner(); got != "team-b" {
		t.Errorf("its services have two owners: %s", got)
	}
	deliver(t, url, of("b", "team-c"), 5)
	edit(t, url, map[string]string{"catalog/systems/shop.yaml": strings.Replace(show(t, url, "catalog/systems/shop.yaml"), "spec:", "# ours\nspec:", 1)})
	deliver(t, url, of("b", "team-d"), 6)
	deliver(t, url, of("a", "team-d"), 7)
	if got := owner(); got == "team-d" {
		t.Error("a person edited it, and it was changed")
	}
	two := bare(t)
	mixed := delivery(t, two, of("a", "team-a"), 1)
	mixed.Elsewhere = []string{"system:*"}
	mustRun(t, mixed)
	deliver(t, two, of("b", "team-b"), 2)
	if got := names(t, two); strings.Contains(got, "systems/") {
		t.Errorf("whose it is is not known: %s", got)
	}
}

// Services of one team that are new at the same time find each other's team, whoever comes first.
func TestSharedEntitiesOfManyPublishers(t *testing.T) {
	t.Parallel()
	url := bare(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			svc := full()
			svc.Name = fmt.Sprintf("s%02d", i)
			in := delivery(t, url, svc, i)
			if _, err := Run(t.Context(), in, testDeps()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	count := map[string]int{}
	for file := range strings.FieldsSeq(names(t, url)) {
		if strings.HasPrefix(file, "catalog/") {
			docs, err := entityfile.Documents([]byte(show(t, url, file)))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				h, err := entityfile.HeadOf(d.Content[0])
				if err != nil {
					t.Fatal(err)
				}
				count[h.Ref()]++
			}
		}
	}
	if len(count) != 8+4 {
		t.Errorf("%d entities: %v", len(count), count)
	}
	for ref, n := range count {
		if n != 1 {
			t.Errorf("%s is there %d times", ref, n)
		}
	}
}

// Where a delivery would write a team, a person may have written something else.
func TestFilesOfPeopleAreNotWrittenOver(t *testing.T) {
	t.Parallel()
	url := bare(t)
	files := map[string]string{"catalog/groups/team-payments.yaml": "# we are payments now\nkind: Group\nmetadata: {name: payments}\n", "catalog/systems/shop.yaml": "# later\n"}
	edit(t, url, files)
	deliver(t, url, full(), 1)
	for path, text := range files {
		if got := show(t, url, path); got != text {
			t.Errorf("%s became\n%s", path, got)
		}
	}
}
