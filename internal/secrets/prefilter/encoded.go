package prefilter

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// Bytes of the alphabets that gitleaks looks for.
var (
	isHex    = bytesOf("0123456789abcdefABCDEF")
	isBase64 = bytesOf("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/+-")
	// isDigit and isLikely are what gitleaks wants at least one of before it decodes.
	isDigit  = bytesOf("0123456789")
	isLikely = bytesOf("0123456789+/-_")
)

func bytesOf(alphabet string) *[256]bool {
	var set [256]bool
	for i := range len(alphabet) {
		set[alphabet[i]] = true
	}
	return &set
}

const (
	minHex    = 32
	minBase64 = 16
)

// mayDecode tells whether gitleaks could find something encoded in the text: percent (%41), Unicode escapes, hexadecimal of
// 32 digits or more, or base64 of 16 or more, that gives printable ASCII. It goes through the text as its regular
// expression does, but for the escapes, which are rare enough to be left to that.
func mayDecode(text []byte) bool {
	if hasCodePoint(text) || hasEscape(text) {
		return true
	}
	for at := 0; at < len(text); {
		stop := len(text)
		percent := nextPercent(text[at:])
		if percent >= 0 {
			stop = at + percent
		}
		if runsDecode(text[at:stop]) {
			return true
		}
		if percent < 0 {
			return false
		}
		end := stop + lastPercent(text[stop:])
		if percentDecodes(text[stop:end]) {
			return true
		}
		at = end
	}
	return false
}

// hasCodePoint looks for U+0041.
func hasCodePoint(text []byte) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("U+"))
		if i < 0 {
			return false
		}
		if at += i + 2; hexDigits(text[at:], 4) {
			return true
		}
	}
}

// hasEscape looks for \u0041.
func hasEscape(text []byte) bool {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\\')
		if i < 0 {
			return false
		}
		if at += i + 1; at < len(text) && text[at]|0x20 == 'u' && hexDigits(text[at+1:], 4) {
			return true
		}
	}
}

func hexDigits(text []byte, n int) bool {
	if len(text) < n {
		return false
	}
	for _, c := range text[:n] {
		if !isHex[c] {
			return false
		}
	}
	return true
}

func nextPercent(text []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '%')
		if i < 0 {
			return -1
		}
		if hexDigits(text[at+i+1:], 2) {
			return at + i
		}
		at += i + 1
	}
}

// lastPercent is the end of the last percent code in the line that text starts with.
func lastPercent(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	for end := len(text); ; {
		i := bytes.LastIndexByte(text[:end], '%')
		if hexDigits(text[i+1:], 2) { // at the latest the one that text starts with
			return i + 3
		}
		end = i
	}
}

func percentDecodes(text []byte) bool {
	for i := 0; i+2 < len(text); i++ {
		if text[i] == '%' && hexDigits(text[i+1:], 2) {
			var b [1]byte
			_, _ = hex.Decode(b[:], text[i+1:i+3])
			if !printableASCII(b[:]) {
				return false
			}
			i += 2
		}
	}
	return true
}

// percentOnly is what gitleaks' decoder makes of a line in which nothing but percent codes decodes, as in most URLs. The line
// has no code points.
func percentOnly(line []byte) (decoded []byte, ok bool) {
	from := nextPercent(line)
	if from < 0 || hasEscape(line) {
		return nil, false
	}
	end := from + lastPercent(line[from:])
	if !percentDecodes(line[from:end]) || runsDecode(line[:from]) || runsDecode(line[end:]) {
		return nil, false
	}
	decoded = append(decoded, line[:from]...)
	for i := from; i < end; i++ {
		if line[i] != '%' || !hexDigits(line[i+1:end], 2) {
			decoded = append(decoded, line[i])
			continue
		}
		var b [1]byte
		_, _ = hex.Decode(b[:], line[i+1:i+3])
		decoded = append(decoded, b[0])
		i += 2
	}
	return append(decoded, line[end:]...), true
}

// runsDecode goes through the runs of letters that base64 knows, most of which are too short to count.
func runsDecode(text []byte) bool {
	for at := 0; at+minBase64 <= len(text); {
		from := at + minBase64
		for from > at && isBase64[text[from-1]] {
			from--
		}
		if from > at { // the byte before it belongs to no run
			at = from
			continue
		}
		end := at + minBase64
		for end < len(text) && isBase64[text[end]] {
			end++
		}
		padding := 0
		for padding < 2 && end+padding < len(text) && text[end+padding] == '=' {
			padding++
		}
		if runDecodes(text[at:end], text[end:end+padding]) {
			return true
		}
		at = end
	}
	return false
}

// runDecodes takes hexadecimal from the start of the run as often as it is there, and the rest as base64.
func runDecodes(run, padding []byte) bool {
	for len(run) >= minBase64 {
		n := 0
		for n < len(run) && isHex[run[n]] {
			n++
		}
		if n < minHex {
			return base64Decodes(run, padding)
		}
		if hexDecodes(run[:n]) {
			return true
		}
		run = run[n:]
	}
	return false
}

func hexDecodes(run []byte) bool {
	if len(run)%2 != 0 || !hasAny(run, isDigit) {
		return false
	}
	var b [1]byte
	for i := 0; i < len(run); i += 2 {
		if _, err := hex.Decode(b[:], run[i:i+2]); err != nil || !printableASCII(b[:]) {
			return false
		}
	}
	return true
}

func base64Decodes(run, padding []byte) bool {
	if !hasAny(run, isLikely) || !startsPrintable(run) {
		return false
	}
	all := string(run) + string(padding)
	for _, form := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		if b, err := form.DecodeString(all); err == nil && printableASCII(b) {
			return true
		}
	}
	return false
}

// startsPrintable decodes the first 12 letters, in both alphabets at once, which is enough for nearly every run.
func startsPrintable(run []byte) bool {
	var head [12]byte
	copy(head[:], run)
	for i, c := range head {
		switch c {
		case '-':
			head[i] = '+'
		case '_':
			head[i] = '/'
		}
	}
	var b [9]byte
	_, err := base64.StdEncoding.Decode(b[:], head[:])
	return err == nil && printableASCII(b[:])
}

func hasAny(text []byte, set *[256]bool) bool {
	for _, c := range text {
		if set[c] {
			return true
		}
	}
	return false
}

// printableASCII is what gitleaks takes for text: from a tab on, control characters included, below DEL.
func printableASCII(text []byte) bool {
	for _, c := range text {
		if c <= '\x08' || c >= '\x7f' {
			return false
		}
	}
	return true
}
