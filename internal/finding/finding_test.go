package finding

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
)

func TestThresholdReaches(t *testing.T) {
	for threshold, want := range map[string]string{
		"none":     "",
		"low":      "low medium high critical odd",
		"medium":   "medium high critical odd",
		"high":     "high critical odd",
		"critical": "critical odd",
	} {
		parsed, err := ParseThreshold(threshold)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range []Severity{Low, Medium, High, Critical, "odd"} {
			if parsed.Reaches(s) {
				got = append(got, string(s))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s reaches %q, want %q", threshold, got, want)
		}
		if parsed.String() != threshold {
			t.Errorf("%s is called %s", threshold, parsed)
		}
	}
	for _, bad := range []string{"", "HIGH", "any"} {
		if _, err := ParseThreshold(bad); err == nil {
			t.Errorf("%q is a threshold", bad)
		}
	}
}

func TestGate(t *testing.T) {
	high, _ := ParseThreshold("high")
	none, _ := ParseThreshold("none")
	grave := Finding{Rule: "G1", Severity: Critical, File: "a.go", Line: 3, Title: "Bad"}
	known, waived, mild := grave, grave, grave
	known.Known, waived.Suppression, mild.Severity = true, &Suppression{By: "waiver"}, Medium
	for name, test := range map[string]struct {
		findings  []Finding
		threshold Threshold
		pass      bool
		kind      fault.Kind
	}{
		"nothing found":         {nil, high, true, 0},
		"below":                 {[]Finding{mild}, high, true, 0},
		"known":                 {[]Finding{known}, high, true, 0},
		"waived":                {[]Finding{waived}, high, true, 0},
		"reached":               {[]Finding{mild, grave}, high, false, fault.Failed},
		"none lets all pass":    {[]Finding{grave}, none, true, 0},
		"no threshold, nothing": {nil, Threshold{}, false, fault.Undetermined},
		"no threshold":          {[]Finding{grave}, Threshold{}, false, fault.Undetermined},
	} {
		err := Rules{FailOn: test.threshold}.Gate(test.findings, "finding")
		if (err == nil) != test.pass || (err != nil && fault.KindOf(err) != test.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDescribeStopsAtItsLimit(t *testing.T) {
	var list []Finding
	for i := range 12 {
		list = append(list, Finding{Rule: fmt.Sprint("G", i), Title: "t", Severity: High})
	}
	lines := Describe(list, 10)
	if last := lines[len(lines)-1]; last != "and 2 more: see findings.sarif" {
		t.Errorf("last line is %q", last)
	}
}

func TestEqualFindingsGetFingerprintsOfTheirOwn(t *testing.T) {
	make := func(lines ...int) []Finding {
		var list []Finding
		for _, l := range lines {
			list = append(list, Finding{Line: l, File: "a.go", Severity: High, Fingerprint: Fingerprint("gosec", "G1", "a.go", "x :=  y")})
		}
		Number(list)
		return list
	}
	a, b := make(3, 9, 7), make(103, 109, 107)
	seen := map[string]bool{}
	for i := range a {
		if a[i].Fingerprint != b[i].Fingerprint {
			t.Errorf("moving lines changed fingerprint %d", i)
		}
		seen[a[i].Fingerprint] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d fingerprints for 3 findings", len(seen))
	}
}

func TestFingerprintDoesNotSeeWhiteSpace(t *testing.T) {
	if Fingerprint("s", "r", "f", "a  b\n\tc") != Fingerprint("s", "r", "f", "a b c") {
		t.Error("white space counts")
	}
	if Fingerprint("s", "r", "f", "ab") == Fingerprint("s", "r", "fa", "b") {
		t.Error("parts run together")
	}
}

func TestCountAgreesWithTheGate(t *testing.T) {
	list := []Finding{{Severity: High}, {Severity: High, Known: true}, {Severity: Low, Suppression: &Suppression{}}, {Severity: Low}}
	fresh, known := Count(list)
	if fresh.Total() != 2 || known.Total() != 1 || CountSuppressed(list).Total() != 1 {
		t.Errorf("%v %v %v", fresh, known, CountSuppressed(list))
	}
}
