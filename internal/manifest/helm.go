package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
	"github.com/org/idp/internal/service"
)

// helm renders a chart with the program helm. It works on a copy of the chart and its values in a folder of its own, with
// an environment that holds neither tokens nor a kubeconfig, so it can show nothing that is not in the repository.
func (t *tree) helm(h service.Helm, svc *service.Service, opts Options) (Set, error) {
	if opts.Helm == "" {
		return Set{}, fault.Undeterminedf("the chart %s cannot be rendered: there is no program helm on this machine", h.Chart).
			WithNext("Install it in a step before: uses: azure/setup-helm@v4")
	}
	dir, err := os.MkdirTemp("", "idp-helm-")
	if err != nil {
		return Set{}, fault.Undeterminedf("there is no room to render the chart: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	secret, err := t.stage(h, dir)
	if err != nil {
		return Set{}, err
	}
	args := []string{"template", svc.Name, "chart", "--namespace", svc.Namespace(opts.Environment), "--include-crds", "--skip-tests"}
	for i := range h.Values {
		args = append(args, "--values", valuesFile(i))
	}
	out, err := t.run(proc.Command{Dir: dir, Env: helmEnviron(dir, opts.Environ), Name: opts.Helm, Args: args})
	if err != nil {
		return Set{}, explainHelm(err, h.Chart, secret)
	}
	set, err := decoded(out, "chart "+path.Clean(h.Chart))
	if err != nil {
		return Set{}, err
	}
	return set, hooks(set, h.Chart)
}

func valuesFile(i int) string { return fmt.Sprintf("values-%d.yaml", i) }

// stage copies the chart and the values below dir, and gives the values that must not be shown.
func (t *tree) stage(h service.Helm, dir string) (secret []string, err error) {
	chart := path.Clean(filepath.ToSlash(h.Chart))
	if exists, _ := t.is(path.Join(chart, "Chart.yaml")); !exists {
		return nil, fault.BadInputf("there is no chart in %s of the service's folder: it has no Chart.yaml", chart)
	}
	if err := t.copy(chart, filepath.Join(dir, "chart")); err != nil {
		return nil, unreadable(err, "chart "+chart)
	}
	files := []string{}
	if exists, _ := t.is(path.Join(chart, "values.yaml")); exists {
		files = append(files, path.Join(chart, "values.yaml"))
	}
	for i, name := range h.Values {
		name = path.Clean(filepath.ToSlash(name))
		data, err := t.read(name)
		if err != nil {
			return nil, unreadable(err, "values "+name)
		}
		if err := os.WriteFile(filepath.Join(dir, valuesFile(i)), data, 0o600); err != nil {
			return nil, fault.Undeterminedf("there is no room to render the chart: %w", err)
		}
		files = append(files, name)
	}
	for _, name := range files {
		data, err := t.read(name)
		if err != nil {
			return nil, err
		}
		secret = append(secret, secretValues(data)...)
	}
	return secret, nil
}

func unreadable(err error, what string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return fault.BadInputf("the %s cannot be read: %w", what, err)
}

// run runs helm, which may take as long and write as much as a rendering may.
func (t *tree) run(c proc.Command) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(t.ctx, renderTime, errHang)
	defer cancel()
	out := &limited{}
	c.Stdout = out
	_, err := proc.Run(ctx, c)
	if out.over {
		err = errLarge
	}
	return out.buffer.Bytes(), err
}

var (
	errHang  = fault.Undeterminedf("helm did not end within %s", renderTime)
	errLarge = fault.BadInputf("the chart renders to more than %d MiB", maxBytes>>20)
)

// helmEnviron keeps helm to the folder, whatever plugins, repositories and clusters the machine has. Of the environment it
// is left with what a program needs to start.
func helmEnviron(dir string, environ []string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + dir, "KUBECONFIG=" + filepath.Join(dir, "none"), "LC_ALL=C"}
	for _, name := range []string{"CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "PLUGINS"} {
		env = append(env, "HELM_"+name+"="+filepath.Join(dir, strings.ToLower(name)))
	}
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); name == "PATH" || name == "SystemRoot" {
			env = append(env, entry)
		}
	}
	return env
}

// limited keeps what is written up to maxBytes, and ends the writer after that.
type limited struct {
	buffer bytes.Buffer // not embedded: its ReadFrom would pass Write by
	over   bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.buffer.Len()+len(p) > maxBytes {
		l.over = true
		return 0, errors.New("too much")
	}
	return l.buffer.Write(p)
}

// explainHelm shows what helm says is wrong. Its warnings are left out, since they quote values, and what looks like a
// secret among the values is masked in the rest.
func explainHelm(err error, chart string, secret []string) error {
	var tool *proc.Error
	if !errors.As(err, &tool) {
		return err
	}
	if tool.Code == -1 {
		return fault.Undeterminedf("the chart %s cannot be rendered: helm does not run: %.200s", chart, oneLine(tool.Err))
	}
	text := ""
	for line := range strings.SplitSeq(tool.Stderr, "\n") {
		if rest, ok := strings.CutPrefix(line, "Error: "); ok {
			text = ": " + rest
		}
	}
	for _, s := range secret {
		text = strings.ReplaceAll(text, s, "***")
	}
	return fault.BadInputf("helm cannot render the chart %s%.500s", chart, text).
		WithNext("Try it: helm template " + chart)
}

var secretKey = regexp.MustCompile(`(?i)pass|secret|token|key|credential|auth|private|cert|dsn|connection`)

// secretValues are the texts below keys that are named like secrets.
func secretValues(data []byte) (values []string) {
	var visit func(n *yaml.Node, secret bool)
	visit = func(n *yaml.Node, secret bool) {
		if n.Kind == yaml.ScalarNode && secret && len(n.Value) >= 3 {
			values = append(values, n.Value)
		}
		for i, child := range n.Content {
			named := n.Kind == yaml.MappingNode && i%2 == 1 && secretKey.MatchString(n.Content[i-1].Value)
			visit(child, (secret || named) && (n.Kind != yaml.MappingNode || i%2 == 1))
		}
	}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) == nil {
		visit(&doc, false)
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) }) // a longer one may hold a shorter
	return slices.Compact(values)
}

// hooks refuses what helm would run before or after it applies the rest: applied with the rest, it would run at the wrong
// time, and left out, the deploy would be less than the chart says.
func hooks(set Set, chart string) error {
	var names []string
	for _, o := range set.Objects {
		if hook := o.annotation("helm.sh/hook"); hook != "" {
			names = append(names, fmt.Sprintf("%s: %.60s", o, hook))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fault.BadInputf("the chart %s has hooks, which idp does not run", chart).WithDetail(names...).
		WithNext("Make them part of the service, such as an init container, or a Job that is applied with the rest.")
}

func (o Object) annotation(name string) string {
	meta, _ := o.Fields["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	value, _ := notes[name].(string)
	return value
}
