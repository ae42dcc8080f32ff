package record

// Outcome is what a stage, or a whole delivery, came to.
type Outcome string

const (
	// Passed: determined, and nothing speaks against it.
	Passed Outcome = "passed"
	// Failed: a gate said no.
	Failed Outcome = "failed"
	// Error: it could not be determined.
	Error Outcome = "error"
	// Skipped: it did not apply; the stage's reason says why.
	Skipped Outcome = "skipped"
)

// Worst is the outcome of a delivery: error, then failed, then passed. Stages that were skipped do not count, and
// without any stage that was determined nothing has passed.
func Worst(stages []Stage) Outcome {
	worst, determined := Passed, false
	for _, s := range stages {
		switch s.Outcome {
		case Passed:
			determined = true
		case Skipped:
		case Failed:
			if worst != Error {
				worst = Failed
			}
			determined = true
		default:
			return Error
		}
	}
	if !determined {
		return Error
	}
	return worst
}
