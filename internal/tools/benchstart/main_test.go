package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func ms(values ...int) []time.Duration {
	var list []time.Duration
	for _, v := range values {
		list = append(list, time.Duration(v)*time.Millisecond)
	}
	return list
}

func TestReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		node, step []time.Duration
		want       string
	}{
		"good": {ms(50, 60, 40), ms(100, 900, 120), "step                     median  120 ms  p90  900 ms  2.4 × node  target 250 ms: met"},
		"over": {ms(50, 60, 40), ms(251, 252, 100), "step                     median  251 ms  p90  252 ms  5.0 × node  target 250 ms: MISSED"},
	} {
		var out bytes.Buffer
		err := report(&out, []*series{{name: "node", took: c.node}, {name: "step", target: stepTarget, took: c.step}})
		if lines := strings.Split(out.String(), "\n"); err != nil || len(lines) != 3 || lines[1] != c.want {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
