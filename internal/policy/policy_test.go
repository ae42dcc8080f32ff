package policy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/policy"
)

var update = flag.Bool("update", false, "write the expected files anew")

const table = "../../testdata/policy"

func TestDefault(t *testing.T) {
	t.Parallel()
	p, err := policy.Load("")
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	data, err := os.ReadFile("default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if p.Name != "default" || p.Digest != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("name %s, digest %s", p.Name, p.Digest)
	}
	want := policy.Rules{
		Signer: policy.Signer{Key: "run"}, Require: []string{"provenance", "sbom", "sast", "secrets"},
		SAST: policy.Gate{FailOn: "high", NewOnly: new(true)}, Secrets: policy.Gate{FailOn: "low"}, EvidenceMaxAge: "30d",
		Waivers: policy.Waivers{MaxDays: 90, NeedReason: new(true)},
		Smoke:   policy.Smoke{Rounds: 3},
		Sizes:   map[string]policy.Size{"small": {CPU: "100m", Memory: "128Mi"}, "medium": {CPU: "500m", Memory: "512Mi"}, "large": {CPU: "2", Memory: "2Gi"}},
	}
	for _, environment := range []string{"local", "one that is not listed"} {
		have, err := p.For(environment)
		if diff := cmp.Diff(want, have); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +have):\n%s", environment, err, diff)
		}
		if missing := have.Missing(); missing != nil {
			t.Errorf("%s misses %v", environment, missing)
		}
	}
	if diff := cmp.Diff([]string{"small", "medium", "large"}, p.SizeNames()); diff != "" {
		t.Error(diff)
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	p, err := policy.Load(filepath.Join(table, "good", "full.yaml"))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	key := filepath.Join(table, "good", "keys", "delivery.pub")
	staging, err := p.For("staging")
	alike := p.Defaults
	alike.After = policy.After{} // it does not come after itself
	if diff := cmp.Diff(alike, staging); err != nil || diff != "" || staging.Signer.Key != key {
		t.Errorf("staging, key %s: %v\n%s", staging.Signer.Key, err, diff)
	}
	have, err := p.For("production")
	want := policy.Rules{
		Signer: policy.Signer{Key: "run"}, Require: []string{"provenance"},
		Provenance: policy.Provenance{Repositories: []string{"acme/*"}, Builders: []string{"https://github.com/org/idp"}, BaseImages: []string{}},
		SBOM: policy.SBOM{DenyPackages: []string{"pkg:npm/event-stream@3.3.6", "pkg:golang/github.com/acme/old*"}, DenyLicenses: []string{"GPL-3.0-only"}, AllowLicenses: []string{"MIT", "Apache-2.0"},
			WithoutLicense: []string{"pkg:golang/github.com/acme/*"}},
		SAST: policy.Gate{FailOn: "none", NewOnly: new(false), MinConfidence: "medium", CWE: map[string]string{"CWE-22": "high", "CWE-798": "low"},
			Suppressions: "refuse", RequireImport: new(true)},
		Secrets: policy.Gate{FailOn: "low", Suppressions: "need-justification"},
		Waivers: policy.Waivers{MaxDays: 14, NeedReason: new(true)}, EvidenceMaxAge: "12h", Smoke: policy.Smoke{Rounds: 3}, Budget: "300.50 USD/month",
		After:   policy.After{Environment: "preprod", HealthyFor: "10m", Require: []string{"deployment", "smoke"}},
		Freeze:  []policy.Freeze{{Cron: "0 16 * * FRI", For: "64h", Zone: "Europe/Berlin"}, {Cron: "*/30 8-18 1,15 JAN-MAR *", For: "5m"}},
		Approve: policy.Approve{By: "acme/site-reliability", Within: "12h"},
		Deploy:  policy.Deploy{Conflicts: "fail", PruneMax: new(0), Undo: "warn"},
		Sizes:   map[string]policy.Size{"small": {CPU: "200m", Memory: "128M"}, "large": {CPU: "2", Memory: "2Gi"}, "huge": {CPU: "16", Memory: "64Gi"}},
	}
	if diff := cmp.Diff(want, have); err != nil || diff != "" {
		t.Errorf("production: %v (-want +have):\n%s", err, diff)
	}
	if _, err := have.Size("smal"); fault.KindOf(err) != fault.BadInput ||
		!strings.Contains(strings.Join(fault.Lines(err), "\n"), "Name one of small, large, huge") {
		t.Errorf("Size: %v", err)
	}
	if p.Defaults.Sizes["small"].CPU != "100m" || len(p.Defaults.Sizes) != 2 {
		t.Errorf("For changed the defaults: %v", p.Defaults.Sizes)
	}
	if _, err := p.For(""); fault.KindOf(err) != fault.BadInput {
		t.Errorf("no environment: %v", err)
	}
}

func TestKeyless(t *testing.T) {
	t.Parallel()
	p, err := policy.Load(filepath.Join(table, "good", "keyless.yaml"))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	dir := filepath.Join(table, "good", "sigstore")
	base := policy.Keyless{Repository: "acme/*", OwnerID: "77", Workflow: "acme/golden/.github/workflows/path.yml@refs/tags/v1", Runner: "github-hosted",
		TrustedRoot: filepath.Join(dir, "trusted_root.json"), SigningConfig: filepath.Join(dir, "signing_config.json")}
	// An exact repository takes the place of a pattern and an owner: a mixture would be neither.
	exact := base
	exact.Repository, exact.OwnerID, exact.RepositoryID, exact.Ref = "", "", "1001", "refs/heads/main"
	// The root of one instance says nothing of the services of another.
	other := policy.Keyless{Issuer: "https://gitlab.com", Repository: "https://gitlab.com/acme/*", Workflow: ".github/workflows/a.yml",
		Runner: "github-hosted", TrustedRoot: "/etc/root.json"}
	for environment, want := range map[string]policy.Signer{"same": {Keyless: &base}, "unlisted": {Keyless: &base}, "exact": {Keyless: &exact},
		"other": {Keyless: &other}, "key": {Key: "run"}} {
		have, err := p.For(environment)
		if diff := cmp.Diff(want, have.Signer); err != nil || diff != "" || !have.Signer.Named() {
			t.Errorf("%s: %v (-want +have):\n%s", environment, err, diff)
		}
	}
	if (policy.Signer{}).Named() || !(policy.Signer{Keyless: &policy.Keyless{}}).Named() {
		t.Error("who signs is named by a key or by keyless, also by {}")
	}
}

func TestDeployRules(t *testing.T) {
	t.Parallel()
	p, err := policy.Load(filepath.Join(table, "good", "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		force   bool
		pruned  int
		undo    string
		after   guard.After
		approve guard.Approve
		windows []guard.Window
	}
	owners := guard.Approve{By: guard.CodeOwners, Within: 7 * 24 * time.Hour}
	for name, want := range map[string]answer{
		"staging": {true, 0, "refuse", guard.After{}, owners, []guard.Window{{Cron: "0 0 24 12 *", For: 96 * time.Hour}}},
		"preprod": {true, 3, "refuse", guard.After{Environment: "staging"}, guard.Approve{}, nil},
		"production": {false, 0, "warn", guard.After{Environment: "preprod", HealthyFor: 10 * time.Minute},
			guard.Approve{By: "acme/site-reliability", Within: 12 * time.Hour},
			[]guard.Window{{Cron: "0 16 * * FRI", For: 64 * time.Hour, Zone: "Europe/Berlin"}, {Cron: "*/30 8-18 1,15 JAN-MAR *", For: 5 * time.Minute}}},
		"unlisted": {true, 0, "refuse", guard.After{Environment: "staging"}, owners, []guard.Window{{Cron: "0 0 24 12 *", For: 96 * time.Hour}}},
	} {
		rules, err := p.For(name)
		if err != nil {
			t.Fatal(err)
		}
		windows, err := rules.Windows()
		after, afterErr := rules.After.Guard()
		approve, approveErr := rules.Approve.Guard()
		have := answer{rules.Deploy.Force(), rules.Deploy.MaxPruned(), rules.Deploy.UndoRule(), after, approve, windows}
		if diff := cmp.Diff(want, have, cmp.AllowUnexported(answer{})); err != nil || afterErr != nil || approveErr != nil || diff != "" {
			t.Errorf("%s: %v %v (-want +have):\n%s", name, err, afterErr, diff)
		}
	}
	var none policy.Deploy // what no policy says: nothing is taken over, ten are removed at most, and people are warned
	if none.Force() || none.MaxPruned() != 10 || none.UndoRule() != "warn" {
		t.Errorf("without a word: %v, %d, %s", none.Force(), none.MaxPruned(), none.UndoRule())
	}
}

// What sets nothing can decide nothing: each key that a decision needs has to be named.
func TestNothingIsSet(t *testing.T) {
	t.Parallel()
	all := []string{"signer", "require", "sast.fail-on", "secrets.fail-on", "evidence-max-age", "smoke.rounds"}
	for _, file := range []string{"nothing.yaml", "empty-rules.yaml"} {
		p, err := policy.Load(filepath.Join(table, "good", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, environment := range []string{"local", "production"} {
			rules, err := p.For(environment)
			if diff := cmp.Diff(all, rules.Missing()); err != nil || diff != "" {
				t.Errorf("%s, %s: %v %s", file, environment, err, diff)
			}
			if _, err := rules.Size("small"); fault.KindOf(err) != fault.BadInput {
				t.Errorf("%s has a size: %v", file, err)
			}
		}
	}
	if missing := (policy.Rules{}).Missing(); len(missing) != len(all) {
		t.Errorf("the zero rules miss %v", missing)
	}
}

func TestLoadWhatIsNotThere(t *testing.T) {
	t.Parallel()
	if p, err := policy.Load(filepath.Join(t.TempDir(), "policy.yaml")); p != nil || fault.KindOf(err) != fault.BadInput || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, %v", p, err)
	}
	if p, err := policy.Load(t.TempDir()); p != nil || fault.KindOf(err) != fault.BadInput {
		t.Errorf("a folder: %v, %v", p, err)
	}
	p, err := policy.Load("https://user:hunter2@example.com/policy.yaml?token=hunter2")
	if p != nil || fault.KindOf(err) != fault.BadInput || strings.Contains(strings.Join(fault.Lines(err), "\n"), "hunter2") {
		t.Errorf("an address: %v, %v", p, err)
	}
}

func TestNameOfTheFile(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse("policies/strict.yaml", []byte("{}\n"))
	if err != nil || p.Name != "strict" {
		t.Errorf("%v, %v", p, err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	list, err := filepath.Glob(filepath.Join(table, "bad", "*.yaml"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range list {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := policy.Parse("policy.yaml", data)
			if err == nil || p != nil || fault.KindOf(err) != fault.BadInput {
				t.Fatalf("Parse: %v, %v; want nothing and bad input", p, err)
			}
			have := strings.Join(fault.Lines(err), "\n") + "\n"
			want := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wanted, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(wanted), have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseAge(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{"10m": 10 * time.Minute, "12h": 12 * time.Hour, "7d": 168 * time.Hour, "99999d": 99999 * 24 * time.Hour} {
		if have, err := policy.ParseAge(s); err != nil || have != want {
			t.Errorf("%s: %v, %v", s, have, err)
		}
	}
	for _, s := range []string{"", "d", "7", "0d", "-7d", "+7d", "1.5h", "7d12h", "7s", "7 d", "7D", "100000d", "999999999999d"} {
		if have, err := policy.ParseAge(s); err == nil {
			t.Errorf("%q is read as %v", s, have)
		}
	}
}
