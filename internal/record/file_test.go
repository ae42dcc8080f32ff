package record_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
)

func TestReadRefusesWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                              "is not a delivery record",
		`{"schema": "idp.delivery/v1"`:  "is not a delivery record",
		`{}`:                            `has schema ""`,
		`{"schema": "idp.delivery/v2"}`: `has schema "idp.delivery/v2"`,
		`{"schema": "idp.delivery/v1", "stages": [{"name": "sast", "outcome": "passed"}, {"name": "sast", "outcome": "failed"}]}`: `has stage "sast" twice`,
	} {
		path := filepath.Join(t.TempDir(), "record.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := record.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// A record that says more of itself than its stages do is not believed.
func TestReadRecomputesTheOutcome(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.json")
	text := `{"schema": "idp.delivery/v1", "id": "x", "outcome": "passed", "stages": [{"name": "sast", "outcome": "PASSED"}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := record.Read(path)
	if err != nil || r.Outcome != record.Error || r.ID == "x" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestWriteFileKeepsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "deep", "target"), filepath.Join(dir, "link")
	if err := record.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		return // links need a privilege on Windows
	}
	if err := record.WriteFile(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(target)
	if info, statErr := os.Lstat(link); err != nil || statErr != nil || string(data) != "new" || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%q %v %v", data, err, info.Mode())
	}
}

// As root, a rename onto /dev/stdout would replace it for the whole machine.
func TestWriteFileWritesToPipes(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/proc/self/fd", itoa(w.Fd()))
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join("/dev/fd", itoa(w.Fd()))
	}
	if _, err := os.Stat(path); err != nil {
		return // Windows names no pipe
	}
	if err := record.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "text" {
		t.Errorf("%q %v", data, err)
	}
}

func itoa(fd uintptr) string { return strconv.FormatUint(uint64(fd), 10) }
