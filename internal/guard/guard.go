// Package guard decides from plain data whether a version may be deployed now: whether deploys are frozen, whether it has
// been healthy long enough where it has to be first, whether somebody else has to agree, and whether it would take back what
// is live. It asks nobody anything.
package guard

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/org/idp/internal/fault"
)

// Guards, as decisions name them.
const (
	GuardFreeze   = "freeze"
	GuardOrder    = "order"
	GuardUndo     = "undo"
	GuardApproval = "approval"
)

// Answers of a guard that lets a deploy go on.
const (
	Clear      = "clear"
	Warned     = "warned"
	Overridden = "overridden"
)

// Waits is the answer of a guard that lets nothing go on yet; an error comes with it.
const Waits = "waits"

// Decision is what a guard that lets a deploy go on came to, for the record and for people. A guard that does not gives an
// error instead.
type Decision struct {
	Guard   string   `json:"guard"`
	Answer  string   `json:"answer"`            // clear, warned, overridden or waits
	Text    string   `json:"text"`              // one sentence
	Reason  string   `json:"reason,omitempty"`  // what who overrode it said
	Commits []string `json:"commits,omitempty"` // that a deploy would take back
	By      string   `json:"by,omitempty"`      // login of who approved
	URL     string   `json:"url,omitempty"`     // where that can be read
}

// maxReason is the length of a reason in characters; it is shown in one line.
const maxReason = 500

// Freeze refuses a deploy inside of a window, unless a reason is given to deploy all the same. A reason that holds no words
// is bad input, frozen or not.
func Freeze(now time.Time, environment string, windows []Window, reason string) (Decision, error) {
	d := Decision{Guard: GuardFreeze, Answer: Clear, Text: "deploys to " + environment + " are not frozen"}
	said := strings.Join(strings.Fields(reason), " ")
	if reason != "" && said == "" || utf8.RuneCountInString(said) > maxReason {
		return d, fault.BadInputf("the reason to deploy in a freeze must say something, in at most %d characters", maxReason)
	}
	for _, w := range windows {
		until, frozen, err := w.Covers(now)
		if err != nil {
			return d, fault.Undeterminedf("whether deploys to %s are frozen cannot be told: %w", environment, err)
		}
		if !frozen {
			continue
		}
		text := fmt.Sprintf("deploys to %s are frozen until %s (%s)", environment, until.Format("Mon 2 Jan 2006 15:04 MST"), w)
		if said == "" {
			return d, fault.Failedf("%s", text).
				WithNext("Deploy after that, or say why it cannot wait: --override-freeze \"REASON\". The reason is recorded.")
		}
		d.Answer, d.Text, d.Reason = Overridden, text, said
	}
	return d, nil
}

// Undo policies.
const (
	UndoWarn   = "warn"
	UndoRefuse = "refuse"
)

// Lost is what is live now and not in the commit to be deployed.
type Lost struct {
	Known   bool     // false: it could not be found out
	Why     string   // where it is not known: why, and what to do about it
	Commits []string // the newest first, each a short hash and a subject
}

// shown is how many commits are listed.
const shown = 10

// Undo warns of a deploy that would take back commits that are live, or refuses it. What is not known is warned of too, and
// where the policy refuses it is undetermined.
func Undo(policy, environment string, lost Lost) (Decision, error) {
	d := Decision{Guard: GuardUndo, Answer: Clear, Text: "everything that is live in " + environment + " is in this commit"}
	if policy != UndoWarn && policy != UndoRefuse {
		return d, fault.Undeterminedf("the policy for undoing is %q, neither %s nor %s", policy, UndoWarn, UndoRefuse)
	}
	if !lost.Known {
		d.Answer, d.Text = Warned, fmt.Sprintf("whether this would remove commits that are live in %s could not be determined: %s", environment, lost.Why)
		if policy == UndoRefuse {
			return d, fault.Undeterminedf("%s", d.Text)
		}
		return d, nil
	}
	if len(lost.Commits) == 0 {
		return d, nil
	}
	commits := fmt.Sprintf("%d commits that are", len(lost.Commits))
	if len(lost.Commits) == 1 {
		commits = "1 commit that is"
	}
	d.Answer, d.Commits = Warned, lost.Commits
	d.Text = fmt.Sprintf("this would remove %s live in %s now", commits, environment)
	if policy == UndoWarn {
		return d, nil
	}
	list := lost.Commits
	if len(list) > shown {
		list = append(list[:shown:shown], fmt.Sprintf("and %d more", len(list)-shown))
	}
	return d, fault.Failedf("%s", d.Text).WithDetail(list...).
		WithNext("Bring them in by a merge or rebase, or go back on purpose: idp rollback")
}
