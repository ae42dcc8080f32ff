package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// event is one of test2json: https://pkg.go.dev/cmd/test2json.
type event struct {
	Action, Package, Test, Output string
}

// testcase is one test, with subtests as tests of their own.
type testcase struct {
	pkg, name string
	ended     string   // pass, fail or skip; empty while it runs
	said      []string // what it logged and why it failed, each from its file:line on; they look alike
	panicked  []string
}

const (
	mostLines             = 40   // of a test
	firstLines, lastLines = 3, 9 // of one thing that it said
	panicLines            = 15   // the reason, and which tests ran when the time was over
)

// message matches the first line of what a test says: its file and line, before the text.
var message = regexp.MustCompile(`^ {4,}\S+\.go:\d+: `)

// follow copies the output of tests, and gives what the failed ones said.
func follow(events io.Reader, out io.Writer) (failures string, err error) {
	var order []*testcase
	tests := map[[2]string]*testcase{}
	for r := bufio.NewReader(events); ; {
		line, readErr := r.ReadBytes('\n')
		var e event
		if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil {
			e = event{Output: string(line)} // what go itself says
		}
		if _, err := io.WriteString(out, e.Output); err != nil {
			return "", err
		}
		if e.Test != "" {
			key := [2]string{e.Package, e.Test}
			if tests[key] == nil {
				tests[key] = &testcase{pkg: e.Package, name: e.Test}
				order = append(order, tests[key])
			}
			tests[key].take(e)
		}
		if errors.Is(readErr, io.EOF) {
			return told(order), nil
		}
		if readErr != nil {
			return "", readErr
		}
	}
}

func (t *testcase) take(e event) {
	switch {
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		t.ended = e.Action
	case e.Action != "output":
	case len(t.panicked) > 0 || strings.HasPrefix(e.Output, "panic: "):
		t.panicked = append(t.panicked, e.Output)
	case message.MatchString(e.Output):
		t.said = append(t.said, e.Output)
	case len(t.said) > 0 && strings.HasPrefix(e.Output, "        "): // more of the same
		t.said[len(t.said)-1] += e.Output
	}
}

// told is the section of the failures; empty where there is none.
func told(tests []*testcase) string {
	var text strings.Builder
	for _, t := range tests {
		if t.ended != "fail" && t.ended != "" {
			continue
		}
		lines := t.lines()
		if len(lines) == 0 && below(tests, t) {
			continue // it failed with a part of it, which tells
		}
		how := map[bool]string{true: "failed", false: "did not end"}[t.ended == "fail"]
		_, _ = fmt.Fprintf(&text, "\n%s %s, in %s\n%s", t.name, how, t.pkg, strings.Join(lines, ""))
	}
	if text.Len() == 0 {
		return ""
	}
	return "\n== what the failed tests said\n" + text.String()
}

// below tells that a part of a test failed.
func below(tests []*testcase, parent *testcase) bool {
	for _, t := range tests {
		if t.pkg == parent.pkg && strings.HasPrefix(t.name, parent.name+"/") && (t.ended == "fail" || t.ended == "") {
			return true
		}
	}
	return false
}

// lines are the last things that a test said, in short.
func (t *testcase) lines() []string {
	lines := t.panicked[:min(len(t.panicked), panicLines)]
	for i := len(t.said) - 1; i >= 0; i-- {
		part := strings.SplitAfter(strings.TrimSuffix(t.said[i], "\n"), "\n")
		if left := len(part) - firstLines - lastLines; left > 1 {
			part = append(append(part[:firstLines:firstLines], fmt.Sprintf("        … %d lines\n", left)), part[len(part)-lastLines:]...)
		}
		if len(lines)+len(part) > mostLines {
			return append([]string{fmt.Sprintf("    … %d more before\n", i+1)}, lines...)
		}
		part[len(part)-1] += "\n"
		lines = append(part, lines...)
	}
	return lines
}
