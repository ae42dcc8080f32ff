// Package testrun reads what test runners leave behind, JUnit XML and the events of go test -json, and counts what passed.
// What does not come to its end, or says less than it announces, is undetermined: a run that was cut off never passes.
package testrun

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// Limits against files that never end.
const (
	maxBytes  = 512 << 20 // a file; events hold all that the tests print
	maxSuites = 10_000
	maxName   = 300 // bytes of a suite's name
)

// Forms of files.
const (
	formJUnit = "junit"
	formGo    = "go test -json"
)

// result is what became of one test.
type result int

const (
	passed  result = iota
	flaky          // passed in the end, after it had failed
	skipped        // by the test itself
	failed
)

// run adds up.
type run struct {
	suites   map[string]*suite
	failures []string
	finished time.Time
}

// suite is a package of Go, or a testsuite of JUnit.
type suite struct{ passed, flaky, skipped, failed int }

// Load reads the files of all patterns. That a test failed is no error: it is said in the result.
func Load(ctx context.Context, patterns []string) (record.Tests, error) {
	files, err := match(patterns)
	if err != nil {
		return record.Tests{}, err
	}
	total := record.Tests{}
	r := &run{suites: map[string]*suite{}}
	for _, name := range files {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		before := r.count()
		file, err := r.file(name)
		if err != nil {
			return total, fault.Undeterminedf("test results %s: %w", filepath.ToSlash(name), err).
				WithNext("Let the test runner write all of it, and run this again.")
		}
		file.Tests = r.count() - before
		total.Files = append(total.Files, file)
	}
	return r.sum(total)
}

func match(patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		list, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fault.BadInputf("input tests: %q is not a pattern: %w", pattern, err)
		}
		if len(list) == 0 {
			return nil, fault.Undeterminedf("no file matches %s, so how the tests ended is not known", pattern).
				WithNext("Run the tests before this step, and let them write there: go test -json ./... > test.json")
		}
		for _, name := range list {
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	return files, nil
}

// file reads one, whatever its form.
func (r *run) file(name string) (record.TestFile, error) {
	out := record.TestFile{Name: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		out.Name = filepath.Base(name) // the folders of this machine are nobody's business
	}
	f, err := os.Open(name) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return out, err
	}
	sum := sha256.New()
	counted := &limited{r: io.TeeReader(f, sum), left: maxBytes}
	in := bufio.NewReader(counted)
	first, err := begin(in)
	if err != nil {
		return out, err
	}
	switch first {
	case '<':
		out.Form = formJUnit
		// The times in these files have no zone more often than not.
		r.ended(info.ModTime())
		err = r.junit(in)
	case '{':
		out.Form = formGo
		err = r.events(in)
	default:
		return out, errors.New("it is neither JUnit XML nor events of go test -json")
	}
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	out.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return out, err
}

// begin skips what may stand before either form, and gives the first byte of it without taking it.
func begin(in *bufio.Reader) (byte, error) {
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3) // they are in the buffer
	}
	for {
		b, err := in.Peek(1)
		if errors.Is(err, io.EOF) {
			return 0, errors.New("it is empty")
		}
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(b[0])) {
			return b[0], nil
		}
		_, _ = in.Discard(1)
	}
}

// limited is an io.LimitReader that does not pass the limit off as the end.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, fmt.Errorf("it is larger than %d MiB", maxBytes>>20)
	}
	return n, err
}

func (r *run) ended(at time.Time) {
	if at.After(r.finished) {
		r.finished = at
	}
}

// add counts one test of a suite.
func (r *run) add(suiteName, test string, what result) error {
	suiteName = short(suiteName)
	s := r.suites[suiteName]
	if s == nil {
		if len(r.suites) == maxSuites {
			return fmt.Errorf("it has more than %d suites", maxSuites)
		}
		s = &suite{}
		r.suites[suiteName] = s
	}
	switch what {
	case passed:
		s.passed++
	case flaky:
		s.flaky++
	case skipped:
		s.skipped++
	case failed:
		s.failed++
		r.failures = append(r.failures, strings.TrimSpace(suiteName+" "+short(test)))
	}
	return nil
}

func short(name string) string {
	name = strings.ToValidUTF8(name, "�")
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}

func (r *run) count() (n int) {
	for _, s := range r.suites {
		n += s.passed + s.flaky + s.skipped + s.failed
	}
	return n
}

// sum refuses results in which nothing was tested.
func (r *run) sum(total record.Tests) (record.Tests, error) {
	for _, name := range slices.Sorted(maps.Keys(r.suites)) {
		s := r.suites[name]
		total.Passed, total.Flaky, total.Skipped, total.Failed = total.Passed+s.passed+s.flaky, total.Flaky+s.flaky, total.Skipped+s.skipped, total.Failed+s.failed
		switch {
		case s.failed > 0:
		case s.flaky > 0:
			total.WarnedSuites = append(total.WarnedSuites, name)
		case s.passed > 0:
			total.PassedSuites = append(total.PassedSuites, name)
		}
	}
	total.Failures, total.FinishedAt = r.failures, r.finished.UTC().Truncate(time.Second)
	if total.Passed+total.Failed == 0 {
		return total, fault.Undeterminedf("no test ran: the results have %d that were skipped and no other", total.Skipped).
			WithNext("Give the results of the run that tests this commit.")
	}
	return total, nil
}
