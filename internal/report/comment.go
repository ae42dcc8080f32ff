package report

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Comment writes the comment on a pull request: what comes of the change, short, and all else folded or in the run. The line
// that marks a comment as that of a service and environment is not in it; see [CommentKey].
type Comment struct{}

// commentLimit is GitHub's for the body of a comment, 65,536 characters, less the line that marks it; counted here in bytes.
const commentLimit = 65536 - 1024

// Format implements Formatter.
func (Comment) Format(w io.Writer, r Report) error {
	list := notes(r)
	head, end := headOf(r, len(list)), footer(r)
	parts := append([]part{table(r), notesPart(list)}, details(r)...)
	parts = append(parts, findings(r), costDiff(r), diff(r))
	_, err := io.WriteString(w, head+fit(commentLimit-len(head)-len(end), full(r), parts...)+end)
	return err
}

// CommentKey tells the comments in a pull request apart: SERVICE/ENVIRONMENT, fit for a comment of HTML.
func CommentKey(rec *record.Record) string {
	key := func(name string) string { return strings.ReplaceAll(url.PathEscape(cut(name, 100)), "--", "-%2D") }
	return key(rec.Service.Name) + "/" + key(rec.Environment)
}

// headOf is the line that is read first.
func headOf(r Report, noted int) string {
	head := "**" + text(cut(r.Record.Service.Name, titleLimit)+" "+cut(headline(r), lineLimit)) + "**"
	if noted > 0 {
		head += " · " + finding.Plural(noted, "note")
	}
	if t := took(r.Record); t != "" {
		head += " · " + t
	}
	return head + "\n"
}

// full says where all of it is.
func full(r Report) string {
	return link("see the full report", r.Record.Run.URL)
}

// footer points to the full report.
func footer(r Report) string {
	rec := r.Record
	var words []string
	if repositoryURL(rec) != "" {
		words = append(words, link("Full report", rec.Run.URL))
	}
	if rec.Source.Commit != "" {
		words = append(words, "commit "+commitLink(rec.Source.Commit, rec))
	}
	if rec.Source.Path != "" {
		words = append(words, "folder "+code(cut(rec.Source.Path, lineLimit)))
	}
	if rec.Artifact.Digest != "" {
		words = append(words, fmt.Sprintf("image %s", code(record.ShortDigest(cut(rec.Artifact.Digest, titleLimit)))))
	}
	if len(words) == 0 {
		return ""
	}
	return "\n" + strings.Join(words, " · ") + "\n"
}
