package token

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// added are tokens that are looked for in the text itself: special ones such as
// [MASK], and whole words that a vocabulary was extended by.
type added struct {
	raw, normalized finder // looked for before and after normalization
	ids             map[string]int32
	text            map[int32]string
	special         map[int32]bool
}

// A finder looks for the longest of its tokens at each place.
type finder struct {
	tokens []addedToken // longest first
	starts [256]bool    // the first bytes of tokens
}

type addedToken struct {
	text                 string
	id                   int32
	lstrip, rstrip, word bool // takes the white space before, after it; stands alone
}

// A part of a text: a token that was found in it, or what lies between two.
type part struct {
	text  string
	first bool // it begins where the text begins
	token bool
	id    int32
}

func (t *Tokenizer) newAdded() (added, error) {
	a := added{ids: map[string]int32{}, text: map[int32]string{}, special: map[int32]bool{}}
	for _, line := range t.spec.Added {
		st, err := parse(line)
		if err != nil {
			return a, err
		}
		if err := st.Only("id", "text", "special", "lstrip", "rstrip", "word", "normalized"); err != nil {
			return a, err
		}
		text := st.Attrs["text"]
		n, err := st.number("id", -1)
		if err != nil || n < 0 || text == "" || len(text) > 1<<12 {
			return a, errStage(st, "an added token needs an id and a text")
		}
		id := int32(n)
		a.ids[text], a.text[id] = id, text
		if st.Bool("special") {
			a.special[id] = true
		}
		k := addedToken{text, id, st.Bool("lstrip"), st.Bool("rstrip"), st.Bool("word")}
		if st.Bool("normalized") {
			for _, n := range t.norm {
				k.text = n(k.text)
			}
			a.normalized.add(k)
		} else {
			a.raw.add(k)
		}
	}
	for _, f := range []*finder{&a.raw, &a.normalized} {
		slices.SortStableFunc(f.tokens, func(x, y addedToken) int { return cmp.Compare(len(y.text), len(x.text)) })
	}
	return a, nil
}

func (f *finder) add(k addedToken) {
	if k.text != "" {
		f.tokens = append(f.tokens, k)
		f.starts[k.text[0]] = true
	}
}

// cut finds tokens in the parts that are text.
func (a *added) cut(parts []part, f *finder) []part {
	if len(f.tokens) == 0 {
		return parts
	}
	var out []part
	for _, p := range parts {
		from := 0
		for at := 0; at < len(p.text); {
			k, ok := f.at(p.text, at)
			if !ok {
				at++
				continue
			}
			start, end := at, at+len(k.text)
			if k.word && (wordBefore(p.text[:start]) || wordAfter(p.text[end:])) {
				at = end
				continue
			}
			if k.lstrip {
				start = max(from, len(strings.TrimRightFunc(p.text[:start], unicode.IsSpace)))
			}
			if k.rstrip {
				end = len(p.text) - len(strings.TrimLeftFunc(p.text[end:], unicode.IsSpace))
			}
			if start > from {
				out = append(out, part{text: p.text[from:start], first: p.first && from == 0})
			}
			out = append(out, part{token: true, id: k.id})
			from, at = end, end
		}
		if from < len(p.text) {
			out = append(out, part{text: p.text[from:], first: p.first && from == 0})
		}
	}
	return out
}

func (f *finder) at(text string, i int) (addedToken, bool) {
	if !f.starts[text[i]] {
		return addedToken{}, false
	}
	for _, k := range f.tokens {
		if strings.HasPrefix(text[i:], k.text) {
			return k, true
		}
	}
	return addedToken{}, false
}

func wordBefore(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && isWord(r)
}

func wordAfter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && isWord(r)
}
