package gitstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// Change is what a commit writes. Without files there is nothing to do.
type Change struct {
	Files   map[string][]byte // by path; nil takes a file away
	Message string
}

// commit writes files over the tip and gives the new commit, which is on no branch.
func (s *Store) commit(tip *Tip, c Change) (string, error) {
	root, err := s.objects.graft(tip.root, c.Files)
	if err != nil {
		return "", fmt.Errorf("the commit cannot be made: %w", err)
	}
	head := []string{"tree " + root}
	if tip.Commit != "" {
		head = append(head, "parent "+tip.Commit)
	}
	now := s.o.Now()
	who := fmt.Sprintf("%s <%s> %d +0000", s.o.Author.Name, s.o.Author.Email, now.Unix())
	head = append(head, "author "+who, "committer "+who)
	text := strings.Join(head, "\n") + "\n\n" + c.Message
	if s.o.Signer != nil {
		signature, err := s.o.Signer.Sign([]byte(text), now)
		var classified *fault.Error
		if errors.As(err, &classified) {
			return "", err
		}
		if err != nil {
			return "", fault.Undeterminedf("the delivery's commit cannot be signed: %w", err)
		}
		head = append(head, "gpgsig "+strings.ReplaceAll(strings.TrimSpace(string(signature)), "\n", "\n "))
		text = strings.Join(head, "\n") + "\n\n" + c.Message
	}
	id, err := s.objects.put("commit", []byte(text))
	if err != nil {
		return "", fmt.Errorf("the commit cannot be made: %w", err)
	}
	return id, nil
}

// push makes commit the tip of the branch; the server refuses when the tip is not its parent any more.
func (s *Store) push(ctx context.Context, commit string) error {
	out, err := s.git(ctx, nil, "push", "--porcelain", remoteName, commit+":"+s.ref)
	if err != nil {
		return &pushError{said: s.o.Remote.clean(out), err: err}
	}
	return nil
}

// pushError is a push that git reports as failed.
type pushError struct {
	said string // on standard output, one line a branch: the reason for a refusal is here
	err  error
}

func (e *pushError) Error() string {
	for line := range strings.SplitSeq(e.said, "\n") {
		if rest, ok := strings.CutPrefix(line, "!\t"); ok {
			return e.err.Error() + "\n" + rest
		}
	}
	return e.err.Error()
}

func (e *pushError) Unwrap() error { return e.err }

// conflicts are git's words for a branch that moved between our fetch and our push: as the client sees it, and as the
// server does when two pushes meet.
var conflicts = []string{"[rejected]", "cannot lock ref", "failed to lock", "incorrect old value", "failed to update ref",
	"reference already exists", "remote ref updated since checkout", "Unable to create '"}

// stumbles are git's words for a server or a network that had an accident, which passes, unlike a refusal.
var stumbles = []string{"returned error: 5", "returned error: 429", "HTTP 5", "HTTP 429", "hung up unexpectedly", "early EOF", "unexpected disconnect",
	"onnection reset", "onnection was reset", "mpty reply from server", "timed out", "TLS connection was non-properly terminated"}

// said tells whether git or the server used any of the words.
func said(err error, words []string) bool {
	text := ""
	var push *pushError
	if errors.As(err, &push) {
		text = push.said
	}
	var p *proc.Error
	if errors.As(err, &p) {
		text += p.Stderr
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}
