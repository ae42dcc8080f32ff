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
	env := append(gitrepo.Environ(), "GIT_FLUSH=0") // or git writes for each commit by itself
	return proc.Command{Dir: root, Env: env, Name: "git", Args: append(gitOptions[:len(gitOptions):len(gitOptions)], args...)}
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
	asked    []request
	change   int // the number of the change that is worked on, in what was asked for
	kept     map[string][]byte
	order    []string // of kept, the oldest first
	size     int      // of kept
}

// request is a blob that was asked for.
type request struct {
	id      string
	change  int
	old     bool
	content []byte // kept from earlier, so git was not asked; nil otherwise
}

const (
	// keptSize bounds what a worker keeps, in bytes: old versions, which older changes made.
	keptSize = 8 << 20
	// keptBlob is the size of the largest that is kept.
	keptBlob = 1 << 20
	// maxRequests is how many bytes of requests git may have to read while nobody reads its answers: what fits into the
	// smallest of all pipes (4 KiB on Windows), or both would wait for each other.
	maxRequests = 3500
)

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
	return &objects{stream: s, requests: w, kept: map[string][]byte{}}, nil
}

// ask requests the blobs of the first n changes, so that git reads ahead. They are then to be read in this order, with
// leaveRest after each change.
func (o *objects) ask(changes []change) (n int, err error) {
	var lines []byte
	o.asked, o.change = o.asked[:0], 0
	for i, c := range changes {
		wanted := c.blobs()
		if size := len(lines) + len(wanted)*(len(c.blob)+1); size > maxRequests {
			break
		}
		for j, id := range wanted {
			r := request{id: id, change: i, old: j > 0, content: o.kept[id]}
			if r.content == nil {
				lines = append(append(lines, id...), '\n')
			}
			o.asked = append(o.asked, r)
		}
		n = i + 1
	}
	if n == 0 { // a merge of very many branches; blob asks for one after the other
		return 1, nil
	}
	if _, err := o.requests.Write(lines); err != nil {
		return n, o.broken(err)
	}
	return n, nil
}

// leaveRest passes over what was asked for a change and not read, and goes on to the next.
func (o *objects) leaveRest() error {
	for len(o.asked) > 0 && o.asked[0].change == o.change {
		if _, _, err := o.blob(o.asked[0].id); err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	o.change++
	return nil
}

// close ends git and gives its verdict.
func (o *objects) close() error {
	return errors.Join(o.requests.Close(), o.wait())
}

// blob reads a blob: its bytes up to MaxFileSize, only the first ones of a larger one, and its size. It is errMissing where
// git goes on without it; after any other error this git is of no more use.
func (o *objects) blob(id string) ([]byte, int64, error) {
	if len(o.asked) == 0 {
		if _, err := io.WriteString(o.requests, id+"\n"); err != nil {
			return nil, 0, o.broken(err)
		}
		return o.answer(id)
	}
	r := o.asked[0]
	if r.id != id {
		return nil, 0, fmt.Errorf("blob %s was read out of turn", id)
	}
	o.asked = o.asked[1:]
	if r.content != nil {
		return r.content, int64(len(r.content)), nil
	}
	content, size, err := o.answer(id)
	if err == nil && r.old {
		o.keep(id, content)
	}
	return content, size, err
}

// keep keeps a version for the older change that made it, and forgets the oldest kept ones for that.
func (o *objects) keep(id string, content []byte) {
	if len(content) > keptBlob || len(content) == 0 || o.kept[id] != nil {
		return
	}
	o.kept[id], o.order, o.size = content, append(o.order, id), o.size+len(content)
	for o.size > keptSize {
		o.size -= len(o.kept[o.order[0]])
		delete(o.kept, o.order[0])
		o.order = o.order[1:]
	}
}

// answer reads what git says of a blob.
func (o *objects) answer(id string) ([]byte, int64, error) {
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
