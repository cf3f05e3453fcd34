package token

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// newModel reads Spec.Model, which is one of:
//
//	wordpiece unk=ID prefix=## longest=100   longest: characters of a word
//	bpe [unk=ID] [bytes=true] [fuse=true] [whole=true] [prefix=..] [suffix=..]
//	unigram [unk=ID] [bytes=true] [fuse=true]
//
// bytes: characters outside the vocabulary become the pieces <0x00> to <0xFF> of
// their bytes. fuse: a run of unknown characters is one unknown. whole: a word
// that is a piece needs no merges.
func (t *Tokenizer) newModel() (model, error) {
	s, err := parse(t.spec.Model)
	if err != nil {
		return nil, err
	}
	unk := int32(-1)
	if _, ok := s.Attrs["unk"]; ok {
		n, err := s.number("unk", 0)
		if err != nil || n >= len(t.spec.Vocab) {
			return nil, errStage(s, "unk is not in the vocabulary")
		}
		unk = int32(n)
	}
	switch s.Op {
	case "wordpiece":
		longest, err := s.number("longest", 100)
		if err != nil || unk < 0 {
			return nil, errStage(s, "unk and longest must be numbers")
		}
		return &wordpiece{t.ids, unk, s.Attrs["prefix"], longest}, s.Only("unk", "prefix", "longest")
	case "bpe":
		b := &bpe{vocab: t.spec.Vocab, ids: t.ids, unk: unk, fuse: s.Bool("fuse"), whole: s.Bool("whole"), prefix: s.Attrs["prefix"], suffix: s.Attrs["suffix"]}
		if s.Bool("bytes") {
			b.bytes = t.byteIDs()
		}
		if err := b.setMerges(t.spec); err != nil {
			return nil, err
		}
		return b, s.Only("unk", "bytes", "fuse", "whole", "prefix", "suffix")
	case "unigram":
		if len(t.spec.Scores) == 0 {
			return nil, errStage(s, "it needs scores")
		}
		u := &unigram{vocab: t.spec.Vocab, scores: t.spec.Scores, unk: unk, fuse: s.Bool("fuse")}
		if s.Bool("bytes") {
			u.bytes = t.byteIDs()
		}
		u.index()
		return u, s.Only("unk", "bytes", "fuse")
	}
	return nil, fmt.Errorf("tokenizer: this version has no model %q", s.Op)
}

// byteIDs returns the ids of the pieces that stand for single bytes, or nil if
// one is missing.
func (t *Tokenizer) byteIDs() *[256]int32 {
	var ids [256]int32
	for b := range ids {
		id, ok := t.ids[fmt.Sprintf("<0x%02X>", b)]
		if !ok {
			return nil
		}
		ids[b] = id
	}
	return &ids
}

// wordpiece takes the longest piece that begins the word, then the longest one
// of what is left, marked as a continuation (Wu et al. 2016; as in BERT).
type wordpiece struct {
	ids     map[string]int32
	unk     int32
	prefix  string
	longest int
}

func (m *wordpiece) encode(ids []int32, word string) []int32 {
	if utf8.RuneCountInString(word) > m.longest {
		return append(ids, m.unk)
	}
	known := len(ids)
	for start := 0; start < len(word); {
		end := len(word)
		for ; end > start; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			piece := word[start:end]
			if start > 0 {
				piece = m.prefix + piece
			}
			if id, ok := m.ids[piece]; ok {
				ids = append(ids, id)
				break
			}
		}
		if end == start {
			return append(ids[:known], m.unk)
		}
		start = end
	}
	return ids
}

// unigram takes the pieces whose log probabilities have the largest sum
// (Kudo 2018), by Viterbi's algorithm over the word's bytes.
type unigram struct {
	vocab  []string
	scores []float64
	sorted []int32 // ids in the order of their pieces
	unk    int32
	worst  float64 // score of an unknown character
	bytes  *[256]int32
	fuse   bool
}

// unkPenalty is SentencePiece's: an unknown character is that much worse than
// the worst piece.
const unkPenalty = 10

func (m *unigram) index() {
	m.worst = math.Inf(1)
	for id, p := range m.vocab {
		m.worst = min(m.worst, m.scores[id])
		if p != "" {
			m.sorted = append(m.sorted, int32(id))
		}
	}
	m.worst -= unkPenalty
	slices.SortStableFunc(m.sorted, func(a, b int32) int { return strings.Compare(m.vocab[a], m.vocab[b]) })
}

// prefixes calls found for each piece that s begins with, shortest first.
func (m *unigram) prefixes(s string, found func(id int32)) {
	lo, hi := 0, len(m.sorted)
	for n := range len(s) {
		// Of the pieces that share n bytes with s, those that share one more.
		at := func(c int) int {
			l, h := lo, hi
			for l < h {
				mid := (l + h) / 2
				p := m.vocab[m.sorted[mid]]
				if len(p) <= n || int(p[n]) < c {
					l = mid + 1
				} else {
					h = mid
				}
			}
			return l
		}
		c := int(s[n])
		lo, hi = at(c), at(c+1)
		if lo == hi {
			return
		}
		if p := m.vocab[m.sorted[lo]]; len(p) == n+1 {
			found(m.sorted[lo])
		}
	}
}

func (m *unigram) encode(ids []int32, word string) []int32 {
	type best struct {
		score float64
		from  int32 // where the last piece begins, or -1
		id    int32
	}
	ends := make([]best, len(word)+1)
	for i := range ends {
		ends[i].from = -1
	}
	reach := func(from, to int, id int32, score float64) {
		score += ends[from].score
		if e := &ends[to]; e.from < 0 || score > e.score {
			*e = best{score, int32(from), id}
		}
	}
	for i, r := range word {
		n, single := utf8.RuneLen(r), false
		m.prefixes(word[i:], func(id int32) {
			length := len(m.vocab[id])
			reach(i, i+length, id, m.scores[id])
			single = single || length == n
		})
		if !single {
			reach(i, i+n, -1, m.worst)
		}
	}
	var path [][2]int // from, to, last first
	for to := len(word); to > 0; {
		from := int(ends[to].from)
		if n := len(path); m.fuse && m.unknown(ends[to].id) && n > 0 && m.unknown(ends[path[n-1][1]].id) {
			path[n-1][0] = from
		} else {
			path = append(path, [2]int{from, to})
		}
		to = from
	}
	for _, p := range slices.Backward(path) {
		switch id := ends[p[1]].id; {
		case !m.unknown(id):
			ids = append(ids, id)
		case m.bytes != nil:
			for _, c := range []byte(word[p[0]:p[1]]) {
				ids = append(ids, m.bytes[c])
			}
		case m.unk >= 0:
			ids = append(ids, m.unk)
		}
	}
	return ids
}

func (m *unigram) unknown(id int32) bool { return id < 0 || id == m.unk }
