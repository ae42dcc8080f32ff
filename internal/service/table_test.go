package service_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/service"
)

var update = flag.Bool("update", false, "write the expected files anew")

const table = "../../testdata/service"

// files lists a folder of the table: dropping a file there makes it a test.
func files(t *testing.T, folder string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(table, folder, "*.yaml"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	return list
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := service.Parse("idp.yaml", data, service.WithSizes("small", "medium", "large")); err != nil {
				t.Errorf("refused:\n%s", strings.Join(fault.Lines(err), "\n"))
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	wants := map[string]bool{}
	for _, file := range files(t, "bad") {
		want := strings.TrimSuffix(file, ".yaml") + ".want"
		wants[want] = true
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := service.Parse("idp.yaml", data, service.WithSizes("small", "medium", "large"))
			if err == nil || s != nil || fault.KindOf(err) != fault.BadInput {
				t.Fatalf("Parse: %v, %v; want nothing and bad input", s, err)
			}
			have := strings.Join(fault.Lines(err), "\n") + "\n"
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
	orphans, _ := filepath.Glob(filepath.Join(table, "bad", "*.want"))
	for _, file := range orphans {
		if !wants[file] {
			t.Errorf("%s belongs to no file", file)
		}
	}
}

// Whatever a file holds: a service or bad input, never a panic, and never both or neither.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		list, err := filepath.Glob(filepath.Join(table, folder, "*.yaml"))
		if err != nil || len(list) == 0 {
			f.Fatalf("no corpus: %v", err)
		}
		for _, file := range list {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := service.Parse("idp.yaml", data, service.WithSizes("small"))
		if (s == nil) == (err == nil) || err != nil && fault.KindOf(err) != fault.BadInput {
			t.Fatalf("%v, %v", s, err)
		}
		if s == nil {
			return
		}
		if s.Scale.Min < 1 || s.Scale.Max < s.Scale.Min || len(s.Smoke) == 0 {
			t.Errorf("no valid service: %+v", s)
		}
		for name := range s.Environments {
			e, err := s.In(name)
			if err != nil || e.Scale.Min < 1 || e.Scale.Max < e.Scale.Min {
				t.Errorf("%s: %v, %+v", name, err, e)
			}
		}
	})
}
