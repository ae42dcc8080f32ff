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
		over       bool
	}{
		"good":                    {ms(50, 60, 40), ms(100, 900, 120), false},
		"over":                    {ms(50, 60, 40), ms(251, 252, 100), true},
		"busy machine":            {ms(160, 160, 160), ms(400, 500, 600), false},
		"over on a busy machine":  {ms(160, 160, 160), ms(501, 502, 600), true},
		"a fast node is no grace": {ms(1, 1, 1), ms(250, 250, 250), false},
	} {
		var out bytes.Buffer
		err := report(&out, []*series{{name: "node", took: c.node}, {name: "step", target: stepTarget, took: c.step}})
		if (err != nil) != c.over || !strings.Contains(out.String(), "target 250 ms") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
