package token

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A decoder changes the pieces on their way to text; at the end they are joined.
type decoder func([]string) []string

// newDecoder makes one of:
//
//	wordpiece prefix=## clean=true    pieces that continue a word join it; clean: no space before . ? ! , and 's
//	bytes                             GPT-2's printable characters back to bytes
//	metaspace mark=▁ prepend=always   marks to spaces, the first one dropped
//	fallback                          <0xE2> and the like to bytes
//	fuse                              all pieces to one
//	replace from=.. to=..
//	strip text=.. left=N right=N      up to N times off each piece's ends
//	suffix text=</w>                  ends of words to spaces
func newDecoder(s stageOf) (decoder, error) {
	switch s.Op {
	case "wordpiece":
		prefix, clean := s.Attrs["prefix"], s.Bool("clean")
		return each(func(i int, p string) string {
			if rest, ok := strings.CutPrefix(p, prefix); ok && i > 0 {
				p = rest
			} else if i > 0 {
				p = " " + p
			}
			if clean {
				p = cleanup.Replace(p)
			}
			return p
		}), s.Only("prefix", "clean")
	case "bytes":
		return func(pieces []string) []string {
			var b []byte
			for _, p := range pieces {
				if t, ok := textBytes(p); ok {
					b = append(b, t...)
				} else {
					b = append(b, p...)
				}
			}
			return []string{validText(b)}
		}, s.Only()
	case "metaspace":
		mark, prepend := s.Attrs["mark"], s.Attrs["prepend"]
		return each(func(i int, p string) string {
			if i == 0 && prepend != "never" {
				p = strings.TrimPrefix(p, mark)
			}
			return strings.ReplaceAll(p, mark, " ")
		}), s.Only("mark", "prepend", "split")
	case "fallback":
		return fallback, s.Only()
	case "fuse":
		return func(pieces []string) []string { return []string{strings.Join(pieces, "")} }, s.Only()
	case "replace":
		from, to := s.Attrs["from"], s.Attrs["to"]
		if from == "" {
			return nil, fmt.Errorf("replace: from is empty")
		}
		return each(func(_ int, p string) string { return strings.ReplaceAll(p, from, to) }), s.Only("from", "to")
	case "strip":
		text := s.Attrs["text"]
		left, err1 := s.number("left", 0)
		right, err2 := s.number("right", 0)
		return each(func(_ int, p string) string {
			for range left {
				p = strings.TrimPrefix(p, text)
			}
			for range right {
				p = strings.TrimSuffix(p, text)
			}
			return p
		}), firstError(err1, err2, s.Only("text", "left", "right"))
	case "suffix":
		text := s.Attrs["text"]
		return func(pieces []string) []string {
			out := make([]string, len(pieces))
			for i, p := range pieces {
				space := " "
				if i == len(pieces)-1 {
					space = ""
				}
				out[i] = strings.ReplaceAll(p, text, space)
			}
			return out
		}, s.Only("text")
	}
	return nil, fmt.Errorf("this version has no decoder %q", s.Op)
}

func each(f func(i int, piece string) string) decoder {
	return func(pieces []string) []string {
		out := make([]string, len(pieces))
		for i, p := range pieces {
			out[i] = f(i, p)
		}
		return out
	}
}

// cleanup takes away the spaces that splitting at punctuation put in English.
var cleanup = strings.NewReplacer(" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m",
	" do not", " don't", " 's", "'s", " 've", "'ve", " 're", "'re")

// textBytes is the inverse of byteText.
func textBytes(s string) ([]byte, bool) {
	var b []byte
	for _, r := range s {
		c, ok := runeBytes[r]
		if !ok {
			return nil, false
		}
		b = append(b, c)
	}
	return b, true
}

// validText replaces what is not UTF-8, one U+FFFD for each maximal subpart of a
// character (Unicode 3.9, "substitution of maximal subparts").
func validText(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n <= 1 {
			n = subpart(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// subpart returns how many of the first bytes begin a character that is not
// there whole.
func subpart(b []byte) int {
	lo, hi, need := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			lo = 0xA0
		} else if c == 0xED {
			hi = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			lo = 0x90
		} else if c == 0xF4 {
			hi = 0x8F
		}
	}
	n := 1
	for n < len(b) && n <= need && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}

// fallback joins runs of byte pieces; a run that is not UTF-8 becomes one U+FFFD
// a byte.
func fallback(pieces []string) []string {
	var out []string
	var run []byte
	flush := func() {
		if len(run) == 0 {
			return
		}
		if utf8.Valid(run) {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, "�")
			}
		}
		run = nil
	}
	for _, p := range pieces {
		if len(p) == 6 && strings.HasPrefix(p, "<0x") && p[5] == '>' {
			if v, err := strconv.ParseUint(p[3:5], 16, 8); err == nil {
				run = append(run, byte(v))
				continue
			}
		}
		flush()
		out = append(out, p)
	}
	flush()
	return out
}
