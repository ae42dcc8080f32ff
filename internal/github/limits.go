package github

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// longest bounds what a header can ask for, so that no number overflows.
const longest = 24 * time.Hour

// secondaryPause is what GitHub asks for where an answer of a secondary limit names no time.
const secondaryPause = time.Minute

// limited tells a rate limit from a refusal, and how long it lasts: both are 403 or 429.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func limited(a *answer, now time.Time) (time.Duration, bool) {
	after := retryAfter(a.header, now)
	switch {
	case after > 0:
		return after, true
	case a.header.Get("X-Ratelimit-Remaining") == "0":
		return untilReset(a.header, now), true
	case a.status == http.StatusTooManyRequests, bytes.Contains(bytes.ToLower(a.body), []byte("secondary rate limit")),
		bytes.Contains(bytes.ToLower(a.body), []byte("abuse detection mechanism")):
		return secondaryPause, true
	}
	return 0, false
}

// untilReset reads the second in which the limit is given anew; one more, since clocks differ and seconds are cut off.
func untilReset(h http.Header, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil {
		return secondaryPause
	}
	return min(max(0, time.Unix(seconds, 0).Sub(now))+time.Second, longest)
}

// retryAfter reads either form of the header, RFC 9110 section 10.2.3; 0 where there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return min(time.Duration(min(n, int(longest/time.Second)))*time.Second, longest)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), longest)
	}
	return 0
}
