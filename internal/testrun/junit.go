package testrun

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// junit reads what most test runners can write. There is no one specification; this is what they have in common: suites of test
// cases, and in a case a failure, an error or a skip. https://github.com/testmoapp/junitxml has the variants.
func (r *run) junit(in io.Reader) error {
	j := &junitReader{run: r}
	d := xml.NewDecoder(in)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("it is not XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = j.start(t)
		case xml.EndElement:
			err = j.end(t.Name.Local)
		}
		if err != nil {
			return err
		}
	}
	if !j.root {
		return errors.New("it has no test suite")
	}
	return nil
}

// announced is what a suite says of itself; -1 where it does not.
type announced struct {
	name          string
	tests, broken int
	seen, failed  int
}

type junitReader struct {
	run    *run
	root   bool
	suites []announced
	test   *junitTest
}

type junitTest struct {
	suite, name string
	result      result
}

// maxDepth is of suites in suites; the deepest that runners write have a suite for each folder.
const maxDepth = 200

func (j *junitReader) start(e xml.StartElement) error {
	name := e.Name.Local
	if !j.root && name != "testsuites" && name != "testsuite" {
		return fmt.Errorf("it is XML of another kind, with %q at its root", name)
	}
	j.root = true
	switch name {
	case "testsuites", "testsuite":
		return j.open(e)
	case "testcase":
		if len(j.suites) == 0 || j.test != nil {
			return errors.New("a test case is not in a suite")
		}
		j.test = &junitTest{suite: j.suites[len(j.suites)-1].name, name: attribute(e, "name")}
		if j.test.suite == "" {
			j.test.suite = attribute(e, "classname")
		}
	case "failure", "error":
		j.mark(failed)
	case "skipped":
		j.mark(skipped)
	case "flakyFailure", "flakyError": // of Maven Surefire: it passed when it was run again
		j.mark(flaky)
	}
	return nil
}

func (j *junitReader) open(e xml.StartElement) error {
	if j.test != nil || len(j.suites) == maxDepth {
		return errors.New("a suite is where none can be")
	}
	tests, err1 := number(e, "tests")
	failures, err2 := number(e, "failures")
	errs, err3 := number(e, "errors")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	j.suites = append(j.suites, announced{name: attribute(e, "name"), tests: tests, broken: max(failures, 0) + max(errs, 0)})
	return nil
}

// mark takes the worst of what is said of a test; outside of one, of its suite.
func (j *junitReader) mark(what result) {
	if j.test != nil {
		j.test.result = max(j.test.result, what)
	} else if what == failed && len(j.suites) > 0 {
		j.suites[len(j.suites)-1].broken++
	}
}

func (j *junitReader) end(name string) error {
	switch name {
	case "testcase":
		s := &j.suites[len(j.suites)-1]
		s.seen++
		if j.test.result == failed {
			s.failed++
		}
		t := j.test
		j.test = nil
		return j.run.add(t.suite, t.name, t.result)
	case "testsuites", "testsuite":
		return j.shut()
	}
	return nil
}

// shut holds what a suite announced against what it had, and adds it to the suite around it.
func (j *junitReader) shut() error {
	s := j.suites[len(j.suites)-1]
	j.suites = j.suites[:len(j.suites)-1]
	if s.tests > s.seen {
		return fmt.Errorf("suite %q announces %d tests and has %d", short(s.name), s.tests, s.seen)
	}
	if s.failed < s.broken { // something failed outside of its tests, as in what prepares them
		s.failed = s.broken
		if err := j.run.add(s.name, "", failed); err != nil {
			return err
		}
	}
	if n := len(j.suites); n > 0 {
		j.suites[n-1].seen += s.seen
		j.suites[n-1].failed += s.failed
	}
	return nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// number is -1 where the attribute is absent.
func number(e xml.StartElement, name string) (int, error) {
	text := attribute(e, name)
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("a suite has %s=%q", name, short(text))
	}
	return int(n), nil
}
