package portal

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

var deps = Deps{Now: func() time.Time { return now }}

// made makes the portal of a catalogue and gives its folder.
func made(t testing.TB, c *catalogue) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "site")
	if _, err := Run(context.Background(), Inputs{Catalog: c.write(t), Out: out}, deps); err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// one is a catalogue with one service, of which these are the deliveries to production.
func one(lines ...catalogfile.Line) *catalogue {
	c := newCatalogue()
	c.add(sample{name: "checkout", owner: "team-payments"})
	for i, l := range lines {
		l.Service, l.Environment, l.Time = "checkout", "production", now.Add(time.Duration(i-len(lines))*time.Hour)
		c.deliver(l)
	}
	return c
}

// returned is a rollback by hand, after which its image could not be told.
func returned(l catalogfile.Line, outcome record.Outcome) catalogfile.Line {
	l.Stages = []catalogfile.Stage{{Name: record.StageRollback, Outcome: outcome}, {Name: record.StageAttest, Outcome: record.Error}}
	l.Outcome = record.Worst([]record.Stage{{Outcome: outcome}, {Outcome: record.Error}})
	return l
}

// TestWhatRuns holds what a page says of what runs after each kind of delivery: above all that it is not said to be known
// where a delivery ended in the middle of a change.
func TestWhatRuns(t *testing.T) {
	t.Parallel()
	good := line("checkout", "production", 1, now)
	next := line("checkout", "production", 2, now)
	for name, tt := range map[string]struct {
		lines []catalogfile.Line
		want  state
		says  string
	}{
		"passed":                       {[]catalogfile.Line{good}, stateLive, ""},
		"failed before the deploy":     {[]catalogfile.Line{good, failed(next, record.Failed, "sast", false)}, stateKept, "Delivery 2 failed at sast; nothing was changed."},
		"unknown before the deploy":    {[]catalogfile.Line{good, failed(next, record.Error, "secrets", false)}, stateKept, "Delivery 2 could not be determined at secrets; nothing was changed."},
		"failed and was taken back":    {[]catalogfile.Line{good, failed(next, record.Failed, "smoke", true)}, stateKept, "Delivery 2 failed at smoke; the older version was put back."},
		"failed and was not":           {[]catalogfile.Line{good, failed(next, record.Failed, "deploy", false)}, stateUnsure, "Delivery 2 failed at deploy after it had begun to change what runs. Look at the environment itself."},
		"unknown in the deploy":        {[]catalogfile.Line{good, failed(next, record.Error, "deploy", false)}, stateUnsure, "Delivery 2 could not be determined at deploy after it had begun"},
		"unknown in the smoke test":    {[]catalogfile.Line{good, failed(next, record.Error, "smoke", false)}, stateUnsure, "Delivery 2 could not be determined at smoke after it had begun"},
		"the first failed":             {[]catalogfile.Line{failed(good, record.Failed, "sast", false)}, stateNone, "Delivery 1 failed at sast; nothing was live before."},
		"passed after one that failed": {[]catalogfile.Line{failed(good, record.Failed, "deploy", false), next}, stateLive, ""},
		"unknown after it was live":    {[]catalogfile.Line{good, failed(next, record.Error, "events", false)}, stateKept, "Delivery 2 could not be determined at events, after the new version was live and well."},
		"unknown after a rollback":     {[]catalogfile.Line{good, returned(next, record.Passed)}, stateKept, "Delivery 2 could not be determined at attest, after the older version was live again."},
		"a rollback that failed":       {[]catalogfile.Line{good, returned(next, record.Failed)}, stateUnsure, "Look at the environment itself."},
		"begun, and nothing changed":   {[]catalogfile.Line{good, unchanged(failed(next, record.Error, "deploy", false))}, stateKept, "Delivery 2 could not be determined at deploy; nothing was changed."},
		"without any stage":            {[]catalogfile.Line{good, {Outcome: record.Error}}, stateUnsure, "Delivery 2 could not be determined after it had begun"},
		"an outcome of another age":    {[]catalogfile.Line{good, {Outcome: "splendid", Stages: good.Stages}}, stateUnsure, "Look at the environment itself."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := one(tt.lines...)
			s, err := load(t.Context(), c.fs(t), "production", now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.services[0].state(); got != tt.want {
				t.Errorf("state %q, want %q", got, tt.want)
			}
			page := string(s.servicePage(s.services[0]).render())
			if !strings.Contains(page, tt.says) || (tt.says == "" && strings.Contains(page, `class="note"`)) {
				t.Errorf("the page does not say %q", tt.says)
			}
			if passed := strings.Contains(page, looks[stateLive].word); passed != (tt.want == stateLive) {
				t.Errorf("the page says that the last delivery passed: %v", passed)
			}
		})
	}
}

// TestNothingIsMadeUp holds that what the catalogue does not say is said not to be known, never 0.
func TestNothingIsMadeUp(t *testing.T) {
	t.Parallel()
	bare := catalogfile.Line{Outcome: record.Passed, Commit: "0123456789abcdef", Digest: "sha256:aa11bb22", Stages: stages(record.Passed, "")}
	page := read(t, made(t, one(bare)), "services", "checkout.html")
	for _, want := range []string{"No runbook", "<dt>SLA</dt><dd><span class=\"muted\">not given", "<dt>Cost a month</dt><dd><span class=\"muted\">not known", "evidence not known",
		"<dt>Signed by</dt><dd><span class=\"muted\">not known", "not in CI", "the first"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "$0") {
		t.Error("the page has a cost that nobody estimated")
	}
}

// TestEvidenceOfARollback holds that what was put back by hand has the evidence of its own delivery.
func TestEvidenceOfARollback(t *testing.T) {
	t.Parallel()
	first, second := line("checkout", "production", 1, now), line("checkout", "production", 2, now)
	back := catalogfile.Line{Outcome: record.Passed, Commit: first.Commit, Digest: first.Digest, Stages: []catalogfile.Stage{{Name: "rollback", Outcome: record.Passed}}}
	second.Signer, second.Evidence = "somebody else", nil
	page := read(t, made(t, one(first, second, back)), "services", "checkout.html")
	if !strings.Contains(page, "<dt>Signed by</dt><dd>"+first.Signer) || !strings.Contains(page, "SBOM, provenance, scan results") {
		t.Error("the page does not show the evidence of the digest that runs")
	}
}

// unchanged makes a delivery one that says it changed nothing.
func unchanged(l catalogfile.Line) catalogfile.Line {
	l.Changed = new(bool)
	return l
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(fstest.MapFS)) string {
		c := one(line("checkout", "production", 1, now))
		c.fs(t)
		f(c.files)
		dir := filepath.Join(t.TempDir(), "catalogue")
		if err := os.CopyFS(dir, c.files); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const log = "deliveries/checkout/production/2026-11.jsonl"
	for name, tt := range map[string]struct {
		dir  string
		kind fault.Kind
		says string
	}{
		"no folder":               {filepath.Join(t.TempDir(), "none"), fault.BadInput, "cannot be opened"},
		"no catalogue":            {t.TempDir(), fault.BadInput, "there is no catalogue"},
		"no service":              {newCatalogue().write(t), fault.BadInput, "has no service"},
		"an index of another age": {change(func(f fstest.MapFS) { f["index.json"].Data = []byte(`{"schema":"idp.catalog/v9","services":{}}`) }), fault.Undetermined, "idp.catalog/v9"},
		"a cut log":               {change(func(f fstest.MapFS) { f[log].Data = f[log].Data[:100] }), fault.Undetermined, "2026-11.jsonl: line 1"},
		"a log of another":        {change(func(f fstest.MapFS) { f["deliveries/other/production/2026-11.jsonl"] = f[log] }), fault.Undetermined, `delivery of "checkout"`},
		"a broken entity":         {change(func(f fstest.MapFS) { f["catalog/checkout.yaml"].Data = []byte("kind: [") }), fault.Undetermined, "catalog/checkout.yaml"},
		"a huge entity":           {change(func(f fstest.MapFS) { f["catalog/checkout.yaml"].Data = make([]byte, maxEntity+1) }), fault.Undetermined, "larger than"},
		"an entity that is not in the catalogue": {change(func(f fstest.MapFS) {
			f["index.json"].Data = []byte(strings.ReplaceAll(string(f["index.json"].Data), "catalog/checkout.yaml", "../../etc/passwd"))
		}), fault.Undetermined, "etc/passwd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "site")
			_, err := Run(t.Context(), Inputs{Catalog: tt.dir, Out: out}, deps)
			if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%v (%v), want %v with %q", err, fault.KindOf(err), tt.kind, tt.says)
			}
			if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a site although it was refused: %v", err)
			}
		})
	}
}

// TestLinksOutOfTheCatalogue holds that nothing of the machine gets into a site.
func TestLinksOutOfTheCatalogue(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(secret, []byte("kind: Component\nmetadata: {name: checkout, description: not for the web}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := one(line("checkout", "production", 1, now)).write(t)
	file := filepath.Join(dir, "catalog", "checkout.yaml")
	if err := errors.Join(os.Remove(file), os.Symlink(secret, file)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Inputs{Catalog: dir, Out: filepath.Join(t.TempDir(), "site")}, deps); fault.KindOf(err) != fault.Undetermined || err == nil {
		t.Errorf("a link out of the catalogue: %v", err)
	}
}

func TestOnlyASiteIsReplaced(t *testing.T) {
	t.Parallel()
	dir, out := shop().write(t), t.TempDir()
	in := Inputs{Catalog: dir, Out: out}
	for range 2 { // into an empty folder, and over the site that is then there
		if _, err := Run(t.Context(), in, deps); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := errors.Join(os.Remove(filepath.Join(out, siteFile)), os.WriteFile(filepath.Join(out, "thesis.txt"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), in, deps); fault.KindOf(err) != fault.BadInput || err == nil {
		t.Errorf("a folder of somebody else's: %v", err)
	}
	read(t, out, "thesis.txt")
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "$0.00", .0004: "< $0.01", 11.4: "$11.40", 999.5: "$999.50", 12345.6: "$12,346"} {
		if got := amount(f, "USD"); got != want {
			t.Errorf("%v is %q, want %q", f, got, want)
		}
	}
	if got := amount(34.2, "EUR"); got != "34.20 EUR" {
		t.Errorf("34.2 EUR is %q", got)
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	seen := map[string]string{}
	for _, name := range []string{"checkout", "Checkout", "a.b", ".", "..", "../x", "a/b", "a_b", "a_2fb", "", " ", "a%2fb", "é", "\x00", "con fuse", long, long + "y", "<script>", `"`, "?", "#"} {
		got := fileName(name)
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" || got[0] == '.' || len(got) > maxFileName || got != strings.ToLower(got) {
			t.Errorf("%q becomes %q", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q both become %q", name, other, got)
		}
		seen[got] = name
	}
}

// TestSpark holds the bars of a rhythm: as high as the busiest week at most, what did not pass on top, and never nothing for something.
func TestSpark(t *testing.T) {
	t.Parallel()
	x := &entry{ordered: []*target{{}, {}}}
	for _, d := range []struct {
		days    int
		target  int
		outcome record.Outcome
		times   int
	}{{0, 0, record.Passed, 3}, {0, 1, record.Failed, 1}, {7, 0, record.Passed, 1}, {90, 1, record.Error, 1}, {91, 0, record.Passed, 5}, {14, 0, record.Passed, 50}, {-1, 0, record.Passed, 1}} {
		for range d.times {
			x.ordered[d.target].rhythm(&catalogfile.Line{Time: now.AddDate(0, 0, -d.days), Outcome: d.outcome}, now)
		}
	}
	if got, want := x.spark(), "01"+strings.Repeat("00", 9)+"z0"+"10"+"31"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var b bytes.Buffer
	sparkPart("00" + strings.Repeat("00", 9) + "z0" + "01" + "31").write(&b)
	// 35 in the busiest week are 16 pixels; 1 is one of them, and 4 are two: one that did not pass, one that did.
	for _, want := range []string{`<rect class="idle" x="0" y="15" width="4" height="1">`, `<rect class="ok" x="50" y="0" width="4" height="16">`, `<rect class="bad" x="55" y="15" width="4" height="1">`,
		`<rect class="bad" x="60" y="14" width="4" height="1">`, `<rect class="ok" x="60" y="15" width="4" height="1">`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}
}

// TestTimelineSaysHowManyThereAre holds that what is not drawn is not left out of the number.
func TestTimelineSaysHowManyThereAre(t *testing.T) {
	t.Parallel()
	c := newCatalogue()
	c.add(sample{name: "busy", owner: "team-a"})
	for i := range maxPoints + 100 {
		c.deliver(line("busy", "production", i, now.Add(-time.Duration(maxPoints+100-i)*time.Hour)))
	}
	if page := read(t, made(t, c), "services", "busy.html"); !strings.Contains(page, "The last 90 days: 400 deliveries, of which the newest 300 are drawn") {
		t.Error("the timeline says that there are as many as it draws")
	}
}
