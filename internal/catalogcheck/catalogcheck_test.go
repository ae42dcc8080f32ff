package catalogcheck

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

var today = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const component = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: NAME
  annotations:
    idp/slo-availability: "99.9"
  links:
    - url: https://wiki.example.com/NAME
      title: Runbook
      type: runbook
spec:
  type: service
  lifecycle: production
  owner: team-a
`

const group = `apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: team-a}
spec: {type: team, children: []}
`

const api = "kind: API\nmetadata: {name: cart}\nspec: {owner: team-a, definition: {$text: 'FILE'}}\n"

// whole is a catalogue of two services in which all is as it has to be.
func whole(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{"catalog/groups/team-a.yaml": file(group), "README.md": file("# Service catalogue")}
	idx := catalogfile.Index{Schema: catalogfile.IndexSchema, Services: map[string]catalogfile.Service{}}
	for _, name := range []string{"cart", "checkout"} {
		files["catalog/"+name+".yaml"] = file(strings.ReplaceAll(component, "NAME", name))
		s := catalogfile.Service{Name: name, Owner: "team-a", Repository: "acme/" + name, Entity: "catalog/" + name + ".yaml",
			Environments: map[string]catalogfile.Environment{}}
		for i, env := range []string{"staging", "production"} {
			run := catalogfile.Run{Delivery: 2, ID: name + env + "2", Time: today.AddDate(0, 0, -i-1), Outcome: record.Passed}
			s.Environments[env] = catalogfile.Environment{Latest: run, Passed: &run}
			files["deliveries/"+name+"/"+env+"/2026-10.jsonl"] = file(line(t, name, env, 1))
			files["deliveries/"+name+"/"+env+"/2026-11.jsonl"] = file(line(t, name, env, 2))
		}
		idx.Services[name] = s
	}
	put(t, files, idx)
	return files
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }

func line(t *testing.T, service, environment string, number int) string {
	t.Helper()
	data, err := json.Marshal(catalogfile.Line{Schema: catalogfile.LineSchema, ID: service + environment + string(rune('0'+number)), Delivery: number,
		Service: service, Environment: environment, Outcome: record.Passed})
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

func put(t *testing.T, files fstest.MapFS, idx catalogfile.Index) {
	t.Helper()
	data, err := json.Marshal(idx)
	if err != nil {
		t.Fatal(err)
	}
	files[catalogfile.IndexFile] = file(string(data))
}

// index changes what the index says of checkout.
func index(t *testing.T, files fstest.MapFS, change func(*catalogfile.Service)) {
	t.Helper()
	idx, err := catalogfile.ReadIndex(files)
	if err != nil {
		t.Fatal(err)
	}
	s := idx.Services["checkout"]
	change(&s)
	idx.Services["checkout"] = s
	put(t, files, *idx)
}

func run(files fs.FS, change ...func(*Inputs)) (Report, error) {
	in := Inputs{Files: files, Stale: "90d"}
	for _, c := range change {
		c(&in)
	}
	return Run(context.Background(), in, Deps{Now: func() time.Time { return today }})
}

func TestWholeCataloguePasses(t *testing.T) {
	t.Parallel()
	report, err := run(whole(t))
	if err != nil || report.Services != 2 || report.Entities != 3 || len(report.Findings) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Each change breaks one thing, and exactly that is found.
func TestFindings(t *testing.T) {
	t.Parallel()
	const of = "catalog/checkout.yaml"
	add := func(path, text string) func(*testing.T, fstest.MapFS) {
		return func(_ *testing.T, f fstest.MapFS) { f[path] = file(text) }
	}
	edit := func(old, new string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, f fstest.MapFS) {
			text := string(f[of].Data)
			if !strings.Contains(text, old) {
				t.Fatalf("%q is not there", old)
			}
			f[of] = file(strings.Replace(text, old, new, 1))
		}
	}
	spec := func(lines string) func(*testing.T, fstest.MapFS) { return edit("spec:\n", "spec:\n"+lines) }
	listed := func(change func(*catalogfile.Service)) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, f fstest.MapFS) { index(t, f, change) }
	}
	for name, test := range map[string]struct {
		change func(*testing.T, fstest.MapFS)
		want   []string
	}{
		"owner gone": {func(_ *testing.T, f fstest.MapFS) { delete(f, "catalog/groups/team-a.yaml") },
			[]string{"catalog/cart.yaml:14: owner: owner names group:default/team-a, which the catalogue does not have",
				of + ":14: owner: owner names group:default/team-a, which the catalogue does not have"}},
		"no owner": {func(t *testing.T, f fstest.MapFS) {
			edit("  owner: team-a\n", "")(t, f)
			index(t, f, func(s *catalogfile.Service) { s.Owner = "" })
		}, []string{of + ":1: owner: component:default/checkout has no owner"}},
		"owner null": {func(t *testing.T, f fstest.MapFS) {
			edit("owner: team-a", "owner: ~")(t, f)
			index(t, f, func(s *catalogfile.Service) { s.Owner = "" })
		}, []string{of + ":1: owner: component:default/checkout has no owner"}},
		"owner is a user":   {edit("owner: team-a", "owner: group:default/Team-A"), []string{of + `:1: index: its owner is "group:default/Team-A" here and "team-a" in index.json; idp.yaml of the service decides at its next delivery`}},
		"system":            {spec("  system: shop\n"), []string{of + ":12: system: system names system:default/shop, which the catalogue does not have"}},
		"dependency":        {spec("  dependsOn: [component:cart, 'resource:default/orders-db']\n"), []string{of + ":12: reference: dependsOn names resource:default/orders-db, which the catalogue does not have"}},
		"dependency of":     {spec("  dependencyOf:\n    - component:cart\n    - component:web\n"), []string{of + ":14: reference: dependencyOf names component:default/web, which the catalogue does not have"}},
		"no kind":           {spec("  dependsOn: [cart]\n"), []string{of + `:12: reference: dependsOn "cart" is not a reference; write KIND:NAMESPACE/NAME`}},
		"no name":           {spec("  providesApis: ['api:']\n"), []string{of + `:12: reference: providesApis "api:" is not a reference; write KIND:NAMESPACE/NAME`}},
		"another namespace": {spec("  dependsOn: ['component:other/cart']\n"), []string{of + ":12: reference: dependsOn names component:other/cart, which the catalogue does not have"}},
		"API":               {spec("  consumesApis: [cart]\n"), []string{of + ":12: reference: consumesApis names api:default/cart, which the catalogue does not have"}},
		"definition": {func(_ *testing.T, f fstest.MapFS) {
			f["catalog/api.yaml"], f["apis/cart/cart.yaml"] = file(strings.Replace(api, "FILE", "../apis/cart/cart.yaml", 1)), file("openapi: 3.1.0")
		}, nil},
		"definition elsewhere": {add("catalog/api.yaml", strings.Replace(api, "FILE", "https://example.com/cart.yaml", 1)), nil},
		"definition gone": {add("catalog/api.yaml", strings.Replace(api, "FILE", "../apis/cart/cart.yaml", 1)),
			[]string{"catalog/api.yaml:3: reference: the definition is apis/cart/cart.yaml, which the catalogue does not have"}},
		"definition outside": {add("catalog/api.yaml", strings.Replace(api, "FILE", "../../../etc/passwd", 1)),
			[]string{"catalog/api.yaml:3: reference: the definition is ../../etc/passwd, which the catalogue does not have"}},
		"a person who owns": {func(t *testing.T, f fstest.MapFS) {
			index(t, f, func(s *catalogfile.Service) { s.Owner = "user:default/jane" })
			f[of] = file(strings.Replace(string(f[of].Data), "owner: team-a", "owner: user:jane", 1))
			f["catalog/jane.yaml"] = file("kind: User\nmetadata: {name: jane}\nspec: {memberOf: [team-a]}\n")
		}, nil},
		"a person who is not there": {func(t *testing.T, f fstest.MapFS) {
			index(t, f, func(s *catalogfile.Service) { s.Owner = "user:jane" })
			f[of] = file(strings.Replace(string(f[of].Data), "owner: team-a", "owner: user:jane", 1))
			f["catalog/groups/jane.yaml"] = file(strings.Replace(group, "team-a", "jane", 1)) // a team of that name is somebody else
		}, []string{of + ":14: owner: owner names user:default/jane, which the catalogue does not have; write a User for it below catalog/, or say with elsewhere user:* where people come from another catalogue"}},
		"group's own":        {add("catalog/b.yml", "kind: Group\nmetadata: {name: b}\nspec: {parent: team-a, children: [c], members: [ann]}\n"), []string{"catalog/b.yml:3: reference: children names group:default/c, which the catalogue does not have", "catalog/b.yml:3: reference: members names user:default/ann, which the catalogue does not have; write a User for it below catalog/, or say with elsewhere user:* where people come from another catalogue"}},
		"domain of a system": {add("catalog/b.yaml", "kind: System\nmetadata: {name: b}\nspec: {owner: team-a, domain: retail}\n"), []string{"catalog/b.yaml:3: reference: domain names domain:default/retail, which the catalogue does not have"}},
		"entity twice":       {add("catalog/x/again.yaml", "\n"+strings.Replace(group, "team-a", "Team-A", 1)), []string{"catalog/x/again.yaml:2: duplicate: group:default/team-a is in catalog/groups/team-a.yaml:1 already"}},
		"service twice":      {listed(func(s *catalogfile.Service) { s.Repository = "acme/cart" }), []string{of + ": duplicate: checkout is the same folder of acme/cart as cart; where one of them is an old name, take it out"}},
		"in another case":    {listed(func(s *catalogfile.Service) { s.Repository = "Acme/Cart" }), []string{of + ": duplicate: checkout is the same folder of Acme/Cart as cart; where one of them is an old name, take it out"}},
		"state of another place": {func(t *testing.T, f fstest.MapFS) {
			index(t, f, func(s *catalogfile.Service) {
				moved := *s
				moved.Repository = "acme/moved"
				data, err := json.Marshal(catalogfile.State{Schema: catalogfile.StateSchema, Service: moved})
				if err != nil {
					t.Fatal(err)
				}
				f[catalogfile.StateFile("checkout")] = file(string(data))
				s.Environments = nil
			})
		}, []string{"index.json: index: checkout has other facts here than in deliveries/checkout/state.json, which is believed; make them the same"}},
		"entity of a service": {func(_ *testing.T, f fstest.MapFS) { delete(f, of) }, []string{"index.json: index: checkout is listed, and catalog/checkout.yaml does not have that component"}},
		"not in the index":    {add("catalog/web.yaml", strings.ReplaceAll(component, "NAME", "web")), []string{"catalog/web.yaml:1: index: web is not in index.json: no delivery registered it"}},
		"log without service": {add("deliveries/web/staging/2026-11.jsonl", line(t, "web", "staging", 1)), []string{"deliveries/web: index: web has deliveries and is not in index.json"}},
		"log is ahead":        {add("deliveries/checkout/staging/2026-12.jsonl", line(t, "checkout", "staging", 3)), []string{"deliveries/checkout/staging/2026-12.jsonl: index: its last delivery is 3 (passed), and index.json has 2 (passed)"}},
		"state is no log": {func(t *testing.T, f fstest.MapFS) {
			index(t, f, func(s *catalogfile.Service) {
				data, err := json.Marshal(catalogfile.State{Schema: catalogfile.StateSchema, Service: *s})
				if err != nil {
					t.Fatal(err)
				}
				f[catalogfile.StateFile("checkout")] = file(string(data))
				s.Environments = nil
			})
		}, nil},
		"log is empty": {add("deliveries/checkout/staging/2026-12.jsonl", "\n"), nil}, // the one before has it
		"log is long":  {add("deliveries/checkout/staging/2026-11.jsonl", strings.Repeat(line(t, "checkout", "staging", 1), 10_000)+line(t, "checkout", "staging", 2)), nil},
		"log is gone": {func(_ *testing.T, f fstest.MapFS) {
			delete(f, "deliveries/checkout/staging/2026-10.jsonl")
			delete(f, "deliveries/checkout/staging/2026-11.jsonl")
		}, []string{"index.json: index: checkout has deliveries to staging, and no log has them"}},
		"under another name": {listed(func(s *catalogfile.Service) { s.Name = "till" }), []string{`index.json: index: "checkout" is listed as service "till" of catalog/checkout.yaml`}},
		"stale": {listed(func(s *catalogfile.Service) {
			for name, e := range s.Environments {
				e.Latest.Time = today.AddDate(0, 0, -91)
				s.Environments[name] = e
			}
		}), []string{of + ":1: stale: checkout was last delivered on 2026-08-28, to production; deliver it, or take it out where it is gone"}},
		"never delivered": {func(t *testing.T, f fstest.MapFS) {
			maps.DeleteFunc(f, func(path string, _ *fstest.MapFile) bool { return strings.HasPrefix(path, "deliveries/checkout/") })
			index(t, f, func(s *catalogfile.Service) { s.Environments = nil })
		}, []string{of + ":1: stale: checkout was never delivered"}},
		"no runbook":    {edit("type: runbook", "type: dashboard"), []string{of + ":1: runbook: checkout has no runbook; add runbook to its idp.yaml"}},
		"empty runbook": {edit("https://wiki.example.com/checkout", "''"), []string{of + ":1: runbook: checkout has no runbook; add runbook to its idp.yaml"}},
		"no objective":  {edit("idp/slo-availability", "other"), []string{of + ":1: sla: checkout has no availability objective; add sla to its idp.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := whole(t)
			test.change(t, files)
			report, err := run(files)
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if want := len(test.want) > 0; (err != nil) != want || want && fault.KindOf(err) != fault.Failed {
				t.Errorf("%v", err)
			}
		})
	}
}

// What could not be read was not checked, so nothing passes and nothing merely fails.
func TestUnreadableIsUndetermined(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path string
		file *fstest.MapFile
		want string
	}{
		"not YAML":            {"catalog/checkout.yaml", file("a: ["), "did not find expected node content"},
		"a list":              {"catalog/x.yaml", file("- a\n"), "it is no entity"},
		"no name":             {"catalog/x.yaml", file("kind: Group\n"), "it is no entity"},
		"too large":           {"catalog/x.yaml", file("a: " + strings.Repeat("x", largest)), "more than 1048576 bytes"},
		"a link":              {"catalog/x.yaml", &fstest.MapFile{Data: []byte("../README.md"), Mode: fs.ModeSymlink}, "not a plain file"},
		"a linked folder":     {"catalog/more", &fstest.MapFile{Data: []byte("../elsewhere"), Mode: fs.ModeSymlink}, "not a plain file"},
		"last line cut":       {"deliveries/checkout/staging/2026-11.jsonl", file(`{"schema":"idp.delivery-line/v1","id":`), "its last line"},
		"log of another form": {"deliveries/checkout/staging/2026-11.jsonl", file(`{"schema":"x"}`), `schema "x"`},
		"a linked definition": {"apis/cart.yaml", &fstest.MapFile{Data: []byte("../README.md"), Mode: fs.ModeDir}, "not a plain file"},
		"a file for a folder": {"deliveries/checkout/notes", file("x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := whole(t)
			files[test.path] = test.file
			files["catalog/api.yaml"] = file(strings.Replace(api, "FILE", "../apis/cart.yaml", 1))
			report, err := run(files, func(in *Inputs) { in.Warn = names() }) // it cannot be made a warning
			if fault.KindOf(err) != fault.Undetermined || err == nil || report.Count(Unreadable, false) != 1 {
				t.Fatalf("%v, %+v", err, report.Findings)
			}
			for _, f := range report.Findings {
				if f.Rule == Unreadable && (f.File != test.path || !strings.Contains(f.Message, test.want)) {
					t.Errorf("%s", f)
				}
			}
		})
	}
}

// A file that nobody can read is annotated where it is broken, not where the block began that the mistake is in.
func TestUnreadableLine(t *testing.T) {
	t.Parallel()
	const head = "kind: Group\nmetadata:\n  name: x\n  links:\n    - url: a\n"
	for name, test := range map[string]struct {
		text string
		line int
		want string
	}{
		"indentation":           {head + "   title: b\nspec: {}\n", 6, "did not find expected key"},
		"an open list":          {head + "spec: [a,\n  b\n", 6, "not valid YAML"},
		"a closed one before":   {"kind: [a,\n  b,\n  c]\nmetadata: {name: x}\n\tspec: 1\n", 5, "tab"},
		"an open text":          {head + "spec: 'x\nother: 1\n", 6, "unexpected end"},
		"a colon":               {head + "spec: a: b\n", 6, "mapping values"},
		"an anchor of nothing":  {head + "spec: *x\n", 6, "unknown anchor"},
		"the first line":        {"@x\n", 1, "needs quotes"},
		"the second document":   {head + "---\n" + head + "  more\n", 12, "could not find expected ':'"},
		"a character":           {head + "spec: \x01\n", 6, "control character"},
		"a key twice":           {head + "spec: {}\nkind: User\n", 7, `key "kind" is there already, in line 1`},
		"a key twice, further":  {head + "spec:\n  a: {b: 1, c: 2,\n    b: 3}\n", 8, `key "b" is there already, in line 7`},
		"in a list":             {head + "      type: a\n      url: b\n", 7, `key "url" is there already, in line 5`},
		"neither kind nor name": {head + "---\n\nkind: Group\n", 8, "it is no entity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := whole(t)
			files["catalog/x.yaml"] = file(test.text)
			report, err := run(files)
			if fault.KindOf(err) != fault.Undetermined || len(report.Findings) != 1 {
				t.Fatalf("%v, %+v", err, report.Findings)
			}
			if f := report.Findings[0]; f.Rule != Unreadable || f.File != "catalog/x.yaml" || f.Line != test.line || !strings.Contains(f.Message, test.want) || strings.Contains(f.Message, "line 0") {
				t.Errorf("%s, want line %d: %s", f, test.line, test.want)
			}
		})
	}
}

// broken is a file system that gives an error for one path.
type broken struct {
	fstest.MapFS
	path string
}

var errDisk = errors.New("input/output error")

func (b broken) Open(name string) (fs.File, error) {
	if name == b.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errDisk}
	}
	return b.MapFS.Open(name)
}

func (b broken) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == b.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errDisk}
	}
	return b.MapFS.ReadDir(name)
}

func (b broken) ReadFile(name string) ([]byte, error) {
	if name == b.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errDisk}
	}
	return b.MapFS.ReadFile(name)
}

func TestDiskThatFails(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"index.json", "catalog", "catalog/groups", "catalog/cart.yaml", "deliveries", "deliveries/cart",
		"deliveries/cart/staging", "deliveries/cart/staging/2026-11.jsonl"} {
		report, err := run(broken{whole(t), path})
		if err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%s: %v, %+v", path, err, report)
		}
	}
}

func TestNothingToCheckIsNoPass(t *testing.T) {
	t.Parallel()
	empty := fstest.MapFS{}
	put(t, empty, catalogfile.Index{Schema: catalogfile.IndexSchema, Services: map[string]catalogfile.Service{}})
	for name, files := range map[string]fs.FS{"no service": empty, "no index": fstest.MapFS{"catalog/a.yaml": file(group)}, "nothing": fstest.MapFS{},
		"another form": fstest.MapFS{"index.json": file(`{"schema":"x","services":{}}`)}} {
		if _, err := run(files); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Run(t.Context(), Inputs{Stale: "90d"}, Deps{Now: time.Now}); fault.KindOf(err) != fault.Undetermined || err == nil {
		t.Errorf("no files at all: %v", err)
	}
}

func TestCancelledCheckIsNoPass(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Inputs{Files: whole(t), Stale: "90d"}, Deps{Now: func() time.Time { return today }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRulesThatWarnDoNotFail(t *testing.T) {
	t.Parallel()
	files := whole(t)
	files["catalog/checkout.yaml"] = file(strings.Replace(strings.ReplaceAll(component, "NAME", "checkout"), "type: runbook", "type: x", 1))
	report, err := run(files, func(in *Inputs) { in.Warn = []string{"runbook"} })
	if err != nil || report.Warnings() != 1 || report.Errors() != 0 || !strings.Contains(report.Findings[0].String(), "warning: runbook: ") {
		t.Errorf("%v %+v", err, report)
	}
	delete(files, "catalog/groups/team-a.yaml")
	report, err = run(files, func(in *Inputs) { in.Warn = []string{"runbook"} })
	if fault.KindOf(err) != fault.Failed || report.Warnings() != 1 || report.Errors() != 2 || report.Findings[2].Rule != Runbook {
		t.Errorf("%v %+v", err, report)
	}
}

func TestElsewhere(t *testing.T) {
	t.Parallel()
	for pattern, found := range map[string]bool{"group:*": true, "Group:default/team-a": true, "group:default/*": true, "group:other/*": false,
		"user:*": false, "group:default/team": false} {
		files := whole(t)
		delete(files, "catalog/groups/team-a.yaml")
		report, err := run(files, func(in *Inputs) { in.Elsewhere = []string{pattern} })
		if (err == nil) != found || (len(report.Findings) == 0) != found {
			t.Errorf("%s: %v %+v", pattern, err, report.Findings)
		}
	}
}

func TestInputsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Inputs){
		"rule":         func(in *Inputs) { in.Warn = []string{"runbooks"} },
		"unreadable":   func(in *Inputs) { in.Warn = []string{"unreadable"} },
		"all":          func(in *Inputs) { in.Elsewhere = []string{"*"} },
		"no kind":      func(in *Inputs) { in.Elsewhere = []string{":x"} },
		"in the midst": func(in *Inputs) { in.Elsewhere = []string{"group:*/team-a"} },
		"age":          func(in *Inputs) { in.Stale = "never" },
		"no age":       func(in *Inputs) { in.Stale = "" },
	} {
		if _, err := run(whole(t), change); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}
