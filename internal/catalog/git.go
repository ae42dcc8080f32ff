package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/proc"
)

// repo is a bare repository of our own that lives for one run.
type repo struct {
	dir     string // holds repo.git, the index and what is copied out
	remote  remote
	ref     string // full name of the branch
	env     []string
	version string // of git
	whole   bool   // all of the catalogue is fetched, for a copy
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
	{"gc.auto", "0"}, // no process may be left behind
	{"maintenance.auto", "false"},
	{"fetch.recurseSubmodules", "false"},
	{"push.recurseSubmodules", "no"},
	{"push.followTags", "false"},
	{"push.gpgSign", "false"},
	{"fastimport.unpackLimit", "1"},
	{"http.lowSpeedLimit", "100"}, // bytes a second, for lowSpeedTime seconds: the server hangs
	{"http.lowSpeedTime", "30"},
}

// environ hands credentials over in the environment, which unlike arguments and files only this user can read.
func environ(dir string, r remote) []string {
	var env []string
	for _, v := range gitrepo.Environ() {
		if !strings.HasPrefix(v, "GIT_") || hasAnyPrefix(v, kept) {
			env = append(env, v)
		}
	}
	config := settings
	if r.header != "" {
		config = append(config[:len(config):len(config)], [2]string{"http." + r.scope + ".extraHeader", r.header})
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

func newRepo(ctx context.Context, dir string, to remote, branch string, whole bool, deps Deps) (*repo, error) {
	r := &repo{dir: dir, remote: to, ref: "refs/heads/" + branch, env: environ(dir, to), whole: whole}
	date := strconv.FormatInt(deps.Now().Unix(), 10) + " +0000"
	r.env = append(r.env, "GIT_AUTHOR_NAME="+deps.Name, "GIT_COMMITTER_NAME="+deps.Name, "GIT_AUTHOR_EMAIL="+deps.Email,
		"GIT_COMMITTER_EMAIL="+deps.Email, "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	version, err := r.git(ctx, nil, "version")
	if err != nil {
		return nil, whyNot(ctx, err, "git does not run").WithNext("Install git and put it on the PATH.")
	}
	r.version = strings.TrimPrefix(version, "git version ")
	if _, err := r.git(ctx, nil, "check-ref-format", "--branch", branch); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.BadInputf("input catalog-branch: %q cannot be the name of a branch", branch)
	}
	if _, err := r.git(ctx, nil, "init", "--quiet", "--bare", "--template=", filepath.Join(dir, "repo.git")); err != nil {
		return nil, whyNot(ctx, err, "git cannot make a repository in the output folder")
	}
	if _, err := r.git(ctx, nil, "config", "remote."+remoteName+".url", to.url); err != nil {
		return nil, whyNot(ctx, err, "git cannot make a repository in the output folder")
	}
	return r, nil
}

// whyNot keeps a cancelled context what it is: its kind is found by errors.Is.
func whyNot(ctx context.Context, err error, what string) *fault.Error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fault.Undeterminedf("%s: %w", what, err)
}

// git runs git and gives what it wrote, without the last newline. Its errors hold no credentials.
func (r *repo) git(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	out, err := proc.Run(ctx, proc.Command{Dir: r.dir, Env: r.env, Name: "git", Args: args, Stdin: stdin})
	var e *proc.Error
	if errors.As(err, &e) {
		safe := *e
		safe.Stderr = r.remote.clean(e.Stderr)
		err = &safe
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// fetch gives the tip of the branch; empty where the catalogue does not have it yet.
func (r *repo) fetch(ctx context.Context) (string, error) {
	const tip = "refs/idp/tip"
	filter := "--filter=tree:0" // the commit alone
	if r.whole {
		filter = "--no-filter"
	}
	_, err := r.git(ctx, nil, "fetch", "--quiet", "--depth=1", "--no-tags", filter, remoteName, "+"+r.ref+":"+tip)
	var e *proc.Error
	if errors.As(err, &e) && strings.Contains(e.Stderr, "couldn't find remote ref") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	commit, err := r.git(ctx, nil, "rev-parse", "--verify", tip+"^{commit}")
	if err != nil || r.whole {
		return commit, err
	}
	text, err := r.git(ctx, nil, "cat-file", "commit", commit)
	if err != nil {
		return "", err
	}
	root, _, _ := strings.Cut(strings.TrimPrefix(text, "tree "), "\n")
	return commit, r.have(ctx, []string{root})
}

// push makes commit the tip of the branch; git refuses when the tip is not its parent any more. What git said is given
// beside an error too: the reason for a refusal is on standard output.
func (r *repo) push(ctx context.Context, commit string) (string, error) {
	out, err := r.git(ctx, nil, "push", "--porcelain", remoteName, commit+":"+r.ref)
	return r.remote.clean(out), err
}

// pause is how long to wait before attempt n+1, with half of it left to chance so that rivals part.
func pause(n int, chance float64) time.Duration {
	step := 50 * time.Millisecond << min(n, 5)
	return step/2 + time.Duration(float64(step)*chance)
}
