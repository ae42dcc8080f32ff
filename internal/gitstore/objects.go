package gitstore

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" // #nosec G505 -- the names of Git's objects
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/org/idp/internal/proc"
)

// limit is the most that is read of one file of the catalogue, in bytes.
const limit = 64 << 20

// errAbsent is an object that our repository does not have.
var errAbsent = errors.New("the object is not there")

type sizeError struct{ size int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("%d bytes are more than any file of a catalogue has", e.size)
}

// object is a commit, a folder or the text of a file.
type object struct {
	id   string
	data []byte
}

// objects reads and writes those of our own repository. One git answers all questions: it has answered the first one before
// anything is left out there, so it never goes and fetches what is not there, one object at a time.
type objects struct {
	dir    string
	ask    *io.PipeWriter
	answer *bufio.Reader
	ended  chan struct{}

	mu    sync.Mutex
	known map[string]object // by id
}

func readObjects(ctx context.Context, c proc.Command, dir string) *objects {
	questions, ask := io.Pipe()
	answers, tell := io.Pipe()
	o := &objects{dir: dir, ask: ask, answer: bufio.NewReader(answers), ended: make(chan struct{}), known: map[string]object{}}
	c.Stdin, c.Stdout = questions, tell
	stop := context.AfterFunc(ctx, func() { _ = ask.Close() })
	go func() {
		defer close(o.ended)
		defer stop()
		_, err := proc.Run(ctx, c)
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		_ = tell.CloseWithError(err)
		_ = questions.CloseWithError(err)
	}()
	return o
}

func (o *objects) close() {
	_ = o.ask.Close()
	_, _ = io.Copy(io.Discard, o.answer)
	<-o.ended
}

// get gives an object by its id, or by another name, which may stand for another object later.
func (o *objects) get(name string) (object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.known[name]; ok {
		return known, nil
	}
	if _, err := io.WriteString(o.ask, name+"\n"); err != nil {
		return object{}, fmt.Errorf("git cat-file: %w", err)
	}
	head, err := o.answer.ReadString('\n')
	if err != nil {
		return object{}, fmt.Errorf("git cat-file: %w", err)
	}
	head = strings.TrimSuffix(head, "\n")
	if strings.HasSuffix(head, " missing") {
		return object{}, errAbsent
	}
	f := strings.Fields(head)
	if len(f) != 3 {
		return object{}, fmt.Errorf("git cat-file: it answered %q", head)
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return object{}, fmt.Errorf("git cat-file: it answered %q", head)
	}
	if size > limit {
		if _, err := io.CopyN(io.Discard, o.answer, size+1); err != nil {
			return object{}, fmt.Errorf("git cat-file: %w", err)
		}
		return object{}, &sizeError{size}
	}
	data := make([]byte, size+1) // and a newline
	if _, err := io.ReadFull(o.answer, data); err != nil {
		return object{}, fmt.Errorf("git cat-file: %w", err)
	}
	found := object{id: f[0], data: data[:size:size]}
	if f[1] == "tree" && !wellFormed(found.data) {
		return object{}, fmt.Errorf("git cat-file: folder %s is damaged", found.id)
	}
	o.known[found.id] = found
	return found, nil
}

// ID is what Git calls a file with this text.
func ID(text []byte) string {
	_, id := header("blob", text)
	return id
}

// FolderID is what Git calls a folder with these files and no folder in it.
func FolderID(files map[string][]byte) string {
	var tree []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, id := header("blob", files[name])
		raw, _ := hex.DecodeString(id)
		tree = append(append(tree, fileMode+" "+name+"\x00"...), raw...)
	}
	_, id := header("tree", tree)
	return id
}

// header is what Git puts before an object's data, and the object's id.
func header(kind string, data []byte) (head, id string) {
	head = fmt.Sprintf("%s %d\x00", kind, len(data))
	h := sha1.New() // #nosec G401 -- as above
	_, _ = io.WriteString(h, head)
	_, _ = h.Write(data)
	return head, hex.EncodeToString(h.Sum(nil))
}

// put writes an object and gives its id. It is not compressed: the folders with the names of all services are mostly hashes, which
// deflate works long on for nothing, and git sends what differs from the server's, whatever it is stored as.
func (o *objects) put(kind string, data []byte) (string, error) {
	head, id := header(kind, data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.known[id]; ok {
		return id, nil
	}
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.NoCompression)
	if err != nil {
		return "", err
	}
	_, _ = io.WriteString(z, head)
	_, _ = z.Write(data)
	_ = z.Close() // a buffer takes all
	folder := filepath.Join(o.dir, "objects", id[:2])
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	temp := filepath.Join(folder, "tmp_obj_"+id[2:])
	if err := os.WriteFile(temp, b.Bytes(), 0o600); err != nil {
		return "", err
	}
	o.known[id] = object{id: id, data: data}
	return id, os.Rename(temp, filepath.Join(folder, id[2:]))
}
