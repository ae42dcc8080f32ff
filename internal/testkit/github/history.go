package githubfake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

var historyRoutes = []route{
	{name: "GET /:repo/commits", needs: "contents: read", do: listCommits},
	{name: "GET /:repo/commits/{ref}", needs: "contents: read", do: getCommit},
	{name: "GET /:repo/compare/{basehead}", needs: "contents: read", do: compare},
	{name: "GET /:repo/contents/{path}", needs: "contents: read", do: getContents},
	{name: "GET /:repo/git/ref/{ref}", needs: "contents: read", do: getRef},
}

func listCommits(c *call) answer {
	from := c.query.Get("sha")
	if from == "" {
		from = c.repo.DefaultBranch
	}
	sha := c.repo.resolve(from)
	if sha == "" {
		return notFound()
	}
	since, _ := time.Parse(time.RFC3339, c.query.Get("since"))
	until, _ := time.Parse(time.RFC3339, c.query.Get("until"))
	out := []object{}
	for _, k := range c.repo.ancestors(sha) {
		if k.Date.Before(since) || (!until.IsZero() && k.Date.After(until)) || !matches(map[string]string{c.query.Get("author"): k.Author}) && c.query.Get("author") != k.AuthorEmail ||
			(c.query.Get("path") != "" && !c.repo.touches(k, c.query.Get("path"))) {
			continue
		}
		out = append(out, c.commitJSON(k))
	}
	return page(out)
}

// touches tells whether a commit changed a file, or one below a folder.
func (r *Repository) touches(k *commit, under string) bool {
	parent := ""
	if len(k.Parents) > 0 {
		parent = k.Parents[0]
	}
	return slices.ContainsFunc(r.diff(r, parent, k.SHA), func(f object) bool {
		name := f["filename"].(string)
		return name == under || strings.HasPrefix(name, strings.TrimSuffix(under, "/")+"/")
	})
}

func getCommit(c *call) answer {
	sha := c.repo.resolve(c.params["ref"])
	if sha == "" {
		return invalid("No commit found for SHA: " + c.params["ref"])
	}
	k := c.repo.commits[sha]
	parent := ""
	if len(k.Parents) > 0 {
		parent = k.Parents[0]
	}
	files, out := c.repo.diff(c.repo, parent, sha), c.commitJSON(k)
	added, deleted := 0, 0
	for _, f := range files {
		added, deleted = added+f["additions"].(int), deleted+f["deletions"].(int)
	}
	out["files"], out["stats"] = files, object{"additions": added, "deletions": deleted, "total": added + deleted}
	return ok(out)
}

// What GitHub gives of a comparison. https://docs.github.com/en/rest/commits/commits#compare-two-commits
const (
	maxComparedCommits = 250 // without pages: the newest
	maxComparedFiles   = 300 // on the first page
)

// compare gives the commits of head that base has not, oldest first.
func compare(c *call) answer {
	from, to, _ := strings.Cut(c.params["basehead"], "...")
	base, head := c.repo.resolve(afterOwner(from)), c.repo.resolve(afterOwner(to))
	if base == "" || head == "" {
		return notFound()
	}
	common := c.repo.mergeBase(base, head)
	if common == "" {
		return fail(404, fmt.Sprintf("No common ancestor between %s and %s.", from, to))
	}
	ahead, behind := c.repo.between(base, head), c.repo.between(head, base)
	status := map[[2]bool]string{{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind", {true, true}: "diverged"}[[2]bool{len(ahead) > 0, len(behind) > 0}]
	slices.Reverse(ahead)
	total, paged := len(ahead), c.query.Has("page") || c.query.Has("per_page")
	if !paged {
		ahead = ahead[max(0, total-maxComparedCommits):]
		c.query.Set("per_page", fmt.Sprint(maxComparedCommits))
	}
	commits := []object{}
	for _, k := range ahead {
		commits = append(commits, c.commitJSON(k))
	}
	at := c.repo.html() + "/compare/" + c.params["basehead"]
	out := object{"url": c.repo.api("/compare/%s", c.params["basehead"]), "html_url": at, "permalink_url": at, "diff_url": at + ".diff", "patch_url": at + ".patch",
		"base_commit": c.commitJSON(c.repo.commits[base]), "merge_base_commit": c.commitJSON(c.repo.commits[common]), "status": status,
		"ahead_by": total, "behind_by": len(behind), "total_commits": total}
	if number(c.query, "page", 1) == 1 {
		files := c.repo.diff(c.repo, common, head)
		out["files"] = files[:min(len(files), maxComparedFiles)]
	}
	a := pageIn("commits", commits)
	a.body, a.limit = out, maxComparedCommits
	return a
}

// afterOwner is a ref of OWNER:REF.
func afterOwner(ref string) string {
	if _, rest, ok := strings.Cut(ref, ":"); ok {
		return rest
	}
	return ref
}

// maxContent is the size in bytes from which on GitHub gives a file without what is in it.
const maxContent = 1 << 20

func getContents(c *call) answer {
	ref := c.query.Get("ref")
	if ref == "" {
		ref = c.repo.DefaultBranch
	}
	sha := c.repo.resolve(ref)
	if sha == "" {
		return fail(404, "No commit found for the ref "+ref)
	}
	files, name := c.repo.tree(sha), strings.Trim(c.params["path"], "/")
	if text, is := files[name]; is {
		out := c.contentJSON("file", name, ref, text)
		out["encoding"], out["content"] = "base64", folded(base64.StdEncoding.EncodeToString([]byte(text)))
		if len(text) > maxContent {
			out["encoding"], out["content"] = "none", ""
		}
		return ok(out)
	}
	entries := map[string]object{}
	for file, text := range files {
		if rest, below := strings.CutPrefix(file, name+"/"); below {
			first, _, deeper := strings.Cut(rest, "/")
			entries[first] = c.contentJSON("file", name+"/"+first, ref, text)
			if deeper {
				entries[first] = c.contentJSON("dir", name+"/"+first, ref, "")
			}
		}
	}
	if len(entries) == 0 {
		return notFound()
	}
	out := []object{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		out = append(out, entries[name])
	}
	return ok(out)
}

// folded has lines of 60 characters, as GitHub's base64 does.
func folded(text string) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(text), 60) {
		b.Write(part)
		b.WriteByte('\n')
	}
	return b.String()
}

func (c *call) contentJSON(kind, name, ref, text string) object {
	at := c.repo.api("/contents/%s?ref=%s", name, ref)
	html := c.repo.html() + "/blob/" + ref + "/" + name
	var download any = "https://raw.githubusercontent.com/" + c.repo.Name + "/" + ref + "/" + name
	if kind == "dir" {
		html, download = c.repo.html()+"/tree/"+ref+"/"+name, nil
	}
	git := c.repo.api("/git/blobs/%s", blobSHA(text))
	return object{"type": kind, "name": path.Base(name), "path": name, "sha": blobSHA(text), "size": len(text), "url": at, "html_url": html, "git_url": git,
		"download_url": download, "_links": object{"self": at, "html": html, "git": git}}
}

// getRef finds exactly heads/BRANCH or tags/TAG.
func getRef(c *call) answer {
	ref := c.params["ref"]
	branch, isBranch := strings.CutPrefix(ref, "heads/")
	tag, isTag := strings.CutPrefix(ref, "tags/")
	sha := ""
	switch {
	case isBranch:
		sha = c.repo.branches[branch]
	case isTag:
		sha = c.repo.tags[tag]
	}
	if sha == "" {
		return notFound()
	}
	return ok(object{"ref": "refs/" + ref, "node_id": "REF_" + sha, "url": c.repo.api("/git/refs/%s", ref),
		"object": object{"type": "commit", "sha": sha, "url": c.repo.api("/git/commits/%s", sha)}})
}
