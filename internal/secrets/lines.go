package secrets

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// binaryProbe is how many bytes tell text from binary, as in git.
const binaryProbe = 8000

// asText gives content as UTF-8 text; ok is false for binary content. UTF-16 and UTF-32 with a byte order mark, as PowerShell
// writes them, are text.
func asText(content []byte) (text []byte, ok bool) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe, 0, 0}):
		return fromUTF32(content[4:], binary.LittleEndian), true
	case bytes.HasPrefix(content, []byte{0, 0, 0xfe, 0xff}):
		return fromUTF32(content[4:], binary.BigEndian), true
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return content, bytes.IndexByte(content[:min(len(content), binaryProbe)], 0) < 0
	}
	units := make([]uint16, 0, len(content)/2)
	for rest := content[2:]; len(rest) >= 2; rest = rest[2:] {
		units = append(units, order.Uint16(rest))
	}
	return []byte(string(utf16.Decode(units))), true
}

func fromUTF32(content []byte, order binary.ByteOrder) (text []byte) {
	for ; len(content) >= 4; content = content[4:] {
		text = utf8.AppendRune(text, rune(order.Uint32(content))) // #nosec G115 -- what is no character becomes U+FFFD
	}
	return text
}

// document is a text and where its lines start; the last of starts is the length of the text.
type document struct {
	text   []byte
	starts []int
}

func newDocument(text []byte) document {
	d := document{text: text, starts: []int{0}}
	for at := 0; at < len(text); {
		next := bytes.IndexByte(text[at:], '\n')
		if next < 0 {
			next = len(text) - at - 1
		}
		at += next + 1
		d.starts = append(d.starts, at)
	}
	return d
}

func (d document) lines() int { return len(d.starts) - 1 }

// span is the text of lines from up to, not including, to.
func (d document) span(from, to int) []byte { return d.text[d.starts[from]:d.starts[to]] }

// line is one line without its end, whichever of the two it is, so that a file that git converts on checkout is the same.
func (d document) line(i int) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(d.span(i, i+1), []byte("\n")), []byte("\r"))
}

// compared is the part of a text that holds all lines that were added, with some context.
type compared struct {
	document
	added   []bool
	skipped int // lines before the part
}

// compare finds the lines of now that are in none of the parents' versions. With one parent, which is nearly always so, the
// same start and end of both are not looked at line by line.
func compare(now []byte, parents [][]byte) compared {
	if len(parents) != 1 {
		c := compared{document: newDocument(now)}
		docs := make([]document, len(parents))
		for i, p := range parents {
			docs[i] = newDocument(p)
		}
		c.added = addedLines(c.document, docs)
		return c
	}
	old := parents[0]
	start := sameStart(now, old)
	end := sameEnd(now[start:], old[start:])
	c := compared{document: newDocument(now[start : len(now)-end]), skipped: bytes.Count(now[:start], []byte("\n"))}
	c.added = addedLines(c.document, []document{newDocument(old[start : len(old)-end])})
	return c
}

// sameStart is the length of the lines that both texts start with, but for the last contextLines.
func sameStart(a, b []byte) int {
	n := min(len(a), len(b))
	at := 0
	for at+64 <= n && bytes.Equal(a[at:at+64], b[at:at+64]) {
		at += 64
	}
	for at < n && a[at] == b[at] {
		at++
	}
	for range contextLines + 1 { // the first is the end of the last whole line
		if at = bytes.LastIndexByte(a[:at], '\n'); at < 0 {
			return 0
		}
	}
	return at + 1
}

// sameEnd is the length of the lines that both texts end with, but for the first contextLines.
func sameEnd(a, b []byte) int {
	n := min(len(a), len(b))
	same := 0
	for same+64 <= n && bytes.Equal(a[len(a)-same-64:len(a)-same], b[len(b)-same-64:len(b)-same]) {
		same += 64
	}
	for same < n && a[len(a)-1-same] == b[len(b)-1-same] {
		same++
	}
	at := len(a) - same
	for range contextLines + 1 {
		i := bytes.IndexByte(a[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
	}
	return len(a) - at
}

// addedLines marks the lines of now that are in none of the parents' versions.
func addedLines(now document, parents []document) []bool {
	added := make([]bool, now.lines())
	for i := range added {
		added[i] = true
	}
	if len(parents) == 0 {
		return added
	}
	names := map[string]int{}
	nowLines := intern(names, now)
	for _, p := range parents {
		match(intern(names, p), nowLines, 0, added)
	}
	return added
}

// intern gives equal lines equal numbers.
func intern(names map[string]int, d document) []int {
	ids := make([]int, d.lines())
	for i := range ids {
		line := d.line(i)
		id, ok := names[string(line)]
		if !ok {
			id = len(names)
			names[string(line)] = id
		}
		ids[i] = id
	}
	return ids
}

// match clears the mark of lines that both sides share: their common start and end, and between those the longest
// sequence of lines that are unique on both sides, each with its equal neighbours (a patience diff, in n log n). It may
// find fewer equal lines than the shortest diff, never unequal ones, so it errs towards scanning more.
func match(old, now []int, offset int, added []bool) {
	for len(old) > 0 && len(now) > 0 && old[0] == now[0] {
		added[offset] = false
		old, now, offset = old[1:], now[1:], offset+1
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		added[offset+len(now)-1] = false
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	oldFrom, nowFrom := 0, 0
	for _, a := range anchors(old, now) {
		if a.old < oldFrom || a.now < nowFrom {
			continue // taken as the neighbour of the anchor before it
		}
		lowOld, lowNow := a.old, a.now
		for lowOld > oldFrom && lowNow > nowFrom && old[lowOld-1] == now[lowNow-1] {
			lowOld, lowNow = lowOld-1, lowNow-1
		}
		oldFrom, nowFrom = a.old, a.now
		for oldFrom < len(old) && nowFrom < len(now) && old[oldFrom] == now[nowFrom] {
			oldFrom, nowFrom = oldFrom+1, nowFrom+1
		}
		for i := lowNow; i < nowFrom; i++ {
			added[offset+i] = false
		}
	}
}

type anchor struct{ old, now int }

// anchors is the longest sequence of lines, in order on both sides, that are unique on each.
func anchors(old, now []int) []anchor {
	if len(old) == 0 || len(now) == 0 {
		return nil
	}
	oldAt, nowAt := unique(old), unique(now)
	var pairs []anchor
	for i, id := range now {
		if at, ok := oldAt[id]; ok && at >= 0 && nowAt[id] >= 0 {
			pairs = append(pairs, anchor{at, i})
		}
	}
	// Longest increasing subsequence of pairs by old: ends[k] is the pair that ends the best sequence of length k+1.
	ends, before := []int{}, make([]int, len(pairs))
	for i, p := range pairs {
		k, _ := slices.BinarySearchFunc(ends, p.old, func(j, at int) int { return pairs[j].old - at })
		before[i] = -1
		if k > 0 {
			before[i] = ends[k-1]
		}
		if k == len(ends) {
			ends = append(ends, i)
		} else {
			ends[k] = i
		}
	}
	sequence := make([]anchor, len(ends))
	for k, i := len(ends)-1, lastOf(ends); i >= 0; k, i = k-1, before[i] {
		sequence[k] = pairs[i]
	}
	return sequence
}

func lastOf(list []int) int {
	if len(list) == 0 {
		return -1
	}
	return list[len(list)-1]
}

// unique is the place of every line that occurs once, and -1 for the others.
func unique(ids []int) map[int]int {
	at := make(map[int]int, len(ids))
	for i, id := range ids {
		if _, twice := at[id]; twice {
			at[id] = -1
		} else {
			at[id] = i
		}
	}
	return at
}
