package githubfake

import (
	"crypto/sha1" // #nosec G505 -- git names content by it
	"fmt"
	"maps"
	"slices"
	"strings"
)

// changed is what head has that base has not, or otherwise, by path.
func (r *Repository) changed(base, head string) map[string]string {
	before, after := r.tree(base), r.tree(head)
	maps.DeleteFunc(after, func(path, text string) bool { old, had := before[path]; return had && old == text })
	return after
}

// diff is the files that differ between a commit here and one of a repository that may be a fork of it, in order of their names.
func (r *Repository) diff(fork *Repository, base, head string) []object {
	before, after := r.tree(base), fork.tree(head)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	out := []object{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		old, had := before[path]
		now, has := after[path]
		if had == has && old == now {
			continue
		}
		status := "modified"
		switch {
		case !had:
			status = "added"
		case !has:
			status = "removed"
		}
		patch, added, deleted := patchOf(old, now)
		out = append(out, object{"sha": blobSHA(now), "filename": path, "status": status, "additions": added, "deletions": deleted, "changes": added + deleted,
			"patch": patch, "blob_url": fork.html() + "/blob/" + head + "/" + path, "raw_url": fork.html() + "/raw/" + head + "/" + path,
			"contents_url": fork.api("/contents/%s?ref=%s", path, head)})
	}
	return out
}

// patchOf is one hunk: what both texts begin and end with alike is context of at most three lines.
func patchOf(old, now string) (patch string, added, deleted int) {
	a, b := lines(old), lines(now)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	from, until := max(0, head-3), min(tail, 3)
	added, deleted = len(b)-head-tail, len(a)-head-tail
	var out []string
	for _, l := range a[from:head] {
		out = append(out, " "+l)
	}
	for _, l := range a[head : len(a)-tail] {
		out = append(out, "-"+l)
	}
	for _, l := range b[head : len(b)-tail] {
		out = append(out, "+"+l)
	}
	for _, l := range a[len(a)-tail : len(a)-tail+until] {
		out = append(out, " "+l)
	}
	span := func(n int) string {
		switch n {
		case 0: // git names the line before
			return fmt.Sprintf("%d,0", from)
		case 1:
			return fmt.Sprint(from + 1)
		}
		return fmt.Sprintf("%d,%d", from+1, n)
	}
	context := head - from + until
	return fmt.Sprintf("@@ -%s +%s @@\n%s", span(context+deleted), span(context+added), strings.Join(out, "\n")), added, deleted
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func (c *call) commitJSON(k *commit) object {
	who := object{"name": k.AuthorName, "email": k.AuthorEmail, "date": stamp(k.Date)}
	parents := []any{}
	for _, p := range k.Parents {
		parents = append(parents, object{"sha": p, "url": c.repo.api("/commits/%s", p), "html_url": c.repo.html() + "/commit/" + p})
	}
	at := c.repo.api("/commits/%s", k.SHA)
	return object{"sha": k.SHA, "node_id": "C_" + k.SHA, "url": at, "html_url": c.repo.html() + "/commit/" + k.SHA, "comments_url": at + "/comments",
		"author": c.userJSON(k.Author), "committer": c.userJSON(k.Author), "parents": parents,
		"commit": object{"message": k.Message, "author": who, "committer": who, "url": c.repo.api("/git/commits/%s", k.SHA), "comment_count": 0,
			"tree": object{"sha": k.SHA, "url": c.repo.api("/git/trees/%s", k.SHA)}}}
}

// blobSHA is git's name of a file's content.
func blobSHA(text string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))) // #nosec G401
}
