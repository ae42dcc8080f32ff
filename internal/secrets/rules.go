package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/viper"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/secrets/describe"
	"github.com/org/idp/internal/secrets/prefilter"
)

// ConfigFile is where a repository has rules and allowlists of its own, at its root.
const ConfigFile = ".gitleaks.toml"

const allowMark = "gitleaks:allow"

// rules is what decides whether a text holds a secret.
type rules struct {
	*detect.Detector
	filter *prefilter.Prefilter
	own    bool // the repository's own file has a say in what passes
	strict bool // it could not have one
}

// loader holds what gitleaks has once a process: the viper that it reads configurations with, and a counter that is never
// reset, beyond which it silently leaves out the rules that a configuration extends. So every configuration is loaded
// once, and only one that extends the built-in rules at all.
var loader struct {
	sync.Mutex
	loaded   map[wanted]rules
	extended bool
}

// wanted are rules: those of a configuration, in addition to the built-in ones where it is strict.
type wanted struct {
	content string
	strict  bool
}

// loadRules takes the rules of the repository's own file, else the built-in ones. With strict that file can add rules, and takes
// nothing away from the built-in ones: no allowlist, no rule that it disables or words anew.
func loadRules(root string, strict bool) (rules, error) {
	name := filepath.Join(root, ConfigFile)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return rulesOf(wanted{strict: strict})
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(name) // #nosec G304 -- a fixed name in the repository
	}
	if err != nil {
		return rules{}, fault.Undeterminedf("%s cannot be read: %w", ConfigFile, plain(err))
	}
	if strings.TrimSpace(string(content)) == "" {
		return rules{}, fault.Undeterminedf("%s is empty, so no rule would apply", ConfigFile).
			WithNext("Remove it, or start it with: [extend]", "useDefault = true")
	}
	return rulesOf(wanted{string(content), strict})
}

func rulesOf(w wanted) (rules, error) {
	loader.Lock()
	defer loader.Unlock()
	if r, ok := loader.loaded[w]; ok {
		return r, nil
	}
	logging.Logger = logging.Logger.Output(io.Discard) // it writes values of secrets at some levels
	d, err := build(w)
	if err != nil {
		return rules{}, err
	}
	d.MaxDecodeDepth = prefilter.DecodeDepth
	d.IgnoreGitleaksAllow = true // they are counted here instead of being dropped unseen
	if loader.loaded == nil {
		loader.loaded = map[wanted]rules{}
	}
	r := rules{Detector: d, filter: prefilter.New(&d.Config), own: w.content != "" && !w.strict, strict: w.strict}
	loader.loaded[w] = r
	return r, nil
}

func build(w wanted) (d *detect.Detector, err error) {
	if w.content == "" || w.strict {
		if d, err = detect.NewDetectorDefaultConfig(); err != nil {
			return nil, fault.Undeterminedf("the built-in rules do not load: %w", err)
		}
		if w.content == "" {
			return d, nil
		}
	}
	defer func() { // a bad regular expression panics
		if r := recover(); r != nil {
			d, err = nil, fault.Undeterminedf("%s: %s", ConfigFile, oneLine(fmt.Sprint(r)))
		}
	}()
	cfg, err := translate(w.content)
	if err != nil {
		return nil, err
	}
	if w.strict {
		cfg = withMore(d.Config, cfg)
	}
	return detect.NewDetector(cfg), nil
}

// withMore adds the rules that only the other configuration has.
func withMore(cfg, other config.Config) config.Config {
	cfg.Rules, cfg.Keywords, cfg.OrderedRules = maps.Clone(cfg.Rules), maps.Clone(cfg.Keywords), slices.Clone(cfg.OrderedRules)
	for id, rule := range other.Rules {
		if _, ok := cfg.Rules[id]; ok {
			continue
		}
		cfg.Rules[id] = rule
		cfg.OrderedRules = append(cfg.OrderedRules, id)
		for _, word := range rule.Keywords {
			cfg.Keywords[word] = struct{}{}
		}
	}
	slices.Sort(cfg.OrderedRules)
	return cfg
}

func translate(content string) (config.Config, error) {
	var vc config.ViperConfig
	v := viper.New()
	v.SetConfigType("toml")
	if err := errors.Join(v.ReadConfig(strings.NewReader(content)), v.Unmarshal(&vc)); err != nil {
		return config.Config{}, fault.Undeterminedf("%s: %s", ConfigFile, oneLine(err.Error()))
	}
	if vc.Extend.Path != "" || vc.Extend.URL != "" {
		return config.Config{}, fault.Undeterminedf("%s: extend.path and extend.url are not supported, because they take rules from outside the repository", ConfigFile).
			WithNext("Put the rules into " + ConfigFile + ", with [extend] and useDefault = true for the built-in ones.")
	}
	if loader.extended {
		return config.Config{}, fault.Undeterminedf("%s: gitleaks can extend its rules for one repository a process only", ConfigFile)
	}
	loader.extended = vc.Extend.UseDefault
	cfg, err := vc.Translate()
	if err != nil {
		return config.Config{}, fault.Undeterminedf("%s: %s", ConfigFile, oneLine(err.Error()))
	}
	if len(cfg.Rules) == 0 {
		return config.Config{}, fault.Undeterminedf("%s has no rule, so nothing would be looked for", ConfigFile).
			WithNext("Add the built-in ones: [extend]", "useDefault = true")
	}
	return cfg, nil
}

// file is what the rules say of a path, whatever the content.
type file struct {
	allowed bool   // by an allowlist: it is not even read
	named   bool   // a rule finds the name itself
	applies []bool // the rules of the prefilter that look at such a file
	worker  int    // who reads it
}

func (r rules) about(path string) *file {
	f := &file{}
	for _, a := range r.Config.Allowlists {
		if a.MatchCondition == config.AllowlistMatchOr && a.PathAllowed(path) {
			f.allowed = true
			return f
		}
	}
	f.named = r.filter.FindsName(path)
	f.applies = r.filter.ApplyTo(path)
	return f
}

// alike tells whether the rules see files at two paths the same way.
func (r rules) alike(a, b string) bool {
	differ := func(l *config.Allowlist) bool { return l.PathAllowed(a) != l.PathAllowed(b) }
	if describe.Fixture(a) != describe.Fixture(b) || slices.ContainsFunc(r.Config.Allowlists, differ) {
		return false
	}
	for _, rule := range r.Config.Rules {
		if rule.Path != nil && rule.Path.MatchString(a) != rule.Path.MatchString(b) || slices.ContainsFunc(rule.Allowlists, differ) {
			return false
		}
	}
	return true
}
