package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// generatorVersion is part of the generated repositories' names: raise it when they change.
const generatorVersion = 3

// changeLength is how many commits of a generated repository are a pull request.
const changeLength = 10

// generate makes a repository with a history of that many commits on main, the last ones of which are on the branch change,
// once, and gives its folder. It is the same on every machine. The text is of the kind that services consist of: code,
// manifests, documentation, lists of hashes; about one commit in 100 brings a secret that no one has.
func generate(ctx context.Context, o options, commits int) (string, error) {
	dir := filepath.Join(o.cache, fmt.Sprintf("history-%d-v%d", commits, generatorVersion))
	if _, err := os.Stat(filepath.Join(dir, ".git", "idp-bench-done")); err == nil {
		return dir, nil
	}
	_, _ = fmt.Fprintf(o.out, "generating a repository of %d commits\n", commits)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	if err := git(ctx, dir, nil, "init", "-q", "-b", "main"); err != nil {
		return "", err
	}
	// Not held in memory: on Linux, the peak memory of a process starts with that of its parent.
	stream, in := io.Pipe()
	go func() {
		out := bufio.NewWriter(in)
		h := history{out: out, prose: prose{rand.New(rand.NewPCG(uint64(commits), generatorVersion))}, files: map[string][]string{}}
		h.write(commits)
		_ = in.CloseWithError(out.Flush())
	}()
	defer func() { _ = stream.Close() }()
	if err := git(ctx, dir, stream, "fast-import", "--quiet"); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"symbolic-ref", "HEAD", "refs/heads/change"}, {"reset", "-q", "--hard"},
		{"update-ref", "refs/remotes/origin/main", "main"}, {"symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"},
		{"repack", "-adq"}} {
		if err := git(ctx, dir, nil, args...); err != nil {
			return "", err
		}
	}
	return dir, os.WriteFile(filepath.Join(dir, ".git", "idp-bench-done"), nil, 0o600)
}

func git(ctx context.Context, dir string, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// history writes a stream for git fast-import.
type history struct {
	prose
	out   *bufio.Writer
	files map[string][]string // on the main line
	names []string
	mark  int
}

func (h *history) write(commits int) {
	h.begin("main", 0, 0)
	h.put("idp.yaml", []string{"name: bench", "owner: team-bench", "environments:", "  staging: {}"})
	for n := 1; n < commits; n++ {
		branch := "main"
		if n >= commits-changeLength {
			branch = "change"
		}
		if h.IntN(25) == 0 && n+2 < commits-changeLength {
			h.merge()
			n += 2
			continue
		}
		h.begin(branch, h.mark, 0)
		for range 1 + h.IntN(3)*h.IntN(2) {
			h.edit()
		}
	}
}

// begin starts a commit on top of one or two others.
func (h *history) begin(branch string, from, merged int) {
	h.mark++
	message := h.sentence()
	_, _ = fmt.Fprintf(h.out, "commit refs/heads/%s\nmark :%d\ncommitter Ada <ada@example.com> %d +0000\ndata %d\n%s\n",
		branch, h.mark, 1600000000+h.mark*600, len(message), message)
	if from > 0 {
		_, _ = fmt.Fprintf(h.out, "from :%d\n", from)
	}
	if merged > 0 {
		_, _ = fmt.Fprintf(h.out, "merge :%d\n", merged)
	}
}

func (h *history) put(name string, lines []string) {
	text := strings.Join(lines, "\n") + "\n"
	_, _ = fmt.Fprintf(h.out, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
}

// merge is a commit on main, one beside it, and their merge. Every other resolution brings a secret of its own.
func (h *history) merge() {
	base, name := h.mark, fmt.Sprintf("docs/feature%d.md", h.mark)
	h.begin("main", base, 0)
	h.edit()
	left := h.mark
	h.begin("side", base, 0)
	side := h.file(name)
	h.put(name, side)
	right := h.mark
	h.begin("main", left, right)
	if h.IntN(2) == 0 {
		side = append(side, h.secret())
	}
	h.put(name, side)
	h.files[name], h.names = side, append(h.names, name)
}

// edit makes a file or changes one.
func (h *history) edit() {
	if len(h.names) < 40 || h.IntN(12) == 0 {
		name := h.path()
		if _, ok := h.files[name]; !ok {
			h.names = append(h.names, name)
		}
		h.files[name] = h.file(name)
		h.put(name, h.files[name])
		return
	}
	name := h.names[h.IntN(len(h.names))]
	old := h.files[name]
	at := h.IntN(len(old) + 1)
	end := min(at+h.IntN(6), len(old))
	var added []string
	for range 1 + h.IntN(12) {
		added = append(added, h.line(name))
	}
	if h.IntN(100) == 0 {
		added = append(added, h.secret())
	}
	lines := append(append(append([]string{}, old[:at]...), added...), old[end:]...)
	h.files[name] = lines
	h.put(name, lines)
}
