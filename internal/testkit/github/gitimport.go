package githubfake

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Push takes all commits, branches and tags of a checkout, as git push does. Authors are known by their addresses at
// users.noreply.github.com only.
func (r *Repository) Push(dir string) {
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output() // #nosec G204 -- a test says so
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				r.s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
			}
			r.s.t.Fatalf("git %s: %v", strings.Join(args, " "), err)
		}
		return string(out)
	}
	log := git("log", "--all", "-z", "--format=%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%B")
	refs := git("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/heads", "refs/tags")
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for record := range strings.SplitSeq(strings.TrimSuffix(log, "\x00"), "\x00") {
		f := strings.SplitN(record, "\x1f", 6)
		if len(f) != 6 {
			continue
		}
		date, _ := time.Parse(time.RFC3339, f[4])
		k := &commit{Commit: Commit{SHA: f[0], Parents: strings.Fields(f[1]), AuthorName: f[2], AuthorEmail: f[3], Date: date, Message: strings.TrimSuffix(f[5], "\n")}}
		if name, known := strings.CutSuffix(f[3], "@users.noreply.github.com"); known {
			_, login, numbered := strings.Cut(name, "+")
			if !numbered {
				login = name
			}
			k.Author = login
		}
		k.whole = func() map[string]string { return untar(git("archive", "--format=tar", k.SHA)) }
		r.commits[k.SHA] = k
	}
	for line := range strings.Lines(refs) {
		f := strings.Fields(line)
		sha := f[len(f)-1] // what an annotated tag points to comes last
		if branch, ok := strings.CutPrefix(f[0], "refs/heads/"); ok {
			r.branches[branch] = sha
		} else {
			r.tags[strings.TrimPrefix(f[0], "refs/tags/")] = sha
		}
	}
}

func untar(data string) map[string]string {
	files := map[string]string{}
	for t := tar.NewReader(bytes.NewReader([]byte(data))); ; {
		h, err := t.Next()
		if err != nil {
			return files
		}
		if h.Typeflag == tar.TypeReg {
			text, _ := io.ReadAll(t)
			files[h.Name] = string(text)
		}
	}
}
