package guard

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a runner's image need not have time zones

	"github.com/robfig/cron/v3"
)

// Window is a time without deploys: it begins whenever the cron expression says so, by the clocks of the zone, and lasts.
type Window struct {
	Cron string        // minute, hour, day of the month, month, day of the week
	For  time.Duration // at most LongestWindow
	Zone string        // IANA name; empty: UTC
}

// LongestWindow keeps the search for the beginning of a window short.
const LongestWindow = 366 * 24 * time.Hour

// String names the window as the policy does.
func (w Window) String() string {
	return fmt.Sprintf("cron %s for %s, %s", w.Cron, strings.TrimSuffix(strings.TrimSuffix(w.For.String(), "0s"), "0m"), w.zone())
}

func (w Window) zone() string {
	if w.Zone == "" {
		return "UTC"
	}
	return w.Zone
}

var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func schedule(expr string) (cron.Schedule, error) {
	// The parser would take a zone from the expression, and crashes on one without a space.
	if strings.Contains(expr, "=") || strings.HasPrefix(expr, "@") || len(expr) > 200 {
		return nil, errors.New("want five fields, such as 0 16 * * FRI")
	}
	s, err := fields.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("want five fields, such as 0 16 * * FRI: %.100s", err)
	}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // a leap year
		return nil, errors.New("this never happens")
	}
	return s, nil
}

// CheckCron says what is wrong with a cron expression.
func CheckCron(expr string) error {
	_, err := schedule(expr)
	return err
}

// CheckZone says what is wrong with the name of a time zone.
func CheckZone(name string) error {
	_, err := location(name)
	return err
}

func location(name string) (*time.Location, error) {
	if name == "Local" { // would differ from machine to machine
		return nil, errors.New("want the name of a time zone, such as Europe/Berlin or UTC")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("want the name of a time zone, such as Europe/Berlin or UTC")
	}
	return loc, nil
}

// Covers tells whether the window is open at a time, and when it ends then, in its zone. Of windows that overlap, the one
// that ends last counts.
func (w Window) Covers(now time.Time) (until time.Time, open bool, err error) {
	s, err := schedule(w.Cron)
	if err != nil {
		return until, false, fmt.Errorf("cron %.40q: %w", w.Cron, err)
	}
	loc, err := location(w.Zone)
	if err != nil {
		return until, false, fmt.Errorf("zone %.40q: %w", w.Zone, err)
	}
	if w.For <= 0 || w.For > LongestWindow {
		return until, false, fmt.Errorf("a window of %s", w.For)
	}
	// The expression is followed on a clock without daylight saving time, and each beginning is then looked up in the zone:
	// the parser leaves out a time that the clocks skip, and a freeze that begins then would not be one.
	const shift = 3 * time.Hour // more than any clock is put forward or back
	for at := s.Next(onClock(now.Add(-w.For), loc).Add(-shift)); !at.IsZero(); at = s.Next(at) {
		begin := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, loc)
		if first := begin.Add(-time.Hour); onClock(first, loc).Equal(at) {
			begin = first // of a time that comes twice
		}
		if at.After(onClock(now, loc).Add(shift)) {
			break
		}
		if end := begin.Add(w.For); !begin.After(now) && now.Before(end) && end.After(until) {
			until, open = end, true
		}
	}
	return until, open, nil
}

// onClock is what the clocks of a zone show, as if it were UTC.
func onClock(t time.Time, loc *time.Location) time.Time {
	t = t.In(loc)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}
