package token

import (
	"container/heap"
	"fmt"
	"unicode/utf8"
)

// bpe merges neighbours, the best pair first and the leftmost of equal ones,
// until none is left to merge (Sennrich et al. 2016).
type bpe struct {
	vocab []string
	ids   map[string]int32
	unk   int32 // or -1: unknown characters are dropped
	bytes *[256]int32
	fuse  bool
	whole bool

	prefix, suffix string // of pieces inside a word; at its end

	merges map[[2]int32]merge // by a list of merges, or
	scores []float64          // by the score of the piece that the two make
}

type merge struct {
	rank float64 // lower is sooner
	id   int32
}

func (m *bpe) setMerges(s *Spec) error {
	if len(s.Scores) > 0 {
		m.scores = s.Scores
		return nil
	}
	if len(s.Merges)%2 != 0 {
		return fmt.Errorf("tokenizer: a merge has one id only")
	}
	m.merges = make(map[[2]int32]merge, len(s.Merges)/2)
	for i := 0; i < len(s.Merges); i += 2 {
		a, b := s.Merges[i], s.Merges[i+1]
		if a < 0 || b < 0 || a >= int64(len(s.Vocab)) || b >= int64(len(s.Vocab)) {
			return fmt.Errorf("tokenizer: merge %d is of ids %d and %d, which the vocabulary lacks", i/2, a, b)
		}
		right := s.Vocab[b]
		if n := len(m.prefix); n > 0 && len(right) >= n {
			right = right[n:]
		}
		id, ok := m.ids[s.Vocab[a]+right]
		if !ok {
			return fmt.Errorf("tokenizer: merge %d makes %.40q, which the vocabulary lacks", i/2, s.Vocab[a]+right)
		}
		m.merges[[2]int32{int32(a), int32(b)}] = merge{float64(i), id}
	}
	return nil
}

func (m *bpe) pair(a, b int32) (merge, bool) {
	if m.merges != nil {
		k, ok := m.merges[[2]int32{a, b}]
		return k, ok
	}
	id, ok := m.ids[m.vocab[a]+m.vocab[b]]
	if !ok {
		return merge{}, false
	}
	return merge{-m.scores[id], id}, true
}

func (m *bpe) encode(ids []int32, word string) []int32 {
	if m.whole {
		if id, ok := m.ids[word]; ok {
			return append(ids, id)
		}
	}
	return m.merge(ids, m.characters(word))
}

// characters returns the ids of single characters.
func (m *bpe) characters(word string) []int32 {
	var out []int32
	unknown := false
	for i, r := range word {
		n := utf8.RuneLen(r)
		char := word[i : i+n]
		piece := char
		if i > 0 && m.prefix != "" {
			piece = m.prefix + piece
		}
		if i+n == len(word) && m.suffix != "" {
			piece += m.suffix
		}
		id, ok := m.ids[piece]
		switch {
		case ok:
			out = append(out, id)
		case m.bytes != nil:
			for _, c := range []byte(char) {
				out = append(out, m.bytes[c])
			}
			ok = true
		case m.unk >= 0 && !(m.fuse && unknown):
			out = append(out, m.unk)
		}
		unknown = !ok
	}
	return out
}

// A symbol is a piece of the word, linked to its neighbours.
type symbol struct {
	id         int32
	prev, next int32 // -1 at the ends
	gone       bool
}

// A candidate is a pair that may be merged.
type candidate struct {
	merge
	left          int32 // the index of its first symbol
	first, second int32
}

type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].left < q[j].left
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// merge appends the ids that the characters' ids are merged to.
func (m *bpe) merge(ids, chars []int32) []int32 {
	word := make([]symbol, len(chars))
	for i, id := range chars {
		word[i] = symbol{id: id, prev: int32(i) - 1, next: int32(i) + 1}
	}
	if len(word) == 0 {
		return ids
	}
	word[len(word)-1].next = -1
	var q queue
	offer := func(left int32) {
		if left < 0 || word[left].next < 0 {
			return
		}
		a, b := word[left].id, word[word[left].next].id
		if k, ok := m.pair(a, b); ok {
			heap.Push(&q, candidate{k, left, a, b})
		}
	}
	for i := range word {
		offer(int32(i))
	}
	for len(q) > 0 {
		c := heap.Pop(&q).(candidate)
		l := &word[c.left]
		if l.gone || l.id != c.first || l.next < 0 || word[l.next].id != c.second {
			continue // a merge since took one of the two
		}
		r := &word[l.next]
		r.gone = true
		l.id, l.next = c.id, r.next
		if r.next >= 0 {
			word[r.next].prev = c.left
		}
		offer(l.prev)
		offer(c.left)
	}
	for i := int32(0); i >= 0; i = word[i].next {
		ids = append(ids, word[i].id)
	}
	return ids
}
