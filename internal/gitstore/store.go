// Package gitstore reads and writes the files of a catalogue, which are a branch of a Git repository elsewhere. A change is one
// commit on the newest tip, pushed with plain git and made again when somebody else was faster, so that publishers need no lock
// and none loses a line.
//
// What is fetched is the commit, the folders on the way to the files that are asked for, and these: no history, and nothing that
// belongs to others. There is no working tree: what others have put into the catalogue (symbolic links, attributes, names that
// differ by case only) is never acted on.
package gitstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/proc"
)

// Options is what a store needs to know. Everything but Whole and Signer is required.
type Options struct {
	Remote   Remote
	Branch   string
	Temp     string // an empty folder for what lives as long as the store
	Whole    bool   // fetch all of the catalogue, for Copy
	Author   Person // of the commits, and their committer
	Signer   Signer // nil leaves commits unsigned
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error // gives the context's error when that ends first
	Progress func(string)
}

// Person is who a commit says it is of.
type Person struct{ Name, Email string }

// person is NAME <EMAIL> without what ends a line or a name of a commit.
var person = regexp.MustCompile(`^([^<>\x00-\x1f\x7f]*[^<>\x00-\x20\x7f]) <([^<>\x00-\x20\x7f]+)>$`)

// ParsePerson reads NAME <EMAIL>.
func ParsePerson(text string) (Person, error) {
	m := person.FindStringSubmatch(text)
	if m == nil {
		return Person{}, fault.BadInputf("input catalog-committer: %q is not of the form NAME <EMAIL>", text)
	}
	return Person{Name: m[1], Email: m[2]}, nil
}

// Store is the catalogue, and a bare repository of our own that lives for one run.
type Store struct {
	o       Options
	ref     string // full name of the branch
	env     []string
	version string // of git
	objects *objects
}

// remoteName is the catalogue in our own repository's configuration: git remembers by it where what it left out can be had.
const remoteName = "catalogue"

// kept are the variables of git that a caller may set: how to reach a server, and where the configuration is. All
// others, such as GIT_DIR in a hook, would lead git elsewhere.
var kept = []string{"GIT_SSL_", "GIT_SSH", "GIT_ASKPASS=", "GIT_EXEC_PATH=", "GIT_HTTP_", "GIT_PROXY_", "GIT_CONFIG_GLOBAL=",
	"GIT_CONFIG_SYSTEM=", "GIT_CONFIG_NOSYSTEM=", "GIT_TERMINAL_PROMPT="}

// settings go above every configuration file.
var settings = [][2]string{
	{"core.hooksPath", os.DevNull},
	{"core.symlinks", "false"}, // a link in the catalogue becomes a file that holds its target
	{"core.autocrlf", "false"},
	{"core.fsync", "none"}, // our repository is gone after the run; the server's keeps its own setting
	{"gc.auto", "0"},       // no process may be left behind
	{"maintenance.auto", "false"},
	{"fetch.recurseSubmodules", "false"},
	{"push.recurseSubmodules", "no"},
	{"push.followTags", "false"},
	{"push.gpgSign", "false"},
	{"http.lowSpeedLimit", "100"}, // bytes a second, for lowSpeedTime seconds: the server hangs
	{"http.lowSpeedTime", "30"},
}

// environ hands credentials over in the environment, which unlike arguments and files only this user can read. Inputs of the
// action are left out: among them are secrets that git does not need.
func environ(dir string, r Remote) []string {
	var env []string
	for _, v := range gitrepo.Environ() {
		if !strings.HasPrefix(v, "INPUT_") && (!strings.HasPrefix(v, "GIT_") || hasAnyPrefix(v, kept)) {
			env = append(env, v)
		}
	}
	config := slices.Clone(settings)
	if r.url != "" {
		config = append(config, [2]string{"remote." + remoteName + ".url", r.url})
	}
	if r.header != "" {
		config = append(config, [2]string{"http." + r.scope + ".extraHeader", r.header})
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)))
	for i, c := range config {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, c[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, c[1]))
	}
	// ssh asks on the terminal whatever git is told; sent to a program that says nothing, it gives up instead.
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "SSH_ASKPASS=") }) {
		env = append(env, "SSH_ASKPASS=false", "SSH_ASKPASS_REQUIRE=force")
	}
	return append(env, "GCM_INTERACTIVE=never", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh", "GIT_TERMINAL_PROMPT=0",
		"GIT_DIR="+filepath.Join(dir, "repo.git"), "GIT_INDEX_FILE="+filepath.Join(dir, "index"))
}

func hasAnyPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// Open makes the repository of our own; the catalogue is not asked yet. The store has to be closed before Temp is removed.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{o: o, ref: "refs/heads/" + o.Branch, env: environ(o.Temp, o.Remote)}
	version, err := s.git(ctx, nil, "version")
	if err != nil {
		return nil, whyNot(ctx, err, "git does not run").WithNext("Install git and put it on the PATH.")
	}
	s.version = strings.TrimPrefix(version, "git version ")
	if _, err := s.git(ctx, nil, "check-ref-format", "--branch", o.Branch); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.BadInputf("input catalog-branch: %q cannot be the name of a branch", o.Branch)
	}
	dir := filepath.Join(o.Temp, "repo.git")
	if _, err := s.git(ctx, nil, "init", "--quiet", "--bare", "--template=", dir); err != nil {
		return nil, whyNot(ctx, err, "git cannot make a repository in the output folder")
	}
	s.objects = readObjects(ctx, proc.Command{Dir: o.Temp, Env: s.env, Name: "git", Args: []string{"cat-file", "--batch"}}, dir)
	// Its first answer comes before anything is left out: from then on, what is not there is not there.
	if _, err := s.objects.get(strings.Repeat("0", 2*idBytes)); !errors.Is(err, errAbsent) {
		s.Close()
		return nil, whyNot(ctx, err, "git does not read the repository in the output folder")
	}
	return s, nil
}

// Close ends the git that reads for us.
func (s *Store) Close() { s.objects.close() }

// Version is git's.
func (s *Store) Version() string { return s.version }

// whyNot keeps a cancelled context what it is: its kind is found by errors.Is.
func whyNot(ctx context.Context, err error, what string) *fault.Error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fault.Undeterminedf("%s: %w", what, err)
}

// git runs git and gives what it wrote, without the last newline. Its errors hold no credentials.
func (s *Store) git(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	out, err := proc.Run(ctx, proc.Command{Dir: s.o.Temp, Env: s.env, Name: "git", Args: args, Stdin: stdin})
	var e *proc.Error
	if errors.As(err, &e) {
		safe := *e
		safe.Stderr = s.o.Remote.clean(e.Stderr)
		err = &safe
	}
	return strings.TrimSuffix(string(out), "\n"), err
}
