package app_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/org/idp/"

// stages must not know each other; app joins them.
var stages = []string{"sast", "secrets", "gate", "build", "container", "cost", "sign", "verify", "deploy", "smoke", "catalog", "catalogcheck", "events", "notify", "portal"}

// joining are the packages that join stages to a delivery. Each knows those before it only; app knows all of them.
var joining = []string{
	"app/cli",
	"app/delivery",
	"app/scanning",
	"app/artifacts",
	"app/deploying",
	"app/accounting",
	"app/reading",
}

// foundation is what everything else stands on, so it may know none of the stages and not app.
var foundation = []string{"license", "sbom",
	"catalog/entityfile",
	"secrets/describe", "secrets/prefilter",
	"action", "awake", "fault", "finding", "gitrepo", "gosource", "policy", "proc", "record", "evidence", "referrers", "report", "retry", "runner", "schema", "service", "strictyaml", "ui",
	"announce", "apply", "attest", "catalogfile", "clustertarget", "codeowners", "dora", "github", "gitstore", "guard", "kubernetes", "local", "localtarget", "logtext", "manifest", "oci", "projection", "release", "rollout", "sarif", "send", "signing", "spend", "strategy", "target", "testrun", "triage", "verifying", "waiver"}

// alone is who may import a heavy library: one package. sigstore-go has two, since whoever verifies needs neither keys nor tokens,
// nor the clients of a certificate authority and a log; signing knows verifying, and never the other way round.
var alone = map[string]string{
	"github.com/securego/gosec/":                 "internal/sast",
	"github.com/zricethezav/gitleaks/":           "internal/secrets internal/secrets/prefilter",
	"github.com/sigstore/cosign/":                "internal/referrers",
	"github.com/sigstore/sigstore-go/":           "internal/signing internal/verifying",
	"github.com/sigstore/sigstore/":              "internal/signing internal/verifying",
	"github.com/sigstore/protobuf-specs/":        "internal/signing internal/verifying",
	"github.com/sigstore/rekor":                  "internal/signing", // and rekor-tiles
	"github.com/sigstore/fulcio":                 "",
	"github.com/sigstore/timestamp":              "",
	"github.com/ProtonMail/go-crypto/":           "internal/gitstore",
	"k8s.io/client-go/":                          "internal/kubernetes",
	"github.com/sethvargo/go-githubactions":      "internal/runner",
	"github.com/google/go-github/":               "internal/github",
	"github.com/cdevents/":                       "internal/events",
	"github.com/CycloneDX/":                      "internal/build",
	"github.com/spdx/":                           "internal/build",
	"github.com/google/licensecheck":             "",                                                    // tests only: its patterns are those of internal/license
	"github.com/in-toto/":                        "",                                                    // tests only: statements have the forms of internal/attest
	"github.com/santhosh-tekuri/jsonschema/":     "internal/testkit/portals internal/testkit/catalogue", // tests only
	"github.com/getkin/":                         "internal/testkit/github/openapi",
	"github.com/google/go-cmp":                   "", // tests only
	"github.com/rogpeppe/go-internal/txtar":      "", // tests only
	"github.com/stretchr/testify":                "", // not at all
	"github.com/org/idp/internal/testkit":        "", // tests only, and within itself
	"github.com/org/idp/cmd":                     "",
	"github.com/rogpeppe/go-internal/testscript": "",
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "../../cmd/...", "../../internal/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 20 {
		t.Fatalf("only %d packages were listed", len(list))
	}
	return list
}

func TestDirectionOfImports(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		here := strings.TrimPrefix(p.ImportPath, module)
		name := strings.TrimPrefix(here, "internal/")
		for _, imported := range p.Imports {
			there := strings.TrimPrefix(imported, module+"internal/")
			switch {
			case here != "cmd/idp" && there == "app":
				t.Errorf("%s imports app", here)
			case strings.HasPrefix(there, "app/") && here != "internal/app" && !slices.Contains(joining[:max(0, slices.Index(joining, name))], there):
				t.Errorf("%s imports %s", here, there)
			case slices.Contains(stages, name) && slices.Contains(stages, there):
				t.Errorf("stage %s imports stage %s", name, there)
			case name == "verifying" && there == "signing", name == "attest" && (there == "signing" || there == "verifying"):
				t.Errorf("%s imports %s, which stands on it", here, there)
			case slices.Contains(foundation, name) && slices.Contains(stages, there):
				t.Errorf("%s, which stages stand on, imports stage %s", name, there)
			case !slices.Contains(stages, name) && !slices.Contains(foundation, name) && !slices.Contains(joining, name) && here != "internal/app" && !strings.HasPrefix(here, "internal/testkit") && here != "cmd/idp" &&
				here != "internal/shim" && !strings.HasPrefix(here, "internal/tools/"):
				t.Errorf("%s is in neither list of this test: say where it belongs", here)
			}
			for prefix, owner := range alone {
				within := strings.HasPrefix(here, "internal/testkit") && (prefix == module+"internal/testkit" || strings.HasPrefix(prefix, "github.com/sigstore/"))
				if (imported == prefix || strings.HasPrefix(imported, prefix)) && !slices.Contains(strings.Fields(owner), here) && !within {
					t.Errorf("%s imports %s, which belongs to %q alone", here, imported, owner)
				}
			}
		}
	}
}
