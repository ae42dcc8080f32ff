package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/viper"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"

	"github.com/org/idp/internal/fault"
)

const (
	configFile = ".gitleaks.toml"
	allowMark  = "gitleaks:allow"
	// decodeDepth is how often what was decoded (base64, hex, percent) is decoded again, as in gitleaks' own program.
	decodeDepth = 5
)

// rules is what decides whether a text holds a secret.
type rules struct {
	*detect.Detector
	own bool // from the repository's own file
}

// loader holds what gitleaks has once a process: the viper that it reads configurations with, and a counter that is never
// reset, beyond which it silently leaves out the rules that a configuration extends. So every configuration is loaded
// once, and only one that extends the built-in rules at all.
var loader struct {
	sync.Mutex
	loaded   map[string]*detect.Detector
	extended bool
}

// loadRules takes the rules of the repository's own file, else the built-in ones.
func loadRules(root string) (rules, error) {
	name := filepath.Join(root, configFile)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		d, err := detectorOf("")
		return rules{Detector: d}, err
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(name) // #nosec G304 -- a fixed name in the repository
	}
	if err != nil {
		return rules{}, fault.BadInputf("%s cannot be read: %w", configFile, plain(err))
	}
	if strings.TrimSpace(string(content)) == "" {
		return rules{}, fault.BadInputf("%s is empty, so no rule would apply", configFile).
			WithNext("Remove it, or start it with: [extend]", "useDefault = true")
	}
	d, err := detectorOf(string(content))
	return rules{Detector: d, own: true}, err
}

func detectorOf(content string) (d *detect.Detector, err error) {
	loader.Lock()
	defer loader.Unlock()
	if d := loader.loaded[content]; d != nil {
		return d, nil
	}
	logging.Logger = logging.Logger.Output(io.Discard) // it writes values of secrets at some levels
	if d, err = build(content); err != nil {
		return nil, err
	}
	d.MaxDecodeDepth = decodeDepth
	d.IgnoreGitleaksAllow = true // they are counted here instead of being dropped unseen
	if loader.loaded == nil {
		loader.loaded = map[string]*detect.Detector{}
	}
	loader.loaded[content] = d
	return d, nil
}

func build(content string) (d *detect.Detector, err error) {
	if content == "" {
		if d, err = detect.NewDetectorDefaultConfig(); err != nil {
			return nil, fault.Undeterminedf("the built-in rules do not load: %w", err)
		}
		return d, nil
	}
	defer func() { // a bad regular expression panics
		if r := recover(); r != nil {
			d, err = nil, fault.BadInputf("%s: %s", configFile, oneLine(fmt.Sprint(r)))
		}
	}()
	cfg, err := translate(content)
	if err != nil {
		return nil, err
	}
	return detect.NewDetector(cfg), nil
}

func translate(content string) (config.Config, error) {
	var vc config.ViperConfig
	v := viper.New()
	v.SetConfigType("toml")
	if err := errors.Join(v.ReadConfig(strings.NewReader(content)), v.Unmarshal(&vc)); err != nil {
		return config.Config{}, fault.BadInputf("%s: %s", configFile, oneLine(err.Error()))
	}
	if vc.Extend.Path != "" || vc.Extend.URL != "" {
		return config.Config{}, fault.BadInputf("%s: extend.path and extend.url are not supported, because they take rules from outside the repository", configFile).
			WithNext("Put the rules into " + configFile + ", with [extend] and useDefault = true for the built-in ones.")
	}
	if loader.extended {
		return config.Config{}, fault.Undeterminedf("%s: gitleaks can extend its rules for one repository a process only", configFile)
	}
	loader.extended = vc.Extend.UseDefault
	cfg, err := vc.Translate()
	if err != nil {
		return config.Config{}, fault.BadInputf("%s: %s", configFile, oneLine(err.Error()))
	}
	if len(cfg.Rules) == 0 {
		return config.Config{}, fault.BadInputf("%s has no rule, so nothing would be looked for", configFile).
			WithNext("Add the built-in ones: [extend]", "useDefault = true")
	}
	return cfg, nil
}

// allows tells whether an allowlist covers the path whatever the content: such a file is not even read.
func (r rules) allows(path string) bool {
	for _, a := range r.Config.Allowlists {
		if a.MatchCondition == config.AllowlistMatchOr && a.PathAllowed(path) {
			return true
		}
	}
	return false
}
