package format

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func writeDelta(t testing.TB, d *Delta) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteDelta(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tune changes a model as fine-tuning may, and in ways that it does not.
func tune(t *rapid.T, m *Model) *Model {
	c := *m
	c.Tensors = slices.Clone(m.Tensors)
	g := *m.Graphs[0]
	g.Nodes = slices.Clone(g.Nodes)
	c.Graphs = []*Graph{&g}
	for i, x := range c.Tensors {
		if y := *x; x.Const() && x.Type != Int32 && rapid.Bool().Draw(t, "change") {
			y.Data = slices.Clone(x.Data)
			y.Data[0] ^= 1
			c.Tensors[i] = &y
		}
	}
	if rapid.Bool().Draw(t, "grow") { // a node after the last, with a new output
		last := c.Tensor(g.Outputs[0])
		c.Tensors = append(c.Tensors, &Tensor{Name: "new", Type: last.Type, Shape: last.Shape, Quant: last.Quant})
		g.Nodes = append(g.Nodes, &Node{Name: "new", Op: "Relu", Inputs: []string{last.Name}, Outputs: []string{"new"}})
		g.Outputs = append(slices.Clone(g.Outputs), "new")
	}
	if rapid.Bool().Draw(t, "front") {
		c.Tensors = slices.Insert(c.Tensors, 0, &Tensor{Name: "front", Type: Bool, Shape: Shape{1}, Data: []byte{1}})
	}
	if n := len(c.Tensors); rapid.Bool().Draw(t, "shuffle") {
		i, j := rapid.IntRange(0, n-1).Draw(t, "i"), rapid.IntRange(0, n-1).Draw(t, "j")
		c.Tensors[i], c.Tensors[j] = c.Tensors[j], c.Tensors[i]
	}
	if rapid.Bool().Draw(t, "add graph") {
		c.Tensors = append(c.Tensors, &Tensor{Name: "gx", Type: Bool, Shape: Shape{1}})
		c.Graphs = append(c.Graphs, &Graph{Name: "body", Inputs: []Input{{Tensor: "gx"}}, Outputs: []string{"gx"}})
	}
	c.States = slices.Clone(m.States)
	slices.Reverse(c.States)
	h := &c.Header
	h.Labels = rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "labels")
	h.Metrics = map[string]float64{"accuracy": rapid.Float64Range(0, 1).Draw(t, "accuracy")}
	h.Tunable = nil
	return &c
}

func TestDeltaRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := anyModel.Draw(rt, "base")
		tuned := tune(rt, base)
		d, err := Diff(base, tuned)
		if err != nil {
			rt.Fatal(err)
		}
		d.Card = map[string]string{"made by": "test"}
		before := write(t, base)
		read, err := DeltaFromBytes(writeDelta(t, d))
		if err != nil {
			rt.Fatal(err)
		}
		if read.Card["made by"] != "test" {
			rt.Fatal("the card is lost")
		}
		got, err := Apply(base, read)
		if err != nil {
			rt.Fatal(err)
		}
		sameModel(t, tuned, got)
		if !bytes.Equal(write(t, got), write(t, tuned)) {
			rt.Fatal("base and delta give another file than the tuned model")
		}
		if !bytes.Equal(write(t, base), before) {
			rt.Fatal("applying a delta changed its base")
		}
		a, err := d.Digest()
		if err != nil {
			rt.Fatal(err)
		}
		b, err := read.Digest()
		if err != nil || a != b {
			rt.Fatalf("digest %x became %x (%v)", a, b, err)
		}
	})
}

// A delta holds what changed and no more.
func TestDeltaIsSmall(t *testing.T) {
	base := smallModel()
	base.Tensor("w").Shape[1] = 1 << 16
	base.Tensor("x").Shape[1] = 1 << 16
	base.Tensor("w").Data = make([]byte, 2<<16)
	tuned := *base
	tuned.Tensors = slices.Clone(base.Tensors)
	b := *base.Tensor("b")
	b.Data = make([]byte, 8)
	tuned.Tensors[2] = &b
	d, err := Diff(base, &tuned)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Tensors()) != 1 || d.Tensors()[0].Name != "b" || len(d.Nodes()) != 0 {
		t.Errorf("the delta holds tensors %v and nodes %v", d.Tensors(), d.Nodes())
	}
	if n := len(writeDelta(t, d)); n > 1024 {
		t.Errorf("a delta of 8 bytes takes %d", n)
	}
	same, err := Diff(base, base)
	if err != nil {
		t.Fatal(err)
	}
	if len(same.Tensors()) != 0 || same.Labels != nil || same.Metrics != nil || same.Tunable != nil {
		t.Errorf("the delta of a model and itself is not empty: %+v", same)
	}
}

func TestDeltaChain(t *testing.T) {
	models := []*Model{smallModel(), smallModel(), smallModel()}
	models[1].Tensor("w").Data[0] = 50
	models[2].Tensor("w").Data[0] = 60
	models[2].Tensor("b").Data[0] = 7
	first, err := Diff(models[0], models[1])
	if err != nil {
		t.Fatal(err)
	}
	second, err := Diff(models[1], models[2])
	if err != nil {
		t.Fatal(err)
	}
	if second.Parent, err = first.Digest(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "d.whetd")
	if err := WriteDeltaFile(path, second); err != nil {
		t.Fatal(err)
	}
	if second, err = OpenDelta(path); err != nil {
		t.Fatal(err)
	}
	m, err := Apply(models[0], first)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Apply(m, second); err != nil {
		t.Fatal(err)
	}
	sameModel(t, models[2], m)

	_, err = Apply(models[0], second)
	if parent := fmt.Sprintf("%x", second.Parent[:6]); err == nil || !strings.Contains(err.Error(), parent) {
		t.Errorf("the second delta without the first: %v, want the first's digest %s", err, parent)
	}
	if _, err := Apply(models[2], first); err == nil || !strings.Contains(err.Error(), "the delta is for the model with digest") {
		t.Errorf("a wrong base: %v", err)
	}
}

func TestDiffRefuses(t *testing.T) {
	base, tuned := smallModel(), smallModel()
	tuned.Header.Card = map[string]string{"title": "other"}
	if _, err := Diff(base, tuned); err == nil || !strings.Contains(err.Error(), "write a whole model") {
		t.Errorf("another card: %v", err)
	}
	tuned = smallModel()
	tuned.Graphs[0].Nodes[0].Op = "Gem"
	if _, err := Diff(base, tuned); err == nil || !strings.Contains(err.Error(), "tuned model: ") {
		t.Errorf("an invalid model: %v", err)
	}
	if _, err := Diff(tuned, base); err == nil || !strings.Contains(err.Error(), "base: ") {
		t.Errorf("an invalid base: %v", err)
	}
	d, err := Diff(base, base)
	if err != nil {
		t.Fatal(err)
	}
	d.Card = map[string]string{"x": "\xff"}
	if err := WriteDelta(new(bytes.Buffer), d); err == nil {
		t.Error("a card that is not UTF-8 was written")
	}
	path := filepath.Join(t.TempDir(), "d.whetd")
	if err := WriteDeltaFile(path, d); err == nil {
		t.Error("a card that is not UTF-8 was written to a file")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed write left a file: %v", err)
	}
}

// A delta whose patch does not fit its base, or lies about the result.
func TestApplyHostile(t *testing.T) {
	base, tuned := smallModel(), smallModel()
	tuned.Tensor("w").Data[0]++
	for name, tt := range map[string]struct {
		edit func(d *Delta)
		want string
	}{
		"wrong result":  {func(d *Delta) { d.Result[0]++ }, "promises"},
		"remove absent": {func(d *Delta) { d.tensors.remove = []int{99} }, "is not there"},
		"put beyond the end": {func(d *Delta) {
			d.graphs[0].nodes.put = []put[*Node]{{99, &Node{Name: "n"}}}
		}, "at place 99"},
		"remove what is used":   {func(d *Delta) { d.states.remove = []int{0} }, `"state"`},
		"remove the graph":      {func(d *Delta) { d.graphs = nil }, "no graph"},
		"node of an unknown op": {func(d *Delta) { d.graphs[0].nodes.put = []put[*Node]{{0, &Node{Name: "n", Op: "Nop"}}} }, "unknown op"},
		"two graphs of a name":  {func(d *Delta) { d.graphs = append(d.graphs, d.graphs[0]) }, "two graphs"},
		"labels not UTF-8":      {func(d *Delta) { d.Labels = []string{"\xff"} }, "UTF-8"},
	} {
		d, err := Diff(base, tuned)
		if err != nil {
			t.Fatal(err)
		}
		tt.edit(d)
		if _, err := Apply(base, d); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestDeltaDamage(t *testing.T) {
	base, tuned := smallModel(), smallModel()
	tuned.Tensor("w").Data[0]++
	tuned.Header.Labels = []string{"one", "two"}
	d, err := Diff(base, tuned)
	if err != nil {
		t.Fatal(err)
	}
	b := writeDelta(t, d)
	for n := range b {
		if _, err := DeltaFromBytes(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	for i := range len(b) * 8 {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		if _, err := DeltaFromBytes(c); err == nil {
			t.Fatalf("bit %d of byte %d flipped, and nobody noticed", i%8, i/8)
		}
		if d, err := DeltaFromBytes(reseal(c)); err == nil {
			if m, err := Apply(base, d); err == nil {
				write(t, m)
			}
		}
	}
}

func TestAscending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "list")
		got := ascending(list)
		if !slices.IsSorted(got) {
			t.Fatalf("%v of %v is not ascending", got, list)
		}
		i := 0
		for _, v := range list {
			if i < len(got) && got[i] == v {
				i++
			}
		}
		if i != len(got) {
			t.Fatalf("%v is not a subsequence of %v", got, list)
		}
		best := 0
		for set := range 1 << len(list) {
			last, n := -1, 0
			for i, v := range list {
				if set>>i&1 == 1 {
					if v <= last {
						n = -1
						break
					}
					last, n = v, n+1
				}
			}
			best = max(best, n)
		}
		if len(got) != best {
			t.Fatalf("%v has length %d, and %v has an ascending subsequence of %d", got, len(got), list, best)
		}
	})
}

func FuzzDelta(f *testing.F) {
	base, tuned := smallModel(), smallModel()
	tuned.Tensor("w").Data[0]++
	d, err := Diff(base, tuned)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(writeDelta(f, d))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, reseal(b)} {
			d, err := DeltaFromBytes(b)
			if err != nil {
				continue
			}
			if again := writeDelta(t, d); len(again) == 0 {
				t.Fatal("nothing written")
			}
			if m, err := Apply(base, d); err == nil {
				write(t, m)
			}
		}
	})
}
