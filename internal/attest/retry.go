package attest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/org/idp/internal/fault"
)

// budget is how long one Read or Attach may take with all its attempts.
const budget = 10 * time.Minute

// pauses lie between the attempts. An attempt starts anew, which is safe: reading changes nothing, and attaching adds only
// what is not there yet.
var pauses = [...]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// retry calls op until it succeeds, fails for good, or the attempts are used up. go-containerregistry's own retries sleep
// through a cancelled context, so they are off.
func (r Registry) retry(ctx context.Context, what, ref string, op func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := op(limited)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limited.Err() != nil || attempt == len(pauses) || !temporary(err):
			return describe(what, ref, err)
		}
		if r.Wait != nil {
			_ = r.Wait(limited, pauses[attempt])
			continue
		}
		timer := time.NewTimer(pauses[attempt])
		select {
		case <-limited.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// temporary tells whether the same request may be answered a moment later.
func temporary(err error) bool {
	var status *transport.Error
	if errors.As(err, &status) {
		return status.StatusCode >= 500 && status.StatusCode != http.StatusNotImplemented ||
			status.StatusCode == http.StatusTooManyRequests || status.StatusCode == http.StatusRequestTimeout
	}
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	if errors.As(err, &certificate) || errors.As(err, &authority) {
		return false
	}
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var network *net.OpError
	return errors.As(err, &network)
}

// describe leaves out the address that was asked: a redirect to a blob store carries a signature in it.
func describe(what, ref string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	text := err.Error()
	var request *url.Error
	if errors.As(err, &request) {
		text = request.Err.Error()
	}
	var status *transport.Error
	answered := errors.As(err, &status)
	if answered {
		text = fmt.Sprintf("the registry answers %d %s", status.StatusCode, http.StatusText(status.StatusCode))
	}
	e := fault.Undeterminedf("cannot %s %s: %s", what, ref, text)
	e.Err = err
	switch {
	case answered && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		return e.WithNext("Log in with an account that may do this: docker login")
	case answered && status.StatusCode == http.StatusNotFound:
		return e.WithNext("Check that the image was pushed to this repository.")
	case answered || request != nil:
		return e.WithNext("Check that the registry is up and can be reached from here, then run this again.")
	}
	return e
}
