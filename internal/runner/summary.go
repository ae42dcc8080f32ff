package runner

import (
	"os"
	"strings"
)

// summaryLimit is what the runner accepts of one step's job summary; beyond it the upload is skipped without a failure.
const summaryLimit = 1 << 20

// Summary appends Markdown to the job summary, cut to what the runner accepts with a word on where the rest is. Outside a
// run it does nothing.
func (r *Runner) Summary(markdown, full string) error {
	path := r.of("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	used := int64(0)
	if info, err := os.Stat(path); err == nil {
		used = info.Size()
	}
	if used > 0 {
		markdown = "\n\n" + markdown // whatever wrote before may have left a line or a table open
	}
	return appendFile(path, cutMarkdown(markdown, int(summaryLimit-used), full))
}

// cutMarkdown cuts at the end of a line, and closes what is open there so that the word on the rest is read as one. An empty
// line ends a table.
func cutMarkdown(markdown string, limit int, full string) string {
	if len(markdown) <= limit {
		return markdown
	}
	note := "\n(The rest is in " + full + ".)\n"
	if len(note) > limit {
		return ""
	}
	kept, open := 0, "" // how far, and the code block that is open there
	fence := ""
	for end := 0; ; {
		n := strings.IndexByte(markdown[end:], '\n') + 1
		if n == 0 || end+n+len(note) > limit {
			break
		}
		fence = fenceAfter(fence, markdown[end:end+n-1])
		end += n
		if end+len(fence)+1+len(note) <= limit {
			kept, open = end, fence
		}
	}
	if open != "" {
		open += "\n"
	}
	return markdown[:kept] + open + note
}

// fenceAfter is the fence of the code block that is open after a line, as CommonMark 0.31 section 4.5 has it; empty where none is.
func fenceAfter(open, line string) string {
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) > 3 || text == "" || text[0] != '`' && text[0] != '~' {
		return open
	}
	rest := strings.TrimLeft(text, text[:1])
	run := text[:len(text)-len(rest)]
	switch {
	case len(run) < 3:
		return open
	case open == "" && run[0] == '`' && strings.Contains(rest, "`"): // code within a line
		return ""
	case open == "":
		return run
	case run[0] == open[0] && len(run) >= len(open) && strings.TrimSpace(rest) == "":
		return ""
	}
	return open
}
