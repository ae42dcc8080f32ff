package manifest

//lint:file-ignore SA1019 what kustomize still reads has to be looked at, however it advises to write it

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/org/idp/internal/fault"
)

// renderTime is how long a rendering may take. Those of real services take well below a second.
const renderTime = time.Minute

// kustomizing is held while kustomize works: it keeps the schema of the objects in a variable of its own.
var kustomizing sync.Mutex

// kustomize builds a kustomization. The library would fetch remote bases with git and HTTP, take values from this process's
// environment, and follow paths anywhere on the disk; everything that it reads goes through the tree, which lets none of
// that pass.
func (t *tree) kustomize(dir string) (Set, error) {
	if exists, isDir := t.is(dir); !exists || !isDir {
		return Set{}, fault.BadInputf("there is no kustomization %s in the service's folder", dir)
	}
	ctx, cancel := context.WithTimeout(t.ctx, renderTime)
	defer cancel()
	jail := &jail{tree: &tree{ctx: ctx, root: t.root, files: t.files}}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := jail.build(dir)
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return Set{}, jail.explain(dir, r.err)
		}
		return decoded(r.data, "kustomization "+dir)
	case <-ctx.Done(): // its next read ends the other one
		if t.ctx.Err() != nil {
			return Set{}, context.Cause(t.ctx)
		}
		return Set{}, fault.Undeterminedf("the kustomization %s is not built after %s", dir, renderTime)
	}
}

// build runs kustomize. What makes it panic must not end this process.
func (j *jail) build(dir string) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Undeterminedf("kustomize broke: %.200v", p)
		}
	}()
	kustomizing.Lock()
	defer kustomizing.Unlock()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(j, filepath.Join(string(filepath.Separator), filepath.FromSlash(dir)))
	if err != nil {
		return nil, err
	}
	return m.AsYaml()
}

// explain prefers why the jail refused something over what kustomize makes of that.
func (j *jail) explain(dir string, err error) error {
	var known *fault.Error
	switch {
	case j.refused != nil:
		return j.refused
	case errors.As(err, &known):
		return known
	}
	return fault.BadInputf("the kustomization %s cannot be built: %.600s", dir, oneLine(err))
}

// jail is the file system that kustomize sees: the service's folder as the root, and nothing can be written.
type jail struct {
	*tree
	refused error // the first thing that was refused
}

// name is a path as the tree has it.
func (j *jail) name(p string) string {
	return path.Clean(strings.TrimLeft(filepath.ToSlash(filepath.Clean(string(filepath.Separator)+p)), "/"))
}

// ReadFile reads, and refuses a kustomization that asks for what is not in the tree.
func (j *jail) ReadFile(p string) ([]byte, error) {
	name := j.name(p)
	data, err := j.read(name)
	var known *fault.Error
	if errors.As(err, &known) {
		return nil, j.refuse(err)
	}
	if err == nil && slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(name)) {
		err = j.refuse(j.check(name, data))
	}
	return data, err
}

func (j *jail) refuse(err error) error {
	if err != nil && j.refused == nil {
		j.refused = err
	}
	return err
}

// remote is what kustomize fetches instead of reading it: https:… , git@…, github.com/… and the like.
var remote = regexp.MustCompile(`(?i)^(https?:|ssh:|file:|git::|github\.com[/:]|[a-z][a-z0-9-]*@)|://`)

// check refuses what a kustomization must not ask for.
func (j *jail) check(name string, data []byte) error {
	var k types.Kustomization
	if err := k.Unmarshal(data); err != nil {
		return fault.BadInputf("%s: %.400s", name, oneLine(err))
	}
	for _, f := range []struct {
		key string
		has bool
		why string
	}{
		{"generators", len(k.Generators) > 0, "run plugins, which idp does not"},
		{"transformers", len(k.Transformers) > 0, "run plugins, which idp does not"},
		{"validators", len(k.Validators) > 0, "run plugins, which idp does not"},
		{"helmCharts", len(k.HelmCharts) > 0 || len(k.HelmChartInflationGenerator) > 0 || k.HelmGlobals != nil, "fetch and run charts; name one in idp.yaml: deploy: {helm: {chart: FOLDER}}"},
		{"vars", len(k.Vars) > 0, "are deprecated; use replacements"},
	} {
		if f.has {
			return fault.BadInputf("%s: %s %s", name, f.key, f.why)
		}
	}
	for key, paths := range paths(k) {
		for _, p := range paths {
			if remote.MatchString(p) || path.IsAbs(p) {
				return fault.BadInputf("%s: %s names %q, which is not in the service's folder", name, key, shown(p)).
					WithNext("Copy what it gives into the repository: a deploy fetches nothing, so that what it applies follows from the commit.")
			}
		}
	}
	for key, paths := range map[string][]string{"resources": slices.Concat(k.Resources, k.Bases), "components": k.Components} {
		for _, p := range paths {
			at := path.Join(path.Dir(name), filepath.ToSlash(p))
			if exists, _ := j.is(at); !exists || !filepath.IsLocal(filepath.FromSlash(at)) {
				return fault.BadInputf("%s: %s names %q, which is not in the service's folder", name, key, shown(p))
			}
		}
	}
	return j.environment(name, k)
}

// paths are the files and folders that a kustomization names, by key.
func paths(k types.Kustomization) map[string][]string {
	all := map[string][]string{"resources": slices.Concat(k.Resources, k.Bases), "components": k.Components, "crds": k.Crds,
		"configurations": k.Configurations, "openapi": {k.OpenAPI["path"]}}
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) {
		all["patches"] = append(all["patches"], p.Path)
	}
	for _, p := range k.PatchesStrategicMerge {
		if !strings.Contains(string(p), "\n") { // a patch itself
			all["patchesStrategicMerge"] = append(all["patchesStrategicMerge"], string(p))
		}
	}
	for _, r := range k.Replacements {
		all["replacements"] = append(all["replacements"], r.Path)
	}
	for key, sources := range generated(k) {
		for _, f := range sources.FileSources {
			_, file, named := strings.Cut(f, "=")
			if !named {
				file = f
			}
			all[key] = append(all[key], f, file)
		}
		all[key] = append(append(all[key], sources.EnvSources...), sources.EnvSource)
	}
	return all
}

// generated are the sources of the ConfigMaps and Secrets that a kustomization makes.
func generated(k types.Kustomization) map[string]types.KvPairSources {
	all := map[string]types.KvPairSources{}
	for i, c := range k.ConfigMapGenerator {
		all[fmt.Sprintf("configMapGenerator[%d]", i)] = c.KvPairSources
	}
	for i, s := range k.SecretGenerator {
		all[fmt.Sprintf("secretGenerator[%d]", i)] = s.KvPairSources
	}
	return all
}

// environment refuses a file of variables that leaves the value out: kustomize would take it from the environment of this
// process, where tokens are.
func (j *jail) environment(name string, k types.Kustomization) error {
	for key, sources := range generated(k) {
		for _, file := range append(sources.EnvSources, sources.EnvSource) {
			if file == "" {
				continue
			}
			at := path.Join(path.Dir(name), filepath.ToSlash(file))
			data, err := j.read(at)
			if err != nil {
				return fault.BadInputf("%s: %s: %w", name, key, err)
			}
			for i, line := range strings.Split(string(data), "\n") {
				line = strings.TrimSpace(line)
				if line != "" && !strings.HasPrefix(line, "#") && !strings.Contains(line, "=") {
					return fault.BadInputf("%s:%d: a variable without a value would be taken from the environment of the deploy", at, i+1).
						WithNext("Write NAME=VALUE.")
				}
			}
		}
	}
	return nil
}

// shown is a path for people, without credentials where it is an address.
func shown(p string) string {
	p, _, _ = strings.Cut(p, "?")
	if scheme, rest, ok := strings.Cut(p, "://"); ok {
		p = scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return fmt.Sprintf("%.120s", p)
}

// IsDir implements filesys.FileSystem, as do those below.
func (j *jail) IsDir(p string) bool { _, dir := j.is(j.name(p)); return dir }

// Exists tells whether there is anything at the path.
func (j *jail) Exists(p string) bool { exists, _ := j.is(j.name(p)); return exists }

// CleanedAbs splits a path into its folder and the name of its file.
func (j *jail) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	abs := filepath.Clean(string(filepath.Separator) + p)
	exists, dir := j.is(j.name(p))
	switch {
	case !exists:
		return "", "", &fs.PathError{Op: "stat", Path: j.name(p), Err: fs.ErrNotExist}
	case dir:
		return filesys.ConfirmedDir(abs), "", nil
	}
	return filesys.ConfirmedDir(filepath.Dir(abs)), filepath.Base(abs), nil
}

var errJail = fmt.Errorf("kustomize may only read files: %w", os.ErrPermission)

// Open is not needed to build.
func (j *jail) Open(string) (filesys.File, error) { return nil, errJail }

// ReadDir is not needed to build.
func (j *jail) ReadDir(string) ([]string, error) { return nil, errJail }

// Glob is not needed to build.
func (j *jail) Glob(string) ([]string, error) { return nil, errJail }

// Walk is not needed to build.
func (j *jail) Walk(string, filepath.WalkFunc) error { return errJail }

// Create is refused.
func (j *jail) Create(string) (filesys.File, error) { return nil, errJail }

// Mkdir is refused.
func (j *jail) Mkdir(string) error { return errJail }

// MkdirAll is refused.
func (j *jail) MkdirAll(string) error { return errJail }

// RemoveAll is refused.
func (j *jail) RemoveAll(string) error { return errJail }

// WriteFile is refused.
func (j *jail) WriteFile(string, []byte) error { return errJail }
