package signing

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/verifying"
)

// Services are those of a sigstore instance that signing asks, as its SigningConfig lists them.
type Services struct {
	name   string
	config *root.SigningConfig
}

// chosen are the services of one run.
type chosen struct {
	fulcio string
	logs   []root.Service
	tsas   []root.Service
}

// ReadServices reads a SigningConfig as JSON, such as cosign takes as --signing-config. What is wrong with it is BadInput.
func ReadServices(file string) (*Services, error) {
	data, err := verifying.ReadConfig("signing config", file)
	if err != nil {
		return nil, err
	}
	services, err := ParseServices(file, data)
	if err != nil {
		return nil, fault.BadInputf("%w", err).WithNext(makeConfig)
	}
	return services, nil
}

// ParseServices reads what is in a SigningConfig; name is where it is from.
func ParseServices(name string, data []byte) (*Services, error) {
	config, err := root.NewSigningConfigFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s is no SigningConfig: %w", name, err)
	}
	return &Services{name: name, config: config}, nil
}

const makeConfig = "Make one with: cosign signing-config create"

// at chooses as the SigningConfig says: newest version first, of each operator one.
func (s *Services) at(now time.Time) (chosen, error) {
	var c chosen
	wrong := func(err error) error {
		return fault.BadInputf("signing config %s: %w", s.name, err).WithNext(makeConfig)
	}
	fulcio, err := root.SelectService(s.config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return c, wrong(fmt.Errorf("certificate authority: %w", err))
	}
	c.fulcio = fulcio.URL
	if all := s.config.RekorLogURLs(); len(all) > 0 {
		if c.logs, err = root.SelectServices(all, s.config.RekorLogURLsConfig(), sign.RekorAPIVersions, now); err != nil {
			return c, wrong(fmt.Errorf("transparency log: %w", err))
		}
	}
	if all := s.config.TimestampAuthorityURLs(); len(all) > 0 {
		if c.tsas, err = root.SelectServices(all, s.config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now); err != nil {
			return c, wrong(fmt.Errorf("timestamp authority: %w", err))
		}
	}
	if len(c.tsas) == 0 && (len(c.logs) == 0 || c.logs[0].MajorAPIVersion > 1) {
		return c, wrong(fmt.Errorf("no timestamp authority is named, and nobody else tells the time")) // only Rekor v1 does
	}
	return c, nil
}

// public names a service at which everybody can read who signed; empty where there is none that is known to be such.
func (c chosen) public() string {
	urls := []string{c.fulcio} // whose certificates are in a public log, too
	for _, log := range c.logs {
		urls = append(urls, log.URL)
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		for _, domain := range []string{"sigstore.dev", "sigstage.dev"} {
			if host == domain || strings.HasSuffix(host, "."+domain) {
				return host
			}
		}
	}
	return ""
}
