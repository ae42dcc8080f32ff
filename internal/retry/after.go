package retry

import (
	"net/http"
	"strings"
	"time"
)

// longest is what a header can ask for at most, so that no number overflows. Nobody waits that long; each caller has a bound of its own.
const longest = 24 * time.Hour

// After is how long whoever answered wants to be left alone: the header Retry-After in either form of RFC 9110 section 10.2.3, at
// most a day; 0 where it says nothing that can be read, or a time that is over. A date is held against the Date of the same answer,
// since clocks differ; without that it says nothing.
func After(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		return seconds(value)
	}
	until, err := http.ParseTime(value)
	now, unknown := http.ParseTime(h.Get("Date"))
	if err != nil || unknown != nil {
		return 0
	}
	return min(max(0, until.Sub(now)), longest)
}

// seconds reads digits, however many.
func seconds(digits string) time.Duration {
	var d time.Duration
	for _, c := range digits {
		if d = 10*d + time.Duration(c-'0')*time.Second; d > longest {
			return longest
		}
	}
	return d
}
