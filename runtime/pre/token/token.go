// Package token turns text into the numbers that a language model takes, and
// back: WordPiece (BERT), byte-pair encoding (GPT-2, Llama) and unigram
// (SentencePiece), with the normalization, splitting and special tokens that go
// with them.
//
// A tokenizer is data ([Spec]). It is read from the files that models are
// published with ([Load]) and travels in a .whet file's header ([FromHeader]).
// The ids equal those of the reference implementation, Hugging Face's
// tokenizers, whose steps and order of steps this package follows.
//
// The Unicode normal forms come from golang.org/x/text, which only programs
// that import this package link.
package token

import (
	"fmt"
	"strings"
)

// Spec describes a tokenizer. The stages are lines in the syntax of package
// stage; the ones there are stand in the tables normalizers, splitters and
// decoders of this package.
type Spec struct {
	Model  string    // "wordpiece", "bpe" or "unigram", with attributes: the stage of the model
	Vocab  []string  // the piece of each id; "" where an id has none
	Scores []float64 // of pieces: unigram's log probabilities, or priorities of byte-pair merges
	Merges []int64   // pairs of ids that bpe merges, best first, flat

	Normalize []string // the text as a whole
	Charsmap  []byte   // SentencePiece's precompiled table, for the normalizer "precompiled"
	Split     []string // the text into words
	Added     []string // tokens found in the text before all else: "token id=.. text=.. special=true lstrip=.. rstrip=.. word=.. normalized=.."
	Finish    []string // what comes around the ids: "token id=101", "text", "token id=102"
	Pair      []string // what comes around two texts, each with its type: "text", "text second=true type=1"; this if empty
	Decode    []string // pieces into text
}

// A Tokenizer encodes and decodes. It is immutable and safe for concurrent use.
type Tokenizer struct {
	spec   *Spec
	ids    map[string]int32
	norm   []normalizer
	split  []splitter
	model  model
	added  added
	single []piece // what a text stands in
	pair   []piece // what two texts stand in
	decode []decoder
}

// A model turns one word into ids, which it appends.
type model interface {
	encode(ids []int32, word string) []int32
}

// New checks a description and prepares the tokenizer.
func New(s *Spec) (*Tokenizer, error) {
	t := &Tokenizer{spec: s, ids: make(map[string]int32, len(s.Vocab))}
	for id, p := range s.Vocab {
		if p == "" {
			continue
		}
		if _, twice := t.ids[p]; !twice {
			t.ids[p] = int32(id)
		}
	}
	if len(t.ids) == 0 {
		return nil, fmt.Errorf("tokenizer: the vocabulary is empty")
	}
	if len(s.Scores) != 0 && len(s.Scores) != len(s.Vocab) {
		return nil, fmt.Errorf("tokenizer: %d scores for %d pieces", len(s.Scores), len(s.Vocab))
	}
	var err error
	if t.norm, err = prepare(s.Normalize, func(st stageOf) (normalizer, error) { return newNormalizer(st, s.Charsmap) }); err != nil {
		return nil, err
	}
	if t.split, err = prepare(s.Split, newSplitter); err != nil {
		return nil, err
	}
	if t.decode, err = prepare(s.Decode, newDecoder); err != nil {
		return nil, err
	}
	if t.model, err = t.newModel(); err != nil {
		return nil, err
	}
	if t.added, err = t.newAdded(); err != nil {
		return nil, err
	}
	if t.single, err = t.frame(s.Finish, 1); err != nil {
		return nil, err
	}
	t.pair, err = t.frame(s.Pair, 2)
	return t, err
}

// Spec returns the description. It must not be changed.
func (t *Tokenizer) Spec() *Spec { return t.spec }

// ID returns the id of a piece.
func (t *Tokenizer) ID(piece string) (id int32, ok bool) {
	if id, ok = t.added.ids[piece]; ok {
		return id, true
	}
	id, ok = t.ids[piece]
	return id, ok
}

// Encode returns the ids of a text between the special tokens that the model
// expects around it. Bytes that are not UTF-8 are taken for U+FFFD.
func (t *Tokenizer) Encode(text string) []int32 {
	ids, _ := t.compose(t.single, -1, text)
	return ids
}

// EncodePlain returns the ids of a text alone.
func (t *Tokenizer) EncodePlain(text string) []int32 { return t.encode([]int32{}, text) }

// EncodeTo returns exactly length ids: those of Encode, of which the text's own
// are cut where they do not fit, then pad. n is the number before the padding.
func (t *Tokenizer) EncodeTo(text string, length int, pad int32) (ids []int32, n int) {
	ids, _ = t.compose(t.single, length, text)
	return padded(ids, length, pad), len(ids)
}

func (t *Tokenizer) encode(ids []int32, text string) []int32 {
	text = strings.ToValidUTF8(text, "�")
	for _, p := range t.added.cut([]part{{text: text, first: true}}, &t.added.raw) {
		if p.token {
			ids = append(ids, p.id)
			continue
		}
		for _, n := range t.norm {
			p.text = n(p.text)
		}
		for _, p := range t.added.cut([]part{p}, &t.added.normalized) {
			if p.token {
				ids = append(ids, p.id)
				continue
			}
			for _, word := range t.words(p) {
				ids = t.model.encode(ids, word)
			}
		}
	}
	return ids
}

// words cuts a normalized part into the words that the model sees. A splitter
// sees the words of the one before.
func (t *Tokenizer) words(p part) []string {
	if p.text == "" {
		return nil
	}
	words := []string{p.text}
	for _, split := range t.split {
		var next []string
		for i, w := range words {
			for _, piece := range split(w, p.first && i == 0) {
				if piece != "" {
					next = append(next, piece)
				}
			}
		}
		words = next
	}
	return words
}

// Decode returns the text of ids without the special tokens. Ids outside the
// vocabulary are passed over.
func (t *Tokenizer) Decode(ids []int32) string {
	var pieces []string
	for _, id := range ids {
		if t.added.special[id] {
			continue
		}
		if text, ok := t.added.text[id]; ok {
			pieces = append(pieces, text)
		} else if id >= 0 && int(id) < len(t.spec.Vocab) && t.spec.Vocab[id] != "" {
			pieces = append(pieces, t.spec.Vocab[id])
		}
	}
	for _, d := range t.decode {
		pieces = d(pieces)
	}
	if len(t.decode) == 0 {
		return strings.Join(pieces, " ")
	}
	return strings.Join(pieces, "")
}
