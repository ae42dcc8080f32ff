package prefilter

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/detect/codec"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/report"
)

// writer makes texts that an expression matches.
type writer struct{ *rand.Rand }

func (w writer) match(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 && w.IntN(2) == 0 {
			return strings.ToUpper(string(re.Rune))
		}
		return string(re.Rune)
	case syntax.OpCharClass:
		for range 50 { // mostly what can be printed
			i := w.IntN(len(re.Rune)/2) * 2
			if r := re.Rune[i] + rune(w.IntN(int(min(re.Rune[i+1]-re.Rune[i], 200))+1)); r > ' ' && r < 0x7f {
				return string(r)
			}
		}
		return string(re.Rune[0])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return string(rune('!' + w.IntN(90)))
	case syntax.OpCapture:
		return w.match(re.Sub[0])
	case syntax.OpConcat:
		var text strings.Builder
		for _, sub := range re.Sub {
			text.WriteString(w.match(sub))
		}
		return text.String()
	case syntax.OpAlternate:
		return w.match(re.Sub[w.IntN(len(re.Sub))])
	case syntax.OpStar:
		return w.repeat(re.Sub[0], 0, 3)
	case syntax.OpPlus:
		return w.repeat(re.Sub[0], 1, 4)
	case syntax.OpQuest:
		return w.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 || most > re.Min+8 {
			most = re.Min + 8
		}
		return w.repeat(re.Sub[0], re.Min, most)
	}
	return ""
}

func (w writer) repeat(re *syntax.Regexp, low, high int) string {
	var text strings.Builder
	for range low + w.IntN(high-low+1) {
		text.WriteString(w.match(re))
	}
	return text.String()
}

var scraps = []string{"\n", "\n", " ", "\t", "=", ": ", "\"", "'", ";", "key", "token=", "api_", "secret: ", "curl -u ", "x", "0123456789abcdef",
	"password := ", "ſecret", "\u212aey", "é", "\xff", "\\n", "\\u0041", "U+0041 ", "%41%2d", "%zz", "//", "=>", "==", "AKIA", "ey", "sk_live_", "-----BEGIN", "data:", "kind: secret\n",
	"aGVsbG8gd29ybGQgdG9rZW4=", "68656c6c6f20776f726c6420746f6b656e20", "changeme", "${TOKEN}", "live_pub_", "bot:", "A3T", "\r\n"}

func (w writer) noise(n int) string {
	var text strings.Builder
	for range w.IntN(n + 1) {
		text.WriteString(scraps[w.IntN(len(scraps))])
	}
	return text.String()
}

func (w writer) encode(text string) string {
	switch w.IntN(8) {
	case 0:
		return base64.StdEncoding.EncodeToString([]byte(text))
	case 1:
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	case 2:
		return hex.EncodeToString([]byte(text))
	case 3:
		return url.QueryEscape(text)
	case 4:
		var out strings.Builder
		for _, r := range text {
			fmt.Fprintf(&out, "\\u%04x", r)
		}
		return out.String()
	}
	return text
}

// builtIn are the rules of gitleaks, and what is asked before them.
type builtIn struct {
	*detect.Detector
	filter *Prefilter
}

// TestMain keeps the log of gitleaks quiet, before any test reads that it is.
func TestMain(m *testing.M) {
	logging.Logger = logging.Logger.Output(io.Discard)
	os.Exit(m.Run())
}

func load(t testing.TB) builtIn {
	t.Helper()
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	d.MaxDecodeDepth = DecodeDepth
	d.IgnoreGitleaksAllow = true
	return builtIn{d, New(&d.Config)}
}

// sameAsGitleaks holds the sieve, and gitleaks with the rules that the sieve leaves, against gitleaks with all rules.
func sameAsGitleaks(t *testing.T, r builtIn, s *Sieve, path, text string) []report.Finding {
	t.Helper()
	v := Verdict{All: true}
	if !r.filter.FindsName(path) {
		v = s.Look(t.Context(), []byte(text), r.filter.ApplyTo(path))
	}
	//lint:ignore SA1019 Detect of v8 takes no other
	fragment := detect.Fragment{Raw: text, FilePath: path, StartLine: 1}
	want := r.Detect(fragment)
	var got []report.Finding
	for at, piece := range v.Pieces([]byte(text)) {
		fragment.Raw, fragment.StartLine = string(piece), 1+strings.Count(text[:at], "\n")
		got = append(got, s.Detector(v, r.Detector).Detect(fragment)...)
	}
	if v.Clear {
		lines := strings.SplitAfter(text, "\n")
		fragment.Raw = strings.Join(lines[len(lines)/3:len(lines)-len(lines)/3], "")
		if found := r.Detect(fragment); len(found) > 0 {
			t.Fatalf("gitleaks finds in a part of %q\n%s", text, brief(found))
		}
	}
	if a, b := brief(want), brief(got); a != b {
		t.Fatalf("in %q\ngitleaks finds\n%s\nwith the sieve %+v\n%s", text, a, v, b)
	}
	return want
}

func brief(found []report.Finding) string {
	slices.SortFunc(found, func(a, b report.Finding) int {
		return cmp.Or(cmp.Compare(a.RuleID, b.RuleID), cmp.Compare(a.StartLine, b.StartLine), cmp.Compare(a.StartColumn, b.StartColumn), cmp.Compare(a.Secret, b.Secret))
	})
	var lines []string
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%s %d:%d-%d %q", f.RuleID, f.StartLine, f.StartColumn, f.EndLine, f.Secret))
	}
	return strings.Join(lines, "\n")
}

// For texts made from every rule's own expression, in all surroundings and encodings, the sieve changes nothing.
func TestSieveLosesNothing(t *testing.T) {
	t.Parallel()
	r := load(t)
	s := r.filter.Sieve()
	paths := []string{"a.go", "deploy/b.yaml", "main.tf", "c.php", "nuget.config", "x.p12"}
	for _, id := range slices.Sorted(keys(r.Config.Rules)) {
		rule := r.Config.Rules[id]
		if rule.Regex == nil {
			continue
		}
		tree, err := syntax.Parse(rule.Regex.String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		w := writer{rand.New(rand.NewPCG(1, uint64(len(id))))}
		fires := 0
		for i := range 20 {
			text := w.match(tree)
			if id == "kubernetes-secret-yaml" && i < 5 { // its own allowlist lets nearly everything pass; this is from its tests
				text = "apiVersion: v1\nkind: Secret\ndata:\n  password: UyFCXCpkJHpEc2I9\n"
			}
			if len(rule.Keywords) > 0 && i%2 == 0 { // some rules want a keyword that no match holds
				text = rule.Keywords[w.IntN(len(rule.Keywords))] + "\n" + text
			}
			path := paths[w.IntN(len(paths))]
			if i < 8 {
				path = pathFor(rule.Path != nil, id)
			}
			if i >= 8 {
				text = w.noise(6) + w.encode(text) + w.noise(6)
			}
			for _, f := range sameAsGitleaks(t, r, s, path, text) {
				if f.RuleID == id {
					fires++
				}
			}
		}
		if fires == 0 {
			t.Errorf("%s never finds anything: the test shows nothing of it", id)
		}
	}
}

func pathFor(wanted bool, id string) string {
	if wanted {
		for start, path := range map[string]string{"kubernetes": "a.yaml", "nuget": "nuget.config", "freemius": "a.php", "hashicorp": "a.tf"} {
			if strings.HasPrefix(id, start) {
				return path
			}
		}
	}
	return "a.txt"
}

// What is decoded without gitleaks is what gitleaks decodes.
func TestPercentOnly(t *testing.T) {
	t.Parallel()
	w := writer{rand.New(rand.NewPCG(7, 7))}
	parts := []string{"%41", "%2d", "%2D", "%20", "%", "%4", "%zz", "%%41", "%00", "%ff", "%7f", " ", "a", "abcdefghijklmnop", "key=%6b", "\\u0041", "=", "/",
		"aGVsbG8gd29ybGQgdG9rZW4=", "68656c6c6f20776f726c6420746f6b656e20", "0123456789abcdef0123456789abcdef"}
	handled := 0
	for range 20000 {
		var line strings.Builder
		for range 1 + w.IntN(6) {
			line.WriteString(parts[w.IntN(len(parts))])
		}
		got, ok := percentOnly([]byte(line.String()))
		if !ok {
			continue
		}
		handled++
		if want, segments := codec.NewDecoder().Decode(line.String(), nil); want != string(got) || len(segments) == 0 {
			t.Fatalf("%q: %q, gitleaks has %q", line.String(), got, want)
		}
	}
	if handled < 5000 {
		t.Errorf("only %d lines were decoded", handled)
	}
}

// Whatever the text is, the sieve changes nothing.
func FuzzSieve(f *testing.F) {
	r := load(f)
	w := writer{rand.New(rand.NewPCG(3, 3))}
	for range 400 {
		f.Add(w.noise(60))
	}
	for _, scrap := range scraps {
		f.Add(scrap)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sameAsGitleaks(t, r, r.filter.Sieve(), "a.yaml", text)
	})
}
