package token

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A normalizer changes a text as a whole.
type normalizer func(string) string

// newNormalizer makes one of:
//
//	nfc, nfd, nfkc, nfkd                  Unicode's normal forms
//	lower                                 lower case, character by character
//	strip left=.. right=..                white space off the ends
//	accents                               combining marks removed
//	bert clean=.. cjk=.. accents=.. lower=..  as BERT's BasicTokenizer
//	replace from=.. to=..                 one text for another
//	match regexp=.. to=..                 what matches for a text
//	prepend text=..                       before a text that is not empty
//	precompiled                           SentencePiece's table, in Spec.Charsmap
func newNormalizer(s stageOf, charsmap []byte) (normalizer, error) {
	switch s.Op {
	case "nfc":
		return norm.NFC.String, s.Only()
	case "nfd":
		return norm.NFD.String, s.Only()
	case "nfkc":
		return norm.NFKC.String, s.Only()
	case "nfkd":
		return norm.NFKD.String, s.Only()
	case "lower":
		return lower, s.Only()
	case "accents":
		return func(t string) string { return without(t, unicode.M) }, s.Only()
	case "strip":
		left, right := s.Bool("left"), s.Bool("right")
		return func(t string) string {
			if left {
				t = strings.TrimLeftFunc(t, unicode.IsSpace)
			}
			if right {
				t = strings.TrimRightFunc(t, unicode.IsSpace)
			}
			return t
		}, s.Only("left", "right")
	case "bert":
		return bert(s.Bool("clean"), s.Bool("cjk"), s.Bool("accents"), s.Bool("lower")), s.Only("clean", "cjk", "accents", "lower")
	case "replace":
		from, to := s.Attrs["from"], s.Attrs["to"]
		if from == "" {
			return nil, fmt.Errorf("replace: from is empty")
		}
		return func(t string) string { return strings.ReplaceAll(t, from, to) }, s.Only("from", "to")
	case "match":
		re, err := regexp.Compile(s.Attrs["regexp"])
		if err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
		to := s.Attrs["to"]
		return func(t string) string { return re.ReplaceAllLiteralString(t, to) }, s.Only("regexp", "to")
	case "prepend":
		text := s.Attrs["text"]
		return func(t string) string {
			if t == "" {
				return t
			}
			return text + t
		}, s.Only("text")
	case "precompiled":
		m, err := newCharsmap(charsmap)
		if err != nil {
			return nil, err
		}
		return m.normalize, s.Only()
	}
	return nil, fmt.Errorf("this version has no normalizer %q", s.Op)
}

// lower maps each character alone: U+0130 is the only one whose lower case has
// two, and a sigma at a word's end is one like any other.
func lower(s string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}, s), "İ", "i̇")
}

func without(s string, marks *unicode.RangeTable) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(marks, r) {
			return -1
		}
		return r
	}, s)
}

// bert is the cleaning of google-research/bert, tokenization.py.
func bert(clean, cjk, accents, lowerCase bool) normalizer {
	return func(s string) string {
		var b strings.Builder
		b.Grow(len(s))
		for _, r := range s {
			switch {
			case clean && (r == 0 || r == '�' || isControl(r)):
			case clean && unicode.IsSpace(r):
				b.WriteByte(' ')
			case cjk && isCJK(r):
				b.WriteByte(' ')
				b.WriteRune(r)
				b.WriteByte(' ')
			default:
				b.WriteRune(r)
			}
		}
		s = b.String()
		if accents {
			s = without(norm.NFD.String(s), unicode.Mn)
		}
		if lowerCase {
			s = lower(s)
		}
		return s
	}
}

// isControl holds for the categories Cc, Cf, Co and Cs, tab and line ends aside.
func isControl(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && unicode.Is(unicode.C, r)
}

// isCJK holds for the blocks of CJK ideographs that BERT's authors list.
func isCJK(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// isPunctuation is BERT's: ASCII's symbols count, too.
func isPunctuation(r rune) bool {
	return r > 32 && r < 127 && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') || unicode.IsPunct(r)
}

// isWord is \w of Unicode's regular expressions (UTS 18, annex C).
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.Is(unicode.M, r) || unicode.Is(unicode.Nd, r) || unicode.Is(unicode.Nl, r) ||
		unicode.Is(unicode.Pc, r) || unicode.Is(unicode.Other_Alphabetic, r) || unicode.Is(unicode.Join_Control, r)
}
