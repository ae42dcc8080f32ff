package secrets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/sources"
)

func zipOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipOf(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is in archives is found as far down as archive-depth says, which is what gitleaks finds at the same depth; what stays
// closed is counted.
func TestArchives(t *testing.T) {
	t.Parallel()
	line := func(seed string) []byte { return []byte("x\ntoken = " + token(seed) + "\n") }
	r := newRepo(t)
	for name, content := range map[string][]byte{
		"a.zip":       zipOf(t, "in/a.txt", line("a")),
		"b.tar.gz":    gzipOf(t, tarOf(t, "b.txt", line("b"))),
		"c.log.gz":    gzipOf(t, line("c")),
		"deep.zip":    zipOf(t, "inner.tar", tarOf(t, "d.txt", line("d"))),
		"allowed.zip": zipOf(t, "node_modules/e.txt", line("e")),
	} {
		r.write(name, string(content))
	}
	r.commitAll("archives")
	values := []string{token("a"), token("b"), token("c"), token("d")}
	for depth, want := range [][]string{
		nil,
		{"github-pat a.zip!in/a.txt:2", "github-pat b.tar.gz!b.txt:2", "github-pat c.log.gz:2"},
		{"github-pat a.zip!in/a.txt:2", "github-pat b.tar.gz!b.txt:2", "github-pat c.log.gz:2", "github-pat deep.zip!inner.tar!d.txt:2"},
	} {
		in := inputs(t, r.open(), HistoryAll)
		in.ArchiveDepth = depth
		out, err := Run(t.Context(), in, Deps{})
		noValues(t, out, err, values)
		places(t, out, want...)
		closed := []string{"what is in 5 archives", "what is in 1 archive ", ""}[depth]
		if left := strings.Join(out.Evidence.Coverage.Left, "\n"); !strings.Contains(left, closed) || (closed == "" && strings.Contains(left, "archive")) {
			t.Errorf("depth %d left out %q", depth, left)
		}
		if theirs := gitleaksAt(t, r.dir, depth); !slices.Equal(theirs, want) {
			t.Errorf("gitleaks finds at depth %d\n%s", depth, strings.Join(theirs, "\n"))
		}
	}
}

func gitleaksAt(t *testing.T, dir string, depth int) []string {
	t.Helper()
	builtIn, err := loadRules(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	d := detect.NewDetector(builtIn.Config)
	cmd, err := sources.NewGitLogCmd(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	found, err := d.DetectSource(t.Context(), &sources.Git{Cmd: cmd, Config: &d.Config, Remote: &sources.RemoteInfo{}, Sema: d.Sema, MaxArchiveDepth: depth})
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, f := range found {
		places = append(places, f.RuleID+" "+f.File+":2")
	}
	slices.Sort(places)
	return places
}

// An archive that cannot be read, or that unpacks to any amount, is a gap.
func TestArchiveThatCannotBeRead(t *testing.T) {
	t.Parallel()
	good := zipOf(t, "a.txt", []byte(strings.Repeat("line\n", 1000)))
	huge, in := io.Pipe()
	go func() {
		w := gzip.NewWriter(in)
		zeros := make([]byte, 1<<20)
		for range 40 {
			_, _ = w.Write(zeros)
		}
		_ = in.CloseWithError(w.Close())
	}()
	bomb, err := io.ReadAll(huge)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"a.zip":    {good[:len(good)/2], "a.zip in commit"},
		"b.tar.gz": {gzipOf(t, tarOf(t, "a.txt", []byte("x\n")))[:40], "b.tar.gz in commit"},
		"d.zip":    {append(slices.Clone(good[:60]), good[80:]...), "d.zip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commit(name, string(c.content))
			in := inputs(t, r.open(), HistoryAll)
			in.ArchiveDepth = 1
			_, err := Run(t.Context(), in, Deps{})
			undetermined(t, err, "0 of 1 commit readable", c.want, "cannot be read")
			in.ArchiveDepth = 0
			out, err := Run(t.Context(), in, Deps{})
			passed(t, out, err)
		})
	}
	r := newRepo(t)
	r.commit("bomb.txt.gz", string(bomb))
	run := inputs(t, r.open(), HistoryAll)
	run.ArchiveDepth = 1
	out, err := Run(t.Context(), run, Deps{})
	passed(t, out, err) // 40 MiB of zeros are one binary file
	s := newScan(run.Repo, mustRules(t), nil)
	s.archiveDepth = 1
	u := &unpacking{left: 1 << 20}
	if err := s.unpack(t.Context(), change{path: "bomb.txt.gz", blob: "x"}, archiveOf(t.Context(), "bomb.txt.gz"), bomb, 1, u); err != nil || len(s.gaps) != 1 {
		t.Errorf("error %v, gaps %v", err, s.gaps)
	}
}

func mustRules(t *testing.T) rules {
	t.Helper()
	r, err := loadRules(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
