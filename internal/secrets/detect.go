package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/org/idp/internal/secrets/prefilter"
)

const (
	// contextLines are scanned around lines that were added: a rule may need the line above, and only what was added counts.
	contextLines = 3
	// A text is scanned in pieces of about pieceSize bytes, so that a cancelled scan ends soon. They share overlapLines, so
	// that no private key (some 100 lines for 8192 bits) falls between two.
	pieceSize    = 256 << 10
	overlapLines = 128
)

// scanChange finds what a change brought in. A gap is noted; the error is one after which git cannot be asked any more.
func (s *scan) scanChange(ctx context.Context, git *objects, c change) error {
	if c.same() {
		return nil
	}
	content, size, err := s.read(git, c)
	switch {
	case errors.Is(err, errGone):
		return nil
	case errors.Is(err, errMissing):
		s.missing(c, c.blob)
		return nil
	case err != nil && c.blob == "":
		s.gap(c, oneLine(err.Error()))
		return nil
	case err != nil:
		return err
	}
	text, ok := asText(content)
	if !ok || s.archiveDepth > 0 {
		if format := archiveOf(ctx, c.path); format != nil {
			return s.archive(ctx, c, format, content, size, s.archiveDepth, &unpacking{left: maxArchive})
		}
	}
	if !ok || size > MaxFileSize {
		return s.nameOnly(ctx, c, ok, size)
	}
	parents, err := s.parents(git, c)
	if err != nil || parents == nil {
		return err
	}
	return s.scanText(ctx, c, text, parents)
}

func (s *scan) read(git *objects, c change) ([]byte, int64, error) {
	if c.blob == "" {
		return readFile(s.repo.Root, c.path)
	}
	return git.blob(c.blob)
}

// nameOnly holds the name of a file against the rules whose content is not scanned. A text that is too large is a gap.
func (s *scan) nameOnly(ctx context.Context, c change, text bool, size int64) error {
	if text {
		s.gap(c, fmt.Sprintf("a text of %d MiB, more than the %d MiB that are scanned", size>>20, MaxFileSize>>20))
		return nil
	}
	s.mu.Lock()
	s.binaries[c.path] = true
	s.mu.Unlock()
	return s.scanText(ctx, c, nil, [][]byte{})
}

// parents reads what was there before; nil where it cannot be read, which is a gap. What was binary or too large then holds
// no line that could be compared, so all lines count as added.
func (s *scan) parents(git *objects, c change) ([][]byte, error) {
	texts := [][]byte{}
	for _, id := range c.parents {
		content, size, err := git.blob(id)
		if errors.Is(err, errMissing) {
			s.missing(c, id)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if text, ok := asText(content); ok && size <= MaxFileSize {
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// scanText scans the added lines of a text, and at least the name of the file. Nearly all of them end at the sieve.
func (s *scan) scanText(ctx context.Context, c change, text []byte, parents [][]byte) (err error) {
	defer func() { // a rule that crashes must not take the process down, nor go unseen
		if recover() != nil { // its text could quote what was scanned
			s.gap(c, "the rules crashed on it")
			err = nil
		}
	}()
	file := c.file
	if file == nil {
		file = s.rules.about(c.path)
	}
	filter := s.sieves.Get().(*prefilter.Sieve)
	now := compare(text, parents)
	pieces := piecesOf(now.document, now.added)
	if len(pieces) == 0 && c.newPath {
		pieces = []piece{{}}
	}
	for _, whole := range pieces {
		s.bytes.Add(int64(len(now.span(whole.from, whole.to))))
		for _, p := range withRuns(whole, now.added) {
			raw := now.span(p.from, p.to)
			v := prefilter.Verdict{All: true}
			if !file.named {
				if v = filter.Look(ctx, raw, file.applies); v.Clear && p == whole {
					break
				}
			}
			for at, text := range v.Pieces(raw) {
				first := p.from + bytes.Count(raw[:at], []byte("\n"))
				if end := first + bytes.Count(text, []byte("\n")); v.Partial() && !slices.Contains(now.added[first:min(end+1, p.to)], true) {
					continue // only lines that were there before
				}
				found, err := s.detect(ctx, c, filter.Detector(v, s.rules.Detector), string(text), first+1)
				if err != nil {
					return err
				}
				for _, f := range found {
					if s.counts(f, c, now, p, parents) {
						f.StartLine, f.EndLine = f.StartLine+now.skipped, f.EndLine+now.skipped
						s.add(c, f)
					}
				}
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	s.sieves.Put(filter) // not after a crash
	return nil
}

// detect runs the rules of a detector.
func (s *scan) detect(ctx context.Context, c change, d *detect.Detector, raw string, line int) ([]report.Finding, error) {
	//lint:ignore SA1019 DetectContext of v8 takes no other
	f := detect.Fragment{Raw: raw, FilePath: c.path, StartLine: line}
	if c.commit != nil {
		f.CommitSHA = c.commit.id
	}
	found := d.DetectContext(ctx, f)
	if ctx.Err() != nil { // it then gives what it has so far
		return nil, context.Cause(ctx)
	}
	return found, nil
}

// counts tells whether the change brought the finding in: a line of the secret was added and, unless the whole history is
// looked at, where the oldest commit is the one that counts, it is not one that only moved. A finding about the file's name
// counts where the name is new.
func (s *scan) counts(f report.Finding, c change, now compared, p piece, parents [][]byte) bool {
	if byName(f) {
		return c.newPath
	}
	from := min(max(f.StartLine-1, p.from), p.to-1)
	to := min(max(f.EndLine, from+1), p.to)
	if at := bytes.Index(now.span(from, to), []byte(f.Secret)); at >= 0 {
		before := now.span(from, to)[:at]
		from += bytes.Count(before, []byte("\n"))
		to = from + 1 + bytes.Count([]byte(f.Secret), []byte("\n"))
	}
	fresh := false
	for i := from; i < to; i++ {
		fresh = fresh || now.added[i]
	}
	return fresh && !(s.partial && moved(now.document, from, to, parents))
}

// byName is a finding of a rule that looks at the name of a file only.
func byName(f report.Finding) bool { return f.Secret == "" }

// moved tells whether one of the parents has all these lines already, indented in whatever way.
func moved(now document, from, to int, parents [][]byte) bool {
	for _, text := range parents {
		p := newDocument(text)
		missing := map[string]bool{}
		for i := from; i < to; i++ {
			missing[string(bytes.TrimSpace(now.line(i)))] = true
		}
		for i := 0; i < p.lines() && len(missing) > 0; i++ {
			delete(missing, string(bytes.TrimSpace(p.line(i))))
		}
		if len(missing) == 0 {
			return true
		}
	}
	return false
}

// piece is a range of lines, to not included.
type piece struct{ from, to int }

// piecesOf cuts the added lines with some context into pieces.
func piecesOf(d document, added []bool) []piece {
	var runs []piece
	for i, is := range added {
		if !is {
			continue
		}
		from, to := max(i-contextLines, 0), min(i+contextLines+1, d.lines())
		if n := len(runs); n > 0 && from <= runs[n-1].to {
			runs[n-1].to = to
		} else {
			runs = append(runs, piece{from, to})
		}
	}
	var pieces []piece
	for _, r := range runs {
		pieces = append(pieces, cut(d, r)...)
	}
	return pieces
}

// withRuns gives the piece and, where only some of its lines were added, those without their context too: a rule may match
// across the border in a way that hides what it matches in them alone, which is what gitleaks looks at.
func withRuns(p piece, added []bool) []piece {
	all := []piece{p}
	for i := p.from; i < p.to; i++ {
		from := i
		for i < p.to && added[i] {
			i++
		}
		if i > from && (piece{from, i}) != p {
			all = append(all, piece{from, i})
		}
	}
	return all
}

// cut divides a run at line ends into pieces of about pieceSize; a longer line stays whole.
func cut(d document, r piece) []piece {
	var pieces []piece
	for from := r.from; ; {
		to := from + 1
		for to < r.to && d.starts[to]-d.starts[from] < pieceSize {
			to++
		}
		pieces = append(pieces, piece{from, to})
		if to == r.to {
			return pieces
		}
		// Overlap, but never so much that a piece brings nothing new.
		next := to
		for next > from+1 && to-next < overlapLines && d.starts[to]-d.starts[next-1] <= pieceSize/4 {
			next--
		}
		from = next
	}
}
