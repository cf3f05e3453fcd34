package token

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A splitter cuts a word into smaller ones; first says that it begins the text.
type splitter func(word string, first bool) []string

// newSplitter makes one of:
//
//	bert                          at white space, which goes, and around each punctuation mark
//	words                         runs of \w, and of what is neither \w nor white space
//	white                         at white space, which goes
//	punctuation keep=..           at BERT's punctuation marks
//	digits each=true|false        digits apart, each alone or a run together
//	metaspace mark=▁ prepend=always|first|never split=true|false
//	prefix                        a space before, if none is there
//	bytes                         every byte as GPT-2's printable character
//	pattern name=gpt2|cl100k|...  one of the patterns of package token
//	pattern regexp=.. keep=.. invert=true|false
//	pattern text=.. keep=.. invert=true|false
//
// keep says what becomes of a match: removed, isolated, contiguous, previous or
// next (merged with the word before or behind).
func newSplitter(s stageOf) (splitter, error) {
	switch s.Op {
	case "bert":
		return splitBert, s.Only()
	case "words":
		return splitWords, s.Only()
	case "white":
		return func(w string, _ bool) []string { return strings.FieldsFunc(w, unicode.IsSpace) }, s.Only()
	case "punctuation":
		keep, err := keepOf(s)
		return byMatch(matchRunes(isPunctuation), keep, false), firstError(err, s.Only("keep"))
	case "digits":
		keep := keepContiguous
		if s.Bool("each") {
			keep = keepIsolated
		}
		return byMatch(matchRunes(unicode.IsNumber), keep, false), s.Only("each")
	case "metaspace":
		return newMetaspace(s)
	case "prefix":
		return func(w string, _ bool) []string {
			if !strings.HasPrefix(w, " ") {
				w = " " + w
			}
			return []string{w}
		}, s.Only()
	case "bytes":
		return func(w string, _ bool) []string { return []string{byteText(w)} }, s.Only()
	case "pattern":
		return newPattern(s)
	}
	return nil, fmt.Errorf("this version has no splitter %q", s.Op)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func errStage(s stageOf, text string) error { return fmt.Errorf("tokenizer: %s: %s", s.String(), text) }

func splitBert(w string, _ bool) []string {
	var out []string
	for _, field := range strings.FieldsFunc(w, unicode.IsSpace) {
		from := 0
		for i, r := range field {
			if isPunctuation(r) {
				n := utf8.RuneLen(r)
				out = append(out, field[from:i], field[i:i+n])
				from = i + n
			}
		}
		out = append(out, field[from:])
	}
	return out
}

func splitWords(w string, _ bool) []string {
	var out []string
	from, kind := 0, 0
	for i, r := range w + " " {
		k := 2
		switch {
		case i == len(w) || unicode.IsSpace(r):
			k = 0
		case isWord(r):
			k = 1
		}
		if k != kind {
			if kind != 0 {
				out = append(out, w[from:i])
			}
			from, kind = i, k
		}
	}
	return out
}

func newMetaspace(s stageOf) (splitter, error) {
	mark, prepend, split := s.Attrs["mark"], s.Attrs["prepend"], s.Bool("split")
	if utf8.RuneCountInString(mark) != 1 || prepend != "always" && prepend != "first" && prepend != "never" {
		return nil, fmt.Errorf("metaspace: mark %q, prepend %q", mark, prepend)
	}
	cut := byMatch(matchText(mark), keepNext, false)
	return func(w string, first bool) []string {
		w = strings.ReplaceAll(w, " ", mark)
		if (prepend == "always" || prepend == "first" && first) && !strings.HasPrefix(w, mark) {
			w = mark + w
		}
		if !split {
			return []string{w}
		}
		return cut(w, first)
	}, s.Only("mark", "prepend", "split")
}

type keep int

// What becomes of a match.
const (
	keepRemoved keep = iota
	keepIsolated
	keepContiguous
	keepPrevious
	keepNext
)

func keepOf(s stageOf) (keep, error) {
	switch k := s.Attrs["keep"]; k {
	case "removed":
		return keepRemoved, nil
	case "isolated":
		return keepIsolated, nil
	case "contiguous":
		return keepContiguous, nil
	case "previous":
		return keepPrevious, nil
	case "next":
		return keepNext, nil
	default:
		return 0, fmt.Errorf("%s: keep=%q is unknown", s.Op, k)
	}
}

// A matcher returns the next match in s from i on, or from == to == len(s).
type matcher func(s string, i int) (from, to int)

func matchRunes(is func(rune) bool) matcher {
	return func(s string, i int) (int, int) {
		for k, r := range s[i:] {
			if is(r) {
				return i + k, i + k + utf8.RuneLen(r)
			}
		}
		return len(s), len(s)
	}
}

func matchText(text string) matcher {
	return func(s string, i int) (int, int) {
		if k := strings.Index(s[i:], text); k >= 0 {
			return i + k, i + k + len(text)
		}
		return len(s), len(s)
	}
}

func newPattern(s stageOf) (splitter, error) {
	if name := s.Attrs["name"]; name != "" {
		match, ok := patterns[name]
		if !ok {
			return nil, fmt.Errorf("this version has no pattern %q", name)
		}
		return byMatch(match, keepIsolated, false), s.Only("name")
	}
	keep, err := keepOf(s)
	if err != nil {
		return nil, err
	}
	match := matchText(s.Attrs["text"])
	if text := s.Attrs["regexp"]; text != "" {
		re, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("pattern: %w", err)
		}
		match = func(s string, i int) (int, int) {
			if m := re.FindStringIndex(s[i:]); m != nil {
				return i + m[0], i + m[1]
			}
			return len(s), len(s)
		}
	} else if s.Attrs["text"] == "" {
		return nil, fmt.Errorf("pattern: neither a name nor a text nor a regexp")
	}
	return byMatch(match, keep, s.Bool("invert")), s.Only("regexp", "text", "keep", "invert")
}

// byMatch cuts at matches; inverted, at what lies between them.
func byMatch(next matcher, k keep, invert bool) splitter {
	type span struct {
		text  string
		match bool
	}
	return func(w string, _ bool) []string {
		var spans []span
		for at := 0; at < len(w); {
			from, to := next(w, at)
			if to == from { // an empty match cuts nothing
				from, to = len(w), len(w)
			}
			if from > at {
				spans = append(spans, span{w[at:from], invert})
			}
			if to > from {
				spans = append(spans, span{w[from:to], !invert})
			}
			at = to
		}
		var out []string
		for i, s := range spans {
			before := i > 0 && spans[i-1].match
			switch {
			case k == keepRemoved && s.match:
			case k == keepContiguous && i > 0 && before == s.match,
				k == keepPrevious && s.match && i > 0 && !before,
				// A match is merged with the word behind it, the last of a run of matches only.
				k == keepNext && before && !s.match:
				out[len(out)-1] += s.text
			default:
				out = append(out, s.text)
			}
		}
		return out
	}
}
