package githubfake

import (
	"crypto/sha1" // #nosec G505 -- the form of a commit's name, not its security
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Repository is one of the fake's repositories. Its exported fields may be set before the first request.
type Repository struct {
	Name          string // OWNER/NAME
	Private       bool
	DefaultBranch string
	Archived      bool
	Workflows     []string // files, such as deploy.yml, that can be dispatched

	CodeSecurity    bool     // bought and switched on, without which a private repository has no code scanning
	ScanningOff     string   // why it takes no SARIF all the same: AdvancedSecurityOff, CodeSecurityOff or ScanningNotEnabled
	ScanningPending int      // how often an upload is pending when asked after; 1 as it is made
	ScanningErrors  []string // with which processing fails whatever was uploaded

	s          *Server
	id         int64
	branches   map[string]string // to the SHA of the head
	tags       map[string]string
	commits    map[string]*commit
	pulls      []*pull
	deploys    []*Deployment
	checks     []*CheckRun
	statuses   []*Status
	comments   []*Comment
	runs       []Run
	dispatches []Dispatch
	sarifs     []*Sarif
	roles      map[string]string // by login in lower case
}

// Commit is what a test says of one.
type Commit struct {
	SHA         string // made up where empty
	Parents     []string
	Message     string
	Author      string            // login; empty where GitHub knows nobody by the address
	AuthorName  string            // Author where empty
	AuthorEmail string            // Author's where empty
	Date        time.Time         // the fake's clock where zero
	Files       map[string]string // what it adds or changes, by path
	Removed     []string          // paths
}

type commit struct {
	Commit
	whole func() map[string]string // all files, where they do not follow from the parents
}

// Repository makes a repository the first time, with one commit on the branch main, and finds it afterwards.
func (s *Server) Repository(name string) *Repository {
	owner, short, ok := strings.Cut(name, "/")
	if !ok || owner == "" || short == "" {
		s.t.Fatalf("%q is not OWNER/NAME", name)
	}
	s.mu.Lock()
	r := s.repos[strings.ToLower(name)]
	if r != nil {
		s.mu.Unlock()
		return r
	}
	r = &Repository{Name: name, DefaultBranch: "main", ScanningPending: 1, s: s, id: s.nextID(),
		branches: map[string]string{}, tags: map[string]string{}, commits: map[string]*commit{}, roles: map[string]string{}}
	s.repos[strings.ToLower(name)] = r
	s.mu.Unlock()
	r.Commit("main", Commit{Message: "Begin"})
	return r
}

// Commit adds a commit on top of the branch, which is made where there is none, unless Parents says on top of what.
func (r *Repository) Commit(branch string, c Commit) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if head := r.branches[branch]; c.Parents == nil && head != "" {
		c.Parents = []string{head}
	}
	if c.SHA == "" {
		c.SHA = fmt.Sprintf("%x", sha1.Sum(fmt.Append(nil, r.Name, len(r.commits), c.Message))) // #nosec G401
	}
	if c.Date.IsZero() {
		c.Date = r.s.time()
	}
	if c.AuthorName == "" {
		c.AuthorName = c.Author
	}
	if c.AuthorEmail == "" && c.Author != "" {
		c.AuthorEmail = c.Author + "@users.noreply.github.com"
	}
	r.commits[c.SHA] = &commit{Commit: c}
	if branch != "" {
		r.branches[branch] = c.SHA
	}
	return c.SHA
}

// Branch sets or moves a branch.
func (r *Repository) Branch(name, sha string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.branches[name] = sha
}

// Tag sets a tag.
func (r *Repository) Tag(name, sha string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.tags[name] = sha
}

// Head is the commit that a branch is at.
func (r *Repository) Head(branch string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.branches[branch]
}

func (r *Repository) owner() string { owner, _, _ := strings.Cut(r.Name, "/"); return owner }
func (r *Repository) short() string { _, short, _ := strings.Cut(r.Name, "/"); return short }
func (r *Repository) html() string  { return site + r.Name }

func (r *Repository) api(format string, args ...any) string {
	return r.s.API() + "/repos/" + r.Name + fmt.Sprintf(format, args...)
}

var wholeSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// resolve finds the commit of a branch, a tag, a full ref or a SHA, which may be short; "" where there is none.
func (r *Repository) resolve(ref string) string {
	for _, name := range []string{strings.TrimPrefix(ref, "heads/"), strings.TrimPrefix(ref, "refs/heads/")} {
		if sha := r.branches[name]; sha != "" {
			return sha
		}
	}
	for _, name := range []string{strings.TrimPrefix(ref, "tags/"), strings.TrimPrefix(ref, "refs/tags/")} {
		if sha := r.tags[name]; sha != "" {
			return sha
		}
	}
	var n int
	for _, form := range []string{"refs/pull/%d/head", "pull/%d/head", "refs/pull/%d/merge", "pull/%d/merge"} {
		if _, err := fmt.Sscanf(ref, form, &n); err == nil && ref == fmt.Sprintf(form, n) {
			if p := r.pull(n); p != nil {
				return p.headSHA()
			}
		}
	}
	if r.commits[ref] != nil {
		return ref
	}
	if len(ref) < 7 {
		return ""
	}
	var found []string
	for sha := range r.commits {
		if strings.HasPrefix(sha, ref) {
			found = append(found, sha)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// ancestors are a commit and all before it, newest first: what git log gives.
func (r *Repository) ancestors(sha string) []*commit {
	seen := map[string]bool{}
	var order []*commit
	var visit func(string)
	visit = func(sha string) {
		for c := r.commits[sha]; c != nil && !seen[c.SHA]; {
			seen[c.SHA] = true
			order = append(order, c)
			if len(c.Parents) == 0 {
				return
			}
			for _, p := range c.Parents[1:] {
				defer visit(p)
			}
			c = r.commits[c.Parents[0]]
		}
	}
	visit(sha)
	slices.SortStableFunc(order, func(a, b *commit) int { return b.Date.Compare(a.Date) })
	return order
}

// between are the commits that head has and base has not, newest first.
func (r *Repository) between(base, head string) []*commit {
	in := map[string]bool{}
	for _, c := range r.ancestors(base) {
		in[c.SHA] = true
	}
	return slices.DeleteFunc(r.ancestors(head), func(c *commit) bool { return in[c.SHA] })
}

// mergeBase is the newest commit that both have; "" where they have none.
func (r *Repository) mergeBase(a, b string) string {
	in := map[string]bool{}
	for _, c := range r.ancestors(a) {
		in[c.SHA] = true
	}
	for _, c := range r.ancestors(b) {
		if in[c.SHA] {
			return c.SHA
		}
	}
	return ""
}

// tree is all files at a commit: those of its first parent, changed as it says.
func (r *Repository) tree(sha string) map[string]string {
	var chain []*commit
	files := map[string]string{}
	for c := r.commits[sha]; c != nil; {
		if c.whole != nil {
			files = maps.Clone(c.whole())
			break
		}
		chain = append(chain, c)
		if len(c.Parents) == 0 {
			break
		}
		c = r.commits[c.Parents[0]]
	}
	for _, c := range slices.Backward(chain) {
		maps.Copy(files, c.Files)
		for _, path := range c.Removed {
			delete(files, path)
		}
	}
	return files
}
