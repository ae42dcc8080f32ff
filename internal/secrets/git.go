package secrets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/proc"
)

// gitOptions keep what a user or a repository may have set from changing what git shows: objects replaced by others, a
// commit-graph file that is not what the commits say, a monitor program that reports which files changed.
var gitOptions = []string{"--no-replace-objects", "-c", "core.commitGraph=false", "-c", "core.fsmonitor=false",
	"-c", "core.untrackedCache=false", "-c", "core.quotePath=false"}

func command(root string, args ...string) proc.Command {
	return proc.Command{Dir: root, Env: gitrepo.Environ(), Name: "git", Args: append(gitOptions[:len(gitOptions):len(gitOptions)], args...)}
}

func runGit(ctx context.Context, root string, args ...string) (string, error) {
	out, err := proc.Run(ctx, command(root, args...))
	return string(out), err
}

// stream is a running git whose output is read while it works.
type stream struct {
	*bufio.Reader
	done chan struct{}
	err  error
}

// start runs git until its end or that of ctx, which the caller has to cancel when it stops reading earlier. Files are
// used as pipes, so that the death of git is seen at once as the end of its output.
func start(ctx context.Context, root string, stdin io.Reader, args ...string) (*stream, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := command(root, args...)
	c.Stdin, c.Stdout = stdin, w
	s := &stream{Reader: bufio.NewReaderSize(r, 256<<10), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, s.err = proc.Run(ctx, c)
		_ = w.Close()
		if f, ok := stdin.(*os.File); ok {
			_ = f.Close()
		}
	}()
	// The read end stays open for what is buffered in it, and is closed when nobody wants it any more.
	context.AfterFunc(ctx, func() {
		<-s.done
		_ = r.Close()
	})
	return s, nil
}

// wait gives git's own verdict once its output has been read.
func (s *stream) wait() error {
	<-s.done
	return s.err
}

// reason prefers what git said over how its output broke off.
func (s *stream) reason(broken error) error {
	if err := s.wait(); err != nil {
		return err
	}
	return broken
}

// objects reads blobs from one git cat-file.
type objects struct {
	*stream
	requests *os.File
}

// errMissing is a blob that git does not have.
var errMissing = errors.New("missing")

func openObjects(ctx context.Context, root string) (*objects, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, root, r, "cat-file", "--batch")
	if err != nil {
		return nil, errors.Join(err, r.Close(), w.Close())
	}
	return &objects{stream: s, requests: w}, nil
}

// close ends git and gives its verdict.
func (o *objects) close() error {
	return errors.Join(o.requests.Close(), o.wait())
}

// blob reads a blob: its bytes up to MaxFileSize, only the first ones of a larger one, and its size. It is errMissing where
// git goes on without it; after any other error this git is of no more use.
func (o *objects) blob(id string) ([]byte, int64, error) {
	if _, err := io.WriteString(o.requests, id+"\n"); err != nil {
		return nil, 0, o.broken(err)
	}
	header, err := o.ReadString('\n')
	if err != nil {
		return nil, 0, o.broken(err)
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && fields[0] == id && fields[1] == "missing" {
		return nil, 0, errMissing
	}
	if len(fields) != 3 || fields[0] != id || fields[1] != "blob" {
		return nil, 0, fmt.Errorf("git cat-file answered %q for blob %s", oneLine(header), id)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("git cat-file gave blob %s a size of %q", id, fields[2])
	}
	want := size
	if size > MaxFileSize {
		want = binaryProbe
	}
	content := make([]byte, want)
	if _, err := io.ReadFull(o, content); err != nil {
		return nil, size, o.broken(err)
	}
	if _, err := io.CopyN(io.Discard, o, size-want); err != nil {
		return nil, size, o.broken(err)
	}
	if end, err := o.ReadByte(); err != nil || end != '\n' {
		return nil, size, o.broken(fmt.Errorf("blob %s does not end where git said", id))
	}
	return content, size, nil
}

func (o *objects) broken(err error) error {
	_ = o.requests.Close()
	return o.reason(fmt.Errorf("git cat-file broke off: %w", err))
}

// gitReason says in one line why git failed.
func gitReason(err error) string {
	var e *proc.Error
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "git does not run: it is not on the PATH"
	case !errors.As(err, &e):
		return oneLine(err.Error())
	case strings.TrimSpace(e.Stderr) == "":
		return "git broke off: " + e.Err.Error()
	}
	return "git says: " + oneLine(e.Stderr)
}
