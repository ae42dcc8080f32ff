package action

import (
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Result is what a stage gives back. It is filled as far as the stage came, also beside an error, so that reports can be
// written whatever happened.
type Result[E any] struct {
	Summary  string // what was found out, in one line, without the stage's name
	Tool     record.Tool
	Evidence E
	Findings []finding.Finding
}

// Progress tells a waiting person, in a few words, what a stage is doing now. It may be called from any goroutine.
type Progress func(what string)
