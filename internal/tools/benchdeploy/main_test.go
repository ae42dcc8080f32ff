package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func samples(ms ...int) []sample {
	var list []sample
	for _, v := range ms {
		list = append(list, sample{whole: time.Duration(v) * time.Millisecond})
	}
	return list
}

func TestReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ours, theirs []sample
		want         string
	}{
		"as fast":         {samples(6000, 9000, 6100), samples(6000, 6100, 6200), "difference of the medians +0.00 s, ratio 1.00  target +0.5 s: met"},
		"just within":     {samples(6600), samples(6100), "difference of the medians +0.50 s, ratio 1.08  target +0.5 s: met"},
		"too slow":        {samples(7000, 7010), samples(6000, 6010), "difference of the medians +1.00 s, ratio 1.17  target +0.5 s: MISSED"},
		"even and faster": {samples(1000, 3000), samples(4000, 4000), "difference of the medians -2.00 s, ratio 0.50  target +0.5 s: met"},
	} {
		var out bytes.Buffer
		err := report(&out, c.ours, c.theirs)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if err != nil || lines[len(lines)-1] != c.want {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
