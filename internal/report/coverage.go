package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/org/idp/internal/record"
)

// writeCoverage says what the scans saw and what they left out on purpose.
func writeCoverage(b *strings.Builder, stages []record.Stage) {
	begun := false
	for _, s := range stages {
		var scan record.Scan
		if (s.Name != record.StageSAST && s.Name != record.StageSecrets && s.Name != record.StageGate) || json.Unmarshal(s.Evidence, &scan) != nil || scan.Coverage.Unit == "" {
			continue
		}
		if !begun {
			b.WriteString("\n## Coverage\n\n")
			begun = true
		}
		c := scan.Coverage
		fmt.Fprintf(b, "* %s: %d of %d %s, %d files", text(s.Name), c.Scanned, c.Expected, text(c.Unit), c.Files)
		if c.Bytes > 0 {
			fmt.Fprintf(b, ", %s", size(c.Bytes))
		}
		b.WriteString("\n")
		for _, left := range c.Left {
			fmt.Fprintf(b, "  * left out: %s\n", text(left))
		}
	}
}

// size is a number of bytes in the unit that suits it.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
