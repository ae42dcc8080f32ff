package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/org/idp/internal/fault"
)

// temporary tells whether the same call may succeed a moment later.
func temporary(err error) bool {
	var status *transport.Error
	if errors.As(err, &status) {
		return status.StatusCode >= 500 && status.StatusCode != http.StatusNotImplemented ||
			status.StatusCode == http.StatusTooManyRequests || status.StatusCode == http.StatusRequestTimeout
	}
	var credentials *credentialsError
	var busy busyError
	if errors.As(err, &credentials) || errors.As(err, &busy) {
		return false
	}
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	if errors.As(err, &certificate) || errors.As(err, &authority) || errors.Is(err, errPlain) || errors.Is(err, errInward) || errors.Is(err, context.Canceled) {
		return false
	}
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var silent stalled
	var network *net.OpError
	var lookup *net.DNSError
	return errors.As(err, &silent) || errors.As(err, &network) || errors.As(err, &lookup) && lookup.IsTemporary
}

// classify says what a registry did not do and what helps. Nothing of the request but its host is shown: addresses may
// carry credentials, and a redirect to a blob store carries a signature.
func classify(err error, what, host string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	var file *fs.PathError
	if errors.As(err, &file) {
		return fault.Undeterminedf("cannot keep what registry %s gave: %w", host, err)
	}
	var credentials *credentialsError
	if errors.As(err, &credentials) {
		e := fault.Undeterminedf("cannot %s: %s", what, line(credentials.Error()))
		e.Err = err
		return e.WithNext("Look at the configuration of docker or podman and the credential helpers that it names, or log in anew: docker login " + host)
	}
	var status *transport.Error
	if !errors.As(err, &status) {
		e := fault.Undeterminedf("cannot %s: %s", what, bare(err))
		e.Err = err
		var request *url.Error
		var busy busyError
		if errors.As(err, &busy) {
			return e.WithNext("Run this again after that.")
		}
		if errors.Is(err, errPlain) || errors.Is(err, errInward) || !errors.As(err, &request) && !temporary(err) && !errors.Is(err, errLate) {
			return e
		}
		return e.WithNext("Check that " + host + " is up and can be reached from here, then run this again.")
	}
	e := fault.Undeterminedf("cannot %s: %s", what, answer(status))
	e.Err = err
	switch status.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e = e.WithNext(login(host)...)
	case http.StatusNotFound:
		e = e.WithNext(absent(host)...)
	case http.StatusMethodNotAllowed:
		e = e.WithNext("A pull-through cache takes no images: give the registry behind it.")
	case http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed:
		if strings.Contains(strings.ToLower(answer(status)), "immutable") {
			e = e.WithNext("A registry without the referrers API lists evidence under tags named sha256-…: exempt those from the rule that makes tags immutable.")
		}
	}
	return e
}

// answer is the status with the registry's own words, which are someone else's text: one short line without controls.
func answer(e *transport.Error) string {
	text := fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode))
	for _, d := range e.Errors {
		text += ", " + string(d.Code)
		if d.Message != "" {
			text += " (" + d.Message + ")"
		}
	}
	return line(text)
}

// bare is an error's text without the address that was asked.
func bare(err error) string {
	var silent stalled
	if errors.As(err, &silent) {
		return silent.Error() // a registry on this machine is asked by HTTPS, too, and how that failed says nothing
	}
	var busy busyError
	if errors.As(err, &busy) {
		return busy.Error()
	}
	var request *url.Error
	for errors.As(err, &request) {
		err = request.Err
	}
	return line(err.Error())
}

func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "…"
	}
	return text
}
