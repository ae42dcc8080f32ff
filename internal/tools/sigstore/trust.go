package main

import (
	"context"
	"path/filepath"
	"time"
)

// trust writes what a private instance hands to its users, by the tool that its operators use: trusted-root.json, which
// says whom to believe, and signing-config.json, which says whom to ask.
func (i *instance) trust(ctx context.Context) error {
	const operator = ",operator=idp.test"
	since := ",start-time=" + time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	cosign := filepath.Join(i.bin, "cosign-v3")
	if _, err := output(ctx, i.dir, cosign, "trusted-root", "create",
		"--fulcio=url="+i.Fulcio+",certificate-chain="+i.path("fulcio.pem"),
		"--ctfe=url=http://ct.idp.test,public-key="+i.path("ct.pub")+since,
		"--rekor=url=http://"+origin+",public-key="+i.path("rekor.pub")+",origin="+origin+since,
		"--tsa=url="+i.Timestamp+"/api/v1/timestamp,certificate-chain="+i.path("timestamp.pem"),
		"--out="+i.path("trusted-root.json")); err != nil {
		return err
	}
	_, err := output(ctx, i.dir, cosign, "signing-config", "create",
		"--fulcio=url="+i.Fulcio+",api-version=1"+since+operator,
		"--rekor=url="+i.Rekor+",api-version=2"+since+operator, "--rekor-config=EXACT:1",
		"--oidc-provider=url="+i.Issuer+",api-version=1"+since+operator,
		"--tsa=url="+i.Timestamp+"/api/v1/timestamp,api-version=1"+since+operator, "--tsa-config=EXACT:1",
		"--out="+i.path("signing-config.json"))
	return err
}
