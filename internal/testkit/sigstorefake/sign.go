package sigstorefake

import (
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// Sign signs a payload as sigstore-go's own command does, for a job with these claims, with all that the instance has.
func (i *Instance) Sign(by Claims, payloadType string, payload []byte) []byte {
	i.t.Helper()
	return i.SignContent(by, &sign.DSSEData{Data: payload, PayloadType: payloadType})
}

// Stamp is a timestamp of the data.
func (i *Instance) Stamp(data []byte) []byte {
	i.t.Helper()
	stamp, err := sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: i.URL + TSA}).GetTimestamp(i.t.Context(), data)
	i.check(err)
	return stamp
}

// SignContent signs anything in the same way.
func (i *Instance) SignContent(by Claims, content sign.Content) []byte {
	i.t.Helper()
	pair, err := sign.NewEphemeralKeypair(nil)
	i.check(err)
	o := sign.BundleOptions{CertificateProvider: sign.NewFulcio(&sign.FulcioOptions{BaseURL: i.URL}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: i.IDToken(by)}, Context: i.t.Context()}
	if i.opts.TSA {
		o.TimestampAuthorities = []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: i.URL + TSA})}
	}
	if i.opts.Rekor != 0 {
		o.TransparencyLogs = []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: i.URL, Version: i.opts.Rekor})}
	}
	b, err := sign.Bundle(content, pair, o)
	i.check(err)
	data, err := protojson.Marshal(b)
	i.check(err)
	return data
}
