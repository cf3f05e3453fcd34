package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// follower writes a language model that says of each word which one follows.
func follower(t *testing.T, vocab []string, follows []int) {
	t.Helper()
	n := len(vocab)
	scores := make([]byte, 4*n*n)
	for i, next := range follows {
		binary.LittleEndian.PutUint32(scores[4*(i*n+next):], math.Float32bits(1))
	}
	s := &token.Spec{
		Model: "wordpiece unk=0", Vocab: vocab, Split: []string{"bert"}, Finish: []string{"token id=1", "text"},
		Decode: []string{`wordpiece prefix="##" clean=true`},
	}
	m := &format.Model{
		Header: format.Header{Pre: []format.Transform{s.Transform()}},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "token"}}, Outputs: []string{"scores"},
			Nodes: []*format.Node{{Name: "n", Op: "Gather", Inputs: []string{"table", "token"}, Outputs: []string{"scores"}, Attrs: format.Attrs{"axis": int64(0)}}},
		}},
		Tensors: []*format.Tensor{
			{Name: "token", Type: format.Int32, Shape: format.Shape{1}},
			{Name: "table", Type: format.Float32, Shape: format.Shape{n, n}, Data: scores},
			{Name: "scores", Type: format.Float32, Shape: format.Shape{1, n}},
		},
	}
	m.Header.Pre[0].Tensor = "token"
	if err := format.WriteFile("chain.whet", m); err != nil {
		t.Fatal(err)
	}
}

func TestGenerate(t *testing.T) {
	t.Chdir(t.TempDir())
	follower(t, []string{"[UNK]", "<s>", "one", "two", "three", "</s>"}, []int{0, 2, 3, 4, 5, 2})
	for _, tt := range []struct {
		args []string
		ids  []int32
		text string
	}{
		{[]string{"--prompt", "one"}, []int32{1, 2, 3, 4}, "one two three"}, // up to the end
		{nil, []int32{1, 2, 3, 4}, "one two three"},
		{[]string{"--prompt", "three one", "--tokens", "1"}, []int32{1, 4, 2, 3}, "three one two"},
	} {
		var r generated
		if err := json.Unmarshal([]byte(must(t, append([]string{"generate", "chain.whet", "--json"}, tt.args...)...)), &r); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.IDs, tt.ids) || !strings.HasSuffix(r.Text, tt.text) || r.Model != "chain.whet" {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
	if text := must(t, "generate", "chain.whet", "--prompt", "two"); !strings.HasSuffix(text, "two three\n") {
		t.Errorf("text %q", text)
	}
}

func TestGenerateRefuses(t *testing.T) {
	files(t)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"m.whet", "--tokens", "0"}, exitUsage, "--tokens"},
		{[]string{"m.whet"}, exitFailed, "--tokenizer"},
		{[]string{"m.whet", "--tokenizer", "none.json"}, exitFailed, "none.json"},
	} {
		if code, _, stderr := whet(t, append([]string{"generate"}, tt.args...)...); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit %d: %s", tt.args, code, stderr)
		}
	}
}
