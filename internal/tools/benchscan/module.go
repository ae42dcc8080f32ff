package main

import (
	"context"
	"errors"
	"fmt"
	"go/format"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// moduleVersion is part of the generated modules' names: raise it when they change.
const moduleVersion = 1

// generateModule makes a Go module of about that many lines, once, and gives its folder. It is the same on every machine. Its
// packages import each other, Go's library and other modules, in the versions that this module has, since those are there.
// About one function in eight has a weakness.
func generateModule(ctx context.Context, o options, lines int) (string, error) {
	mod, err := requirements(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(o.cache, fmt.Sprintf("module-%d-v%d", lines, moduleVersion))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	m := module{prose: prose{rand.New(rand.NewPCG(uint64(lines), moduleVersion))}, dir: dir} // #nosec G115 -- a seed
	for name, text := range mod {
		m.put(name, text)
	}
	for m.lines < lines {
		m.addPackage()
	}
	return dir, m.err
}

// requirements are go.mod and go.sum of this module, under another name.
func requirements(ctx context.Context) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, err
	}
	mod := strings.TrimSpace(string(out))
	text, err := os.ReadFile(mod) // #nosec G304 -- of this module
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(strings.TrimSuffix(mod, "mod") + "sum") // #nosec G304 -- of this module
	if err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`(?m)^module .*$`)
	return map[string]string{"go.mod": name.ReplaceAllString(string(text), "module example.com/bench"), "go.sum": string(sum)}, nil
}

// module is what is written so far.
type module struct {
	prose
	dir      string
	packages []string
	lines    int
	err      error
}

func (m *module) put(name, text string) {
	path := filepath.Join(m.dir, filepath.FromSlash(name))
	m.err = errors.Join(m.err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600))
	if filepath.Ext(name) == ".go" {
		m.lines += strings.Count(text, "\n")
	}
}

// addPackage writes a package of three to six files. It uses up to three of those before it.
func (m *module) addPackage() {
	name := fmt.Sprintf("%s%d", m.word(), len(m.packages))
	for file := range 3 + m.IntN(4) {
		imports, body := map[string]bool{}, ""
		for n := range 4 + m.IntN(5) {
			part := parts[m.IntN(len(parts))]
			if m.IntN(8) == 0 {
				part = weaknesses[m.IntN(len(weaknesses))]
			}
			for _, path := range strings.Fields(part.imports) {
				imports[path] = true
			}
			title := m.camel()
			body += "\n" + strings.NewReplacer("NAME", fmt.Sprintf("%s%s%d%d", strings.ToUpper(title[:1]), title[1:], file, n), "word", m.word(),
				"sentence", m.sentence()).Replace(strings.TrimSpace(part.code)) + "\n"
		}
		head := "// Package " + name + " is generated.\npackage " + name + "\n\nimport (\n"
		for _, path := range slices.Sorted(maps.Keys(imports)) {
			alias, quoted := "", path
			if a, p, ok := strings.Cut(path, "="); ok {
				alias, quoted = a+" ", p
			}
			head += fmt.Sprintf("\t%s%q\n", alias, quoted)
		}
		if len(m.packages) > 0 {
			other := m.packages[m.IntN(len(m.packages))]
			head += fmt.Sprintf("\tother \"example.com/bench/internal/%s\"\n", other)
			body += fmt.Sprintf("\n// Before%d is from the package that this one stands on.\nvar Before%d = other.Marker\n", file, file)
		}
		if file == 0 {
			body += "\n// Marker is for the packages that stand on this one.\nvar Marker = \"" + name + "\"\n"
		}
		text, err := format.Source([]byte(head + ")\n" + body))
		m.err = errors.Join(m.err, err)
		m.put("internal/"+name+"/"+fmt.Sprintf("%s%d.go", m.word(), file), string(text))
	}
	m.packages = append(m.packages, name)
}
