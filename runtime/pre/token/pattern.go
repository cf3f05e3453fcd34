package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// patterns are the expressions by which GPT-2 and its successors cut text. They
// look ahead, `\s+(?!\S)`, which Go's regular expressions cannot: so they are
// written as functions. A match begins at i and is never empty, for together
// the alternatives match every character.
var patterns = map[string]matcher{
	// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
	"gpt2": func(s string, i int) (int, int) { return i, i + gpt2(s[i:]) },
	// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
	"cl100k": func(s string, i int) (int, int) { return i, i + cl100k(s[i:], 3) },
	// The same with \p{N} alone.
	"qwen2": func(s string, i int) (int, int) { return i, i + cl100k(s[i:], 1) },
}

// patternText names the expressions as tokenizer.json files write them.
var patternText = map[string]string{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:                                          "gpt2",
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: "cl100k",
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`:      "qwen2",
}

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

func isSymbol(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

// run returns the length of the characters at the start of s for which is holds.
func run(s string, is func(rune) bool) int {
	for i, r := range s {
		if !is(r) {
			return i
		}
	}
	return len(s)
}

func gpt2(s string) int {
	for _, c := range contractions {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	space := 0
	if s[0] == ' ' {
		space = 1
	}
	for _, is := range []func(rune) bool{unicode.IsLetter, unicode.IsNumber, isSymbol} {
		if n := run(s[space:], is); n > 0 {
			return space + n
		}
	}
	return white(s)
}

// white matches \s+(?!\S)|\s+: white space without its last character, which
// belongs to the word behind it, if there is one and it is not all.
func white(s string) int {
	n := run(s, unicode.IsSpace)
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n < len(s) && n > last {
		return n - last
	}
	return n
}

func cl100k(s string, digits int) int {
	for _, c := range contractions {
		if len(s) >= len(c) && strings.EqualFold(s[:len(c)], c) {
			return len(c)
		}
	}
	// U+017F, the long s, is an s to an expression that ignores case.
	if strings.HasPrefix(s, "'ſ") {
		return len("'ſ")
	}
	r, first := utf8.DecodeRuneInString(s)
	if unicode.IsLetter(r) {
		return run(s, unicode.IsLetter)
	}
	if n := run(s[first:], unicode.IsLetter); n > 0 && r != '\r' && r != '\n' && !unicode.IsNumber(r) {
		return first + n
	}
	if unicode.IsNumber(r) {
		n := 0
		for i, r := range s {
			if n == digits || !unicode.IsNumber(r) {
				return i
			}
			n++
		}
		return len(s)
	}
	lineEnd := func(r rune) bool { return r == '\r' || r == '\n' }
	space := 0
	if r == ' ' {
		space = 1
	}
	if n := run(s[space:], isSymbol); n > 0 {
		n += space
		return n + run(s[n:], lineEnd)
	}
	n := run(s, unicode.IsSpace)
	if last := strings.LastIndexAny(s[:n], "\r\n"); last >= 0 {
		return last + 1
	}
	return white(s)
}

// byteText writes each byte as one printable character: GPT-2's bytes_to_unicode.
func byteText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(byteRunes[s[i]])
	}
	return b.String()
}

var byteRunes, runeBytes = func() (to [256]rune, from map[rune]byte) {
	from = map[rune]byte{}
	extra := rune(256)
	for b := range to {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= 0xA1 && r <= 0xAC || r >= 0xAE && r <= 0xFF) {
			r = extra
			extra++
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()
