package token

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A charsmap is SentencePiece's table of replacements: a double-array trie
// (Aoe 1989, in the layout of the library Darts) whose values are places in a
// list of texts that end with a zero byte.
type charsmap struct {
	units []uint32
	texts []byte
}

// newCharsmap reads the size of the trie in bytes, the trie and the texts.
func newCharsmap(b []byte) (*charsmap, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("precompiled: there is no table")
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n%4 != 0 || n < 4 || n > len(b)-4 {
		return nil, fmt.Errorf("precompiled: a trie of %d bytes in a table of %d", n, len(b))
	}
	m := &charsmap{texts: b[4+n:], units: make([]uint32, n/4)}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	return m, nil
}

// lookup returns the replacement of the shortest entry that s begins with.
func (m *charsmap) lookup(s string) (string, bool) {
	// A unit: bits 0-7 the label, 8 has a value, 9 wide offset, 10-30 the offset.
	offset := func(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }
	at := offset(m.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if s[i] == 0 || at >= uint32(len(m.units)) {
			return "", false
		}
		u := m.units[at]
		if u&(1<<31|0xff) != uint32(s[i]) {
			return "", false
		}
		at ^= offset(u)
		if u>>8&1 == 0 {
			continue
		}
		if at >= uint32(len(m.units)) {
			return "", false
		}
		place := m.units[at] & (1<<31 - 1)
		if place >= uint32(len(m.texts)) {
			return "", false
		}
		text := m.texts[place:]
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		return string(text), true
	}
	return "", false
}

// normalize replaces user-perceived characters of up to five bytes as a whole
// where the table knows them (by the shortest entry that they begin with, as the
// reference does), and else character by character.
func (m *charsmap) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		n := grapheme(s)
		if n < 6 {
			if text, ok := m.lookup(s[:n]); ok {
				b.WriteString(text)
				s = s[n:]
				continue
			}
		}
		for _, r := range s[:n] {
			c := string(r)
			if text, ok := m.lookup(c); ok {
				c = text
			}
			b.WriteString(c)
		}
		s = s[n:]
	}
	return b.String()
}

// grapheme returns the length of the extended grapheme cluster that s begins
// with, by those rules of Unicode's annex 29 that make clusters of fewer than
// six bytes: longer ones (Hangul, flags, joined emoji) are treated character by
// character anyway.
func grapheme(s string) int {
	if strings.HasPrefix(s, "\r\n") {
		return 2
	}
	r, n := utf8.DecodeRuneInString(s)
	if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
		return n
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		next, size := utf8.DecodeRuneInString(s[n:])
		if size > 0 && !unicode.IsControl(next) {
			n += size
		}
	}
	for n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(unicode.M, next) && !unicode.Is(unicode.Other_Grapheme_Extend, next) && next != '\u200d' &&
			!(next >= 0x1F3FB && next <= 0x1F3FF) { // the skin tones
			break
		}
		n += size
	}
	return n
}
