package token

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format"
)

func mustNew(t *testing.T, s *Spec) *Tokenizer {
	t.Helper()
	k, err := FromTransform(s.Transform())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func check(t *testing.T, k *Tokenizer, text string, ids []int32, back string) {
	t.Helper()
	got := k.Encode(text)
	if d := cmp.Diff(ids, got); d != "" {
		t.Errorf("%q: %s", text, d)
	}
	if b := k.Decode(got); b != back {
		t.Errorf("%q decodes to %q, not %q", text, b, back)
	}
}

func TestWordPiece(t *testing.T) {
	s, err := ReadVocab(strings.NewReader("[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\ncafe\n,\n日\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	k := mustNew(t, s)
	check(t, k, "UNaffable, café日 ünx\x00", []int32{2, 4, 5, 6, 8, 7, 9, 1, 3}, "unaffable, cafe 日")
	check(t, k, "[SEP]un", []int32{2, 3, 4, 3}, "un")
	check(t, k, "\xff", []int32{2, 3}, "")
	ids, n := k.EncodeTo("un un un un", 4, 0)
	if d := cmp.Diff([]int32{2, 4, 4, 3}, ids); d != "" || n != 4 {
		t.Errorf("%d ids: %s", n, d)
	}
	ids, n = k.EncodeTo("un", 5, 0)
	if d := cmp.Diff([]int32{2, 4, 3, 0, 0}, ids); d != "" || n != 3 {
		t.Errorf("%d ids: %s", n, d)
	}
}

func TestPair(t *testing.T) {
	s, err := ReadVocab(strings.NewReader("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	bert := mustNew(t, s)
	s.frame(2, 3, true)
	roberta := mustNew(t, s)
	s.Finish, s.Pair = nil, nil
	plain := mustNew(t, s)
	for _, tt := range []struct {
		k          *Tokenizer
		ids, types []int32
	}{
		{bert, []int32{2, 4, 4, 3, 5, 3}, []int32{0, 0, 0, 0, 1, 1}},
		{roberta, []int32{2, 4, 4, 3, 3, 5, 3}, make([]int32, 7)},
		{plain, []int32{4, 4, 5}, []int32{0, 0, 1}},
	} {
		ids, types := tt.k.EncodePair("a a", "b")
		if d := cmp.Diff([][]int32{tt.ids, tt.types}, [][]int32{ids, types}); d != "" {
			t.Error(d)
		}
	}
	for _, tt := range []struct {
		first, second string
		want          []int32
	}{
		{"a a a a a", "b", []int32{2, 4, 4, 4, 3, 5, 3}}, // the longer one is cut
		{"a a a a a", "b b b b", []int32{2, 4, 4, 3, 5, 5, 3}},
		{"a", "b", []int32{2, 4, 3, 5, 3, 0, 0}},
	} {
		ids, types, n := bert.EncodePairTo(tt.first, tt.second, 7, 0)
		if d := cmp.Diff(tt.want, ids); d != "" || len(types) != 7 || n != min(7, 3+len(strings.Fields(tt.first+" "+tt.second))) {
			t.Errorf("%q, %q: %d ids, types %v, %s", tt.first, tt.second, n, types, d)
		}
	}
	for _, lines := range [][]string{{"text"}, {"text", "text"}, {"text second=true", "text", "text"}, {"text type=-1", "text second=true"}} {
		if _, err := New(&Spec{Model: s.Model, Vocab: s.Vocab, Pair: lines}); err == nil {
			t.Errorf("frame %q is accepted", lines)
		}
	}
}

// The merges of "low lower lowest" in the order of Sennrich et al.
func TestBytePairs(t *testing.T) {
	vocab := `{"l":0,"o":1,"w":2,"e":3,"r":4,"Ġ":5,"lo":6,"low":7,"er":8,"Ġlow":9,"<|endoftext|>":10,"Ã":11,"©":12}`
	s, err := ReadGPT2([]byte(vocab), []byte("#version: 0.2\nl o\nlo w\ne r\nĠ low\n"))
	if err != nil {
		t.Fatal(err)
	}
	k := mustNew(t, s)
	check(t, k, "low lower", []int32{7, 9, 8}, "low lower")
	check(t, k, "low<|endoftext|>é", []int32{7, 10, 11, 12}, "lowé")
	check(t, k, "", []int32{}, "")
	if got := k.Decode([]int32{11, 7}); got != "\ufffdlow" {
		t.Errorf("half a character decodes to %q", got)
	}
}

// llama2.c's file: a piece's score is its priority.
func TestLlama2(t *testing.T) {
	b := binary.LittleEndian.AppendUint32(nil, 5)
	add := func(score float32, text string) {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(score))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	for _, name := range []string{"<unk>", "\n<s>\n", "\n</s>\n"} {
		add(0, name)
	}
	for c := range 256 {
		add(0, string(rune(c)))
	}
	for i, p := range []string{" a", "ab", " ", "a", "b"} { // 259 ...
		add(-float32(i), p)
	}
	s, err := ReadLlama2(b)
	if err != nil {
		t.Fatal(err)
	}
	k := mustNew(t, s)
	check(t, k, "abab", []int32{1, 259, 263, 260}, "abab")
	check(t, k, "é", []int32{1, 261, 3 + 0xC3, 3 + 0xA9}, "é")
	check(t, k, "", []int32{1}, "")
	for _, n := range []int{0, 3, 7, 20, len(b) - 1} {
		if _, err := ReadLlama2(b[:n]); err == nil {
			t.Errorf("a file cut to %d bytes is read", n)
		}
	}
}

const unigramJSON = `{"added_tokens":[{"id":0,"content":"<unk>","special":true}],
"normalizer":{"type":"NFKC"},
"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},
"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},
"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-4],["▁a",-2],["a",-3],["ab",-3.5],["b",-3],["▁ab",-6.5]]}}`

// The best sum of scores wins, not the longest piece.
func TestUnigram(t *testing.T) {
	s, err := ReadJSON([]byte(unigramJSON))
	if err != nil {
		t.Fatal(err)
	}
	k := mustNew(t, s)
	check(t, k, "ab ａb", []int32{2, 5, 2, 5}, "ab ab")
	check(t, k, "xya", []int32{1, 0, 3}, "a")
}

func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no vocabulary": `{"model":{"type":"BPE","vocab":{},"merges":[]}}`,
		"merge":         `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`,
		"huge id":       `{"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":99999999999}}}`,
		"unknown step":  `{"normalizer":{"type":"Nope"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0}}}`,
		"look-ahead":    `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a(?!b)"},"behavior":"Isolated"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0}}}`,
		"frame":         `{"post_processor":{"type":"BertProcessing","sep":["x",7],"cls":["y",8]},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0}}}`,
		"no unknown":    `{"model":{"type":"WordPiece","vocab":{"a":0}}}`,
		"text":          `[1]`,
	} {
		s, err := ReadJSON([]byte(text))
		if err == nil {
			_, err = New(s)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := FromTransform(format.Transform{Op: Op, Attrs: format.Attrs{"model": "bpe", "vocab": []int64{1}}}); err == nil {
		t.Error("a vocabulary of numbers is taken")
	}
	if _, err := FromHeader(&format.Header{}); err == nil || !strings.Contains(err.Error(), "--tokenizer") {
		t.Errorf("no tokenizer: %v", err)
	}
	path := filepath.Join(t.TempDir(), "x.model")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an unknown file: %v", err)
	}
}

// A tokenizer survives a model file.
func TestHeader(t *testing.T) {
	s, err := ReadJSON([]byte(unigramJSON))
	if err != nil {
		t.Fatal(err)
	}
	s.Charsmap = []byte(strings.Repeat("x", 3*chunk+1))
	x := &format.Tensor{Name: "x", Type: format.Float32, Shape: format.Shape{1}}
	y := &format.Tensor{Name: "y", Type: format.Float32, Shape: format.Shape{1}}
	m := &format.Model{Tensors: []*format.Tensor{x, y}, Graphs: []*format.Graph{{
		Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
		Nodes: []*format.Node{{Name: "n", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}}}
	m.Header.Opset = format.Opset
	step := s.Transform()
	step.Tensor = "x"
	m.Header.Pre = []format.Transform{step}
	path := filepath.Join(t.TempDir(), "m.whet")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	h, err := format.OpenHeader(path)
	if err != nil {
		t.Fatal(err)
	}
	k, err := FromHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, k.Spec()); d != "" {
		t.Error(d)
	}
}

// Nothing that a file or a text holds may end the program.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(unigramJSON), "ab \u0301x")
	f.Add([]byte(`{"normalizer":{"type":"BertNormalizer","clean_text":true,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0,"##b":1}}}`), "ab İ")
	f.Add([]byte(`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAEAAAAAAA="},"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`), "abab")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		s, err := ReadJSON(file)
		if err != nil {
			return
		}
		k, err := FromTransform(s.Transform())
		if err != nil {
			return
		}
		for _, id := range k.Encode(text) {
			if id < 0 || int(id) >= maxIDs && k.added.text[id] == "" {
				t.Fatalf("id %d", id)
			}
		}
		k.Decode(k.Encode(text))
		if ids, types, _ := k.EncodePairTo(text, text, 5, 0); len(ids) != 5 || len(types) != 5 {
			t.Fatalf("%d ids, %d types", len(ids), len(types))
		}
	})
}
