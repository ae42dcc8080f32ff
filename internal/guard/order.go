package guard

import (
	"fmt"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// After is the environment in which a version has to be healthy before it comes to another one.
type After struct {
	Environment string        // empty: none
	HealthyFor  time.Duration // 0: it is enough that it is healthy there now
}

// Release is one release of that environment.
type Release struct {
	Digest  string    // sha256:HEX
	State   string    // pending, live, good, failed, superseded or rolled-back
	Healthy time.Time // since when without a break, where it is live or good
	Awaits  bool      // a smoke test follows it that has not passed yet
}

// History is the releases of that environment, the newest first. The zero value is not known.
type History struct {
	Known    bool
	Releases []Release
}

// skew is how much the clock of the runner may be behind that of the one that deployed before.
const skew = time.Minute

// Order refuses a digest that is not what runs in the environment before, or not for long enough: since its deploy found it to be
// healthy, with no other deploy begun there since, and, where that has one, only after its smoke test. What the history does not
// tell is undetermined.
func Order(now time.Time, environment, digest string, after After, history History) (Decision, error) {
	d := Decision{Guard: GuardOrder, Answer: Clear, Text: environment + " comes after no other environment"}
	if after.Environment == "" {
		return d, nil
	}
	if !history.Known || digest == "" {
		return d, fault.Undeterminedf("what is deployed in %s is not known, and %s takes only what is healthy there", after.Environment, environment)
	}
	live := find(history.Releases, func(r Release) bool { return r.State == "live" || r.State == "good" })
	if live == nil || live.Digest != digest {
		return d, absent(environment, digest, after, history.Releases)
	}
	if err := disturbed(digest, after, history.Releases[0], live); err != nil {
		return d, err
	}
	if live.Healthy.IsZero() || live.Healthy.After(now.Add(skew)) {
		return d, fault.Undeterminedf("since when %s is healthy in %s is not known", record.ShortDigest(digest), after.Environment)
	}
	since := max(now.Sub(live.Healthy), 0)
	if since < after.HealthyFor {
		return d, fault.Failedf("%s was found healthy in %s %s ago, and %s wants %s", record.ShortDigest(digest), after.Environment, span(since), environment, span(after.HealthyFor)).
			WithNext(fmt.Sprintf("Deploy it in %s.", span((after.HealthyFor - since + time.Minute - 1).Truncate(time.Minute))))
	}
	d.Text = fmt.Sprintf("%s was found healthy in %s %s ago, and is live there", record.ShortDigest(digest), after.Environment, span(since))
	return d, nil
}

// disturbed says why the digest, which went live in the environment before, may not be what runs there now; nil where it is.
func disturbed(digest string, after After, newest Release, live *Release) error {
	switch {
	case live.Awaits:
		return fault.Failedf("%s has not passed its smoke test in %s yet", record.ShortDigest(digest), after.Environment).
			WithNext("Wait until it has, or deploy it there again where that was cut off.")
	case newest.State == "pending":
		return fault.Failedf("%s is being deployed to %s in place of %s", record.ShortDigest(newest.Digest), after.Environment, record.ShortDigest(digest)).
			WithNext("Deploy what runs there when that has ended.")
	case newest != *live:
		return fault.Undeterminedf("a deploy of %s to %s failed after %s was live there, and did not put it back, so what runs is not known", record.ShortDigest(newest.Digest),
			after.Environment, record.ShortDigest(digest)).WithNext("Deploy it there again.")
	}
	return nil
}

// absent says why what runs in the environment before is not the digest.
func absent(environment, digest string, after After, releases []Release) error {
	what, next := "was never deployed to "+after.Environment, "Deploy it there first."
	switch r := find(releases, func(r Release) bool { return r.Digest == digest }); {
	case r == nil:
	case r.State == "pending":
		what, next = "is being deployed to "+after.Environment, "Wait until it is healthy there."
	case r.State == "failed":
		what, next = "failed in "+after.Environment, "Find out why, and deploy a version there that works."
	case r.State == "rolled-back":
		what, next = "was taken back in "+after.Environment, "Find out why, and deploy a version there that works."
	case r.State == "superseded", r.State == "live", r.State == "good":
		what, next = "is no longer what runs in "+after.Environment, "Deploy the digest that runs there, or this one there again."
	default:
		return fault.Undeterminedf("%s is in a state in %s that this version of idp does not know: %.40q", record.ShortDigest(digest), after.Environment, r.State)
	}
	return fault.Failedf("%s %s, and %s takes only what is healthy there", record.ShortDigest(digest), what, environment).WithNext(next)
}

func find(releases []Release, is func(Release) bool) *Release {
	for i := range releases {
		if is(releases[i]) {
			return &releases[i]
		}
	}
	return nil
}

// span is a duration for people: whole minutes, seconds below one.
func span(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%ds", int((d+time.Second-1)/time.Second))
	}
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%dm", minutes)
}
