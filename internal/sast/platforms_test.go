package sast

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
)

const dangerous = "package main\n\nimport (\n\t\"net/http\"\n\t\"os/exec\"\n)\n\nfunc init() {\n\thttp.HandleFunc(\"/run\", func(_ http.ResponseWriter, r *http.Request) { _ = exec.Command(\"sh\", \"-c\", r.FormValue(\"c\")).Run() })\n}\n"

// TestPlatforms: of an image for several platforms, the code for each of them is scanned, and what both have is found once.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.com/svc\n\ngo 1.24\n",
		"main.go":      "package main\n\nfunc main() {}\n",
		"everyone.go":  dangerous,
		"run_arm64.go": dangerous,
		"run_s390x.go": dangerous,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]int{}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "linux/amd64,linux/arm64", "linux/arm64,linux/amd64", "linux/amd64,linux/arm64,linux/s390x"} {
		in := inputs(t, dir)
		in.Platform = platform
		out, err := Run(t.Context(), in, Deps{})
		if fault.KindOf(err) != fault.Failed {
			t.Fatalf("%s: %v", platform, err)
		}
		found[platform] = len(out.Findings)
		if c := out.Evidence.Coverage; c.Expected != c.Scanned || out.Evidence.Platform != platform {
			t.Errorf("%s: %+v", platform, out.Evidence)
		}
		if platform == "linux/amd64,linux/arm64" {
			want := []string{"linux/amd64: " + leftBuild + ": run_arm64.go, run_s390x.go", "linux/arm64: " + leftBuild + ": run_s390x.go"}
			if diff := cmp.Diff(want, out.Evidence.Coverage.Left); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		}
	}
	each := found["linux/amd64"]
	if each == 0 || found["linux/arm64"] != 2*each || found["linux/amd64,linux/arm64"] != 2*each || found["linux/arm64,linux/amd64"] != 2*each ||
		found["linux/amd64,linux/arm64,linux/s390x"] != 3*each {
		t.Errorf("findings: %v", found)
	}
}

// TestPlatformThatDoesNotCompile: what was not seen on one platform is not made up for by another.
func TestPlatformThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/svc\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n",
		"broken_arm64.go": "package main\n\nfunc init() { missing() }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, platform := range []string{"linux/amd64,linux/arm64", "linux/arm64,linux/amd64"} {
		in := inputs(t, dir)
		in.Platform = platform
		if out, err := Run(t.Context(), in, Deps{}); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%s: %+v, %v", platform, out.Evidence, err)
		}
	}
	in := inputs(t, dir)
	in.Platform = "linux/amd64"
	if _, err := Run(t.Context(), in, Deps{}); err != nil {
		t.Error(err)
	}
}
