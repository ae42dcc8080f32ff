package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/org/idp/internal/license"
)

// BenchmarkLicensing reads the licences of the modules of this program, as a build does beside the compiler.
func BenchmarkLicensing(b *testing.B) {
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		b.Fatal(err)
	}
	in := Inputs{Dir: dir, Main: "cmd/idp"}
	g := toolchain{dir: dir, env: os.Environ()}
	packages, err := g.packages(b.Context(), in, "-mod=readonly", "./cmd/idp")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := license.NewReader()
		if err != nil {
			b.Fatal(err)
		}
		found := <-licensing(b.Context(), in, r, packages, "-mod=readonly")
		if found.err != nil || len(found.of) < 150 {
			b.Fatal(len(found.of), found.err)
		}
	}
}
