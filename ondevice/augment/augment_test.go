package augment

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// model is one of a single input.
func model(t format.DType, zero int32, shape ...int) *format.Model {
	in := &format.Tensor{Name: "x", Type: t, Shape: shape}
	if t != format.Float32 {
		in.Quant = format.PerTensor(0.1, zero)
	}
	return &format.Model{
		Tensors: []*format.Tensor{in},
		Graphs:  []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}}},
	}
}

// ramp is n samples of bytes that rise.
func ramp(n, size int) ondevice.Samples {
	var list ondevice.Samples
	for i := range n {
		b := make([]byte, size)
		for k := range b {
			b[k] = byte(k*7 + i*31)
		}
		list = append(list, ondevice.Sample{Input: b, Label: fmt.Sprint(i % 2), Source: fmt.Sprint("s", i)})
	}
	return list
}

func read(t testing.TB, d ondevice.Data, size int) (all [][]byte) {
	t.Helper()
	for i := range d.Len() {
		b := make([]byte, size)
		if err := d.Input(i, b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// Whatever the chain, samples stay as they are, views are the same whenever they are
// read and know whose they are.
func TestViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chain := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 1, 4, func(k kind) string { return k.name }).Draw(t, "kinds")
		var c Chain
		for _, k := range chain {
			a := float32(0)
			if k.most > 0 {
				a = rapid.Float32Range(1e-3, k.most).Draw(t, k.name)
			}
			c = append(c, Change{k.name, a})
		}
		shape := rapid.SampledFrom([][]int{{1, 12, 9, 1}, {1, 6, 6, 3}, {1, 3, 6, 6}, {1, 108}, {108}, {1, 12, 9}}).Draw(t, "shape")
		typ := rapid.SampledFrom([]format.DType{format.Int8, format.Uint8}).Draw(t, "type")
		n, seed := rapid.IntRange(1, 3).Draw(t, "views"), rapid.Uint64().Draw(t, "seed")
		base := ramp(4, 108)
		d, err := Views(base, model(typ, 3, shape...), c, n, seed)
		if err != nil {
			t.Fatal(err)
		}
		all := make([][]byte, d.Len())
		for i := range all {
			all[i] = make([]byte, 108)
			if err := d.Input(i, all[i]); err != nil {
				t.Fatal(err)
			}
			s, of := d.Sample(i), base[i%4]
			want := 0
			if i >= 4 {
				want = i%4 + 1
			} else if !bytes.Equal(all[i], base[i].Input) {
				t.Fatalf("sample %d was changed", i)
			}
			if s.Label != of.Label || s.Source != of.Source || s.ViewOf != want {
				t.Fatalf("view %d is %+v", i, s)
			}
		}
		if len(all) != 4*(n+1) {
			t.Fatalf("%d samples", len(all))
		}
		for _, i := range rapid.Permutation([]int{0, 3, 4, 6, 7}).Draw(t, "again") {
			b := make([]byte, 108)
			if err := d.Input(i, b); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, all[i]) {
				t.Fatalf("view %d is another one the second time", i)
			}
		}
	})
}

// The views of every change have the same bits on every CPU.
func TestBits(t *testing.T) {
	for _, k := range kinds {
		h := sha256.New()
		d, err := Views(ramp(6, 108), model(format.Int8, -5, 1, 6, 6, 3), Chain{{k.name, k.most / 2}}, 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		changed := 0
		all := read(t, d, 108)
		for i, b := range all {
			h.Write(b)
			if i >= 6 && !bytes.Equal(b, all[i%6]) {
				changed++
			}
		}
		if changed < 5 {
			t.Errorf("%s changed %d of 18 views", k.name, changed)
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != digests[k.name] {
			t.Errorf("%q: %q,", k.name, got)
		}
	}
}

var digests = map[string]string{
	"shift":      "5f2eb1438b8c98c9",
	"flip":       "e52bd7e1cf2b53cb",
	"brightness": "a7a1ce33eec7cd39",
	"contrast":   "670816c9118fa258",
	"erase":      "37e24016a8749674",
	"slide":      "2a85d44c69362e7f",
	"scale":      "ed9ba75c3708d815",
	"noise":      "7359980c3485159d",
	"mask":       "f454269975393c21",
}

// recordings are sounds whose front end makes a code of every value.
type recordings struct{ ondevice.Samples }

func (r recordings) InputOf(i int, dst []byte, change func(sound []float32, channels int)) (bool, error) {
	sound := make([]float32, len(dst))
	for k := range sound {
		sound[k] = float32(k) / 128
	}
	change(sound, 1)
	for k, v := range sound {
		dst[k] = byte(int8(v * 64))
	}
	return i != 1, nil
}

// Gain, noise and time belong to the sound where there is one, masks to what the front end
// makes of it.
func TestSounds(t *testing.T) {
	m := model(format.Int8, 0, 1, 8, 8, 1)
	views := func(c string) [][]byte {
		chain, err := Parse(c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Views(recordings{ramp(2, 64)}, m, chain, 1, 5)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, d, 64)
	}
	slid := views("slide=0.5")
	if d := slid[2][63] - slid[2][0]; d > 31 || slid[2][0] != 0 && slid[2][63] != 31 {
		t.Errorf("a sound that was moved in time: %v", slid[2])
	}
	for k, v := range slid[2][1:] { // 64 values of one row: no front end's rows were moved
		if step := v - slid[2][k]; step > 1 {
			t.Errorf("value %d is %d after %d", k+1, v, slid[2][k])
		}
	}
	if masked := views("mask=1"); bytes.Equal(masked[2], slid[2]) || bytes.Equal(masked[3], masked[1]) {
		t.Error("nothing was masked")
	}
	if plain := ramp(2, 64); bytes.Equal(slid[3], plain[1].Input) {
		t.Error("a sample that is no sound was not changed as a tensor")
	}
}

// A change does what its name says.
func TestChanges(t *testing.T) {
	grid3 := func() *grid {
		g := &grid{h: 4, w: 5, c: 2, zero: 1}
		for i := range 40 {
			g.v = append(g.v, float32(i))
		}
		return g
	}
	g := grid3()
	g.move(1, -2)
	if at := func(y, x, c int) float32 { return g.v[(y*5+x)*2+c] }; at(0, 0, 0) != 4 || at(1, 0, 1) != 5 || at(3, 4, 0) != 28 {
		t.Errorf("moved: %v", g.v)
	}
	g.flip()
	g.flip()
	g.move(-1, 2)
	if g.v[2*(5+3)] != 16 { // the middle came back
		t.Errorf("moved back: %v", g.v)
	}
	g = grid3()
	g.stretch(2, g.zero)
	if g.v[0] != -1 || g.v[1] != 1 || g.v[39] != 77 {
		t.Errorf("scaled: %v", g.v)
	}
	g = grid3()
	g.fill(1, 2, 3, 1, -7)
	if n := len(slices.DeleteFunc(slices.Clone(g.v), func(v float32) bool { return v != -7 })); n != 4 || g.v[2*(5+3)] != -7 {
		t.Errorf("filled: %v", g.v)
	}
	if g = grid3(); g.mean() != 19.5 || g.span() != 39 {
		t.Errorf("mean %v, span %v", g.mean(), g.span())
	}
	r, sum, squares := newRandom(1, 2, 3), 0.0, 0.0
	for range 10000 {
		v := float64(r.normal())
		sum += v
		squares += v * v
	}
	if sum/10000 > 0.03 || sum/10000 < -0.03 || squares/10000 < 0.95 || squares/10000 > 1.05 {
		t.Errorf("normal draws of mean %v and variance %v", sum/10000, squares/10000)
	}
}

// What cannot be is refused, by name.
func TestParse(t *testing.T) {
	c, err := Parse("shift=0.1, flip,noise=0.02")
	if err != nil || !slices.Equal(c, Chain{{"shift", 0.1}, {"flip", 0}, {"noise", 0.02}}) {
		t.Errorf("%v, %v", c, err)
	}
	for _, s := range []string{"", "turn=1", "flip=1", "shift", "shift=0.9", "shift=NaN", "shift=x", "scale=-1"} {
		if c, err := Parse(s); err == nil {
			t.Errorf("%q gave %v", s, c)
		}
	}
	if _, err := Views(ramp(1, 4), model(format.Int32, 0, 1, 4), Chain{{"flip", 0}}, 1, 0); err == nil {
		t.Error("an input of int32 was taken")
	}
	if _, err := Views(ramp(1, 4), model(format.Int8, 0, 1, 4), nil, 1, 0); err == nil {
		t.Error("views without changes")
	}
}
