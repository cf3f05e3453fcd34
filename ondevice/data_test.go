package ondevice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
)

// TestRNG pins the generator: a change of its draws would change every job.
// The first numbers of xoshiro256** with state 1, 2, 3, 4 are those of the
// authors' C code.
func TestRNG(t *testing.T) {
	r := &rng{[4]uint64{1, 2, 3, 4}}
	want := []uint64{11520, 0, 1509978240, 1215971899390074240}
	for i, w := range want {
		if v := r.uint64(); v != w {
			t.Errorf("draw %d: %d, want %d", i, v, w)
		}
	}
	r = newRNG(1, streamOrder)
	var count [5]int
	var sum, squares float64
	const n = 50000
	for range n {
		count[r.intn(5)]++
		x := float64(r.normal())
		sum += x
		squares += x * x
	}
	for v, c := range count {
		if math.Abs(float64(c)-n/5) > 500 {
			t.Errorf("%d was drawn %d times of %d", v, c, n)
		}
	}
	if math.Abs(sum/n) > 0.02 || math.Abs(squares/n-1) > 0.03 {
		t.Errorf("normal: mean %.3f, variance %.3f", sum/n, squares/n)
	}
}

// TestSplit: every sample is on one side, no source is on both, and every class
// that can be divided has samples on both.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		sources := rapid.SliceOfN(rapid.IntRange(0, 20), n, n).Draw(t, "sources")
		frac := rapid.Float64Range(0, 0.9).Draw(t, "frac")
		class := func(i int) int { return sources[i] % 3 } // a source has one class
		source := func(i int) string { return fmt.Sprint(sources[i]) }
		g := group(n, class, source)
		seed := rapid.Uint64().Draw(t, "seed")
		train, val := g.split(frac, seed)
		all := slices.Concat(train, val)
		slices.Sort(all)
		for i := range n {
			if i >= len(all) || all[i] != int32(i) {
				t.Fatalf("train %v, val %v", train, val)
			}
		}
		side := map[int]bool{}
		perClass := map[int]map[int]bool{}
		for _, i := range train {
			side[sources[i]] = true
		}
		for _, i := range val {
			if side[sources[i]] {
				t.Fatalf("source %d is on both sides", sources[i])
			}
		}
		for i := range n {
			c := class(i)
			if perClass[c] == nil {
				perClass[c] = map[int]bool{}
			}
			perClass[c][sources[i]] = true
		}
		// Folds: every divisible class is dealt out, and no source is in two parts.
		dealt, of := 0, map[int]int{}
		for k, part := range g.folds(3, seed) {
			dealt += len(part)
			for _, i := range part {
				if f, ok := of[sources[i]]; ok && f != k {
					t.Fatalf("source %d is in folds %d and %d", sources[i], f, k)
				}
				of[sources[i]] = k
			}
		}
		for i := range n {
			if len(perClass[class(i)]) > 1 {
				dealt--
			}
		}
		if dealt != 0 {
			t.Fatalf("%d samples too many or too few are in folds", dealt)
		}
		for c, s := range perClass {
			in := func(list []int32) bool {
				return slices.ContainsFunc(list, func(i int32) bool { return class(int(i)) == c })
			}
			if !in(train) || len(s) > 1 && frac > 0 && !in(val) {
				t.Fatalf("class %d with %d sources: in train %v, in val %v", c, len(s), in(train), in(val))
			}
		}
	})
}

func TestSampler(t *testing.T) {
	samples := []int32{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}
	s := newSampler(samples, 3)
	var epochs [2][]int32
	for e := range epochs {
		for s.pos < len(s.order) {
			epochs[e] = append(epochs[e], s.take(3)...)
		}
		sorted := slices.Clone(epochs[e])
		slices.Sort(sorted)
		if !slices.Equal(sorted, samples) {
			t.Errorf("an epoch visits %v", sorted)
		}
		s.begin()
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("two epochs have the same order")
	}

	// 4 old classes of 5 samples and a new one of 20: half of an epoch is new, or as much
	// as is asked for, and no old sample comes again before all of its class have come.
	for share, want := range map[float64]int{0: 20, 0.2: 8, 0.75: 30} {
		s = newBalancedSampler(sequence(40), func(i int32) int { return min(int(i)/5, 4) }, func(c int) bool { return c == 4 }, share, 3)
		count := map[int32]int{}
		for _, i := range s.take(40) {
			count[i]++
		}
		fresh := 0
		for i, n := range count {
			if i >= 20 {
				fresh += n
			} else if n > 2 || n > 1 && share != 0.2 {
				t.Errorf("share %v: sample %d was drawn %d times", share, i, n)
			}
		}
		if fresh != want {
			t.Errorf("share %v: %d of 40 draws are new, not %d", share, fresh, want)
		}
	}
}

func sequence(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}

func testFeatures(t *testing.T, n int) *Features {
	t.Helper()
	f := &Features{Key: Key{1, 2}, Type: format.Int8, Scale: 0.5, Zero: -7, Dim: 3}
	for i := range n {
		if err := f.Append(ID{byte(i)}, []string{"a", "b"}[i%2], []byte{byte(i), 1, 2}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestFeaturesFile(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		f := testFeatures(t, n)
		b := f.Encode()
		g, err := DecodeFeatures(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(g.Encode(), b) || g.Len() != n || !g.sameKind(f) {
			t.Errorf("%d rows came back as %d", n, g.Len())
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x10
			if _, err := DecodeFeatures(bad); !errors.Is(err, ErrFeatures) {
				t.Fatalf("a flipped bit at %d gave %v", i, err)
			}
			if _, err := DecodeFeatures(b[:i]); !errors.Is(err, ErrFeatures) {
				t.Fatalf("a file cut at %d gave %v", i, err)
			}
		}
	}
}

func FuzzDecodeFeatures(f *testing.F) {
	one := &Features{Type: format.Uint8, Scale: 1, Dim: 2, ids: []ID{{}}, labels: []string{"x"}, rows: []byte{1, 2}}
	f.Add(one.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := DecodeFeatures(seal(b))
		if err == nil && g.Len() > 0 && len(g.Row(g.Len()-1)) != g.RowBytes() {
			t.Error("a row is short")
		}
	})
}

func writeFile(fs vfs.FS, name string, b []byte) error {
	return vfs.WriteFile(fs, name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// encoded is a checkpoint as a file, and decoded one with its vectors.
func encoded(c *checkpoint) []byte {
	var b bytes.Buffer
	if err := c.write(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func decoded(b []byte) (*checkpoint, error) {
	var vectors [][]float32
	c, err := readCheckpoint(bytes.NewReader(b), int64(len(b)), func(_, n int) []float32 {
		vectors = append(vectors, make([]float32, n))
		return vectors[len(vectors)-1]
	})
	if err == nil {
		c.vectors = vectors
	}
	return c, err
}

// FuzzDecodeCheckpoint: whatever decodes, encodes to what decodes to the same.
func FuzzDecodeCheckpoint(f *testing.F) {
	c := &checkpoint{vectors: [][]float32{{1, 2}, {3, 4}}, curve: []Epoch{{1, 2, 3}}}
	f.Add(encoded(c))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decoded(seal(b))
		if err != nil {
			return
		}
		want := encoded(c)
		if c, err = decoded(want); err != nil {
			t.Fatal("what it wrote itself:", err)
		}
		if !bytes.Equal(encoded(c), want) {
			t.Error("a second trip changed it")
		}
	})
}

func TestCheckpointFile(t *testing.T) {
	c := &checkpoint{
		generation: 7, plan: [32]byte{1}, rows: [32]byte{2}, phase: phaseTraining, epoch: 3, pos: 4, steps: 5, diverged: 1,
		stage: 9, rng: [4]uint64{1, 2, 3, 4}, lossSum: 1.5, seen: 6, bestEpoch: 2, bestAccuracy: 0.5, bestLoss: 0.25,
		vectors: [][]float32{{1, -2}, {3, 4}, {5, 6}}, curve: []Epoch{{0, 1, 2}, {3, 4, 5}},
	}
	c.judged = newMetrics(2)
	c.judged.add(0, 1)
	c.judged.add(1, 1)
	c.judged.Loss = 2.5
	b := encoded(c)
	got, err := decoded(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, got, cmp.AllowUnexported(checkpoint{})); d != "" {
		t.Error(d)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := decoded(bad); !errors.Is(err, ErrJob) {
			t.Fatalf("a flipped bit at %d gave %v", i, err)
		}
	}
}

// TestCache: a second job computes nothing; a damaged cache or one of another
// model is made anew.
func TestCache(t *testing.T) {
	fs := vfs.NewMem()
	m, d := testModel(t, "a", "b"), testSamples(10, 1, "a", "b")
	o := Options{Epochs: 1, Cache: "cache"}
	computed := func(m *format.Model) int {
		_, rep := tune(t, m, d, o, fs)
		return rep.Computed
	}
	if n := computed(m); n != 20 {
		t.Errorf("first job: %d features computed, want 20", n)
	}
	if n := computed(m); n != 0 {
		t.Errorf("second job: %d features computed", n)
	}
	b, err := vfs.ReadFile(fs, "cache")
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := writeFile(fs, "cache", b); err != nil {
		t.Fatal(err)
	}
	if n := computed(m); n != 20 {
		t.Errorf("damaged cache: %d features computed, want 20", n)
	}
	other := *m.Tensor("w1")
	other.Data = bytes.Clone(other.Data)
	other.Data[0]++
	m2 := *m
	m2.Tensors = slices.Clone(m.Tensors)
	m2.Tensors[slices.Index(m.Tensors, m.Tensor("w1"))] = &other
	if n := computed(&m2); n != 20 {
		t.Errorf("another model: %d features computed, want 20", n)
	}
}

// TestNoLeak: a training sample that is also in the validation data is left out.
func TestNoLeak(t *testing.T) {
	m, d := testModel(t, "a", "b"), testSamples(10, 1, "a", "b")
	_, rep := tune(t, m, d, Options{Epochs: 1, ValData: d[:6]}, vfs.NewMem())
	if rep.Repeats != 6 || rep.Train != 14 || rep.Val != 6 {
		t.Errorf("%d repeats, %d for training, %d for validation; want 6, 14, 6", rep.Repeats, rep.Train, rep.Val)
	}
}

// TestReservoir: every row is kept with the same probability.
// Views follow their samples: never judged by, never on the other side, gone with a
// sample that the validation data has too.
func TestViews(t *testing.T) {
	labels := []string{"a", "b"}
	m := testModel(t, labels...)
	d := testSamples(10, 2, labels...)
	n := len(d)
	for i := range 2 * n {
		v := d[i%n]
		v.Input, v.Source, v.ViewOf = slices.Clone(v.Input), "", i%n+1
		v.Input[i%testIn] ^= 1
		d = append(d, v)
	}
	prepare := func(o Options) *samples {
		o.FS = vfs.NewMem()
		p, err := Plan(m, d, o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := newJob(p, "t.job")
		if err != nil {
			t.Fatal(err)
		}
		s, err := j.prepare(t.Context(), &Report{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := prepare(Options{})
	if len(s.val) != 4 || len(s.train) != 3*(n-4) {
		t.Errorf("%d validation and %d training samples of %d and %d views", len(s.val), len(s.train), n, 2*n)
	}
	for _, i := range s.train {
		if slices.Contains(s.val, i%int32(n)) {
			t.Errorf("row %d, of validation sample %d, is trained on", i, i%int32(n))
		}
	}
	if s := prepare(Options{Folds: 4}); len(s.judged()) != n {
		t.Errorf("%d samples are judged by folds of %d", len(s.judged()), n)
	}
	if s := prepare(Options{ValData: d[:3]}); len(s.train) != 3*(n-3) {
		t.Errorf("%d rows are left of %d when three samples are validation data too", len(s.train), 3*n)
	}
	d[2].ViewOf = 3
	if _, err := Plan(m, d, Options{}); err == nil {
		t.Error("a view of a later sample was taken")
	}
	if _, err := Plan(m, testSamples(10, 3, labels...), Options{ValData: d[1:2:2]}); err != nil {
		t.Error(err)
	}
	d[1].ViewOf = 1
	if _, err := Plan(m, testSamples(10, 3, labels...), Options{ValData: d[:2]}); err == nil {
		t.Error("a view was taken to judge by")
	}
}

func TestReservoir(t *testing.T) {
	const n, keep, rounds = 20, 5, 2000
	count := [n]int{}
	f := testFeatures(t, 0)
	for i := range n {
		if err := f.Append(ID{byte(i)}, "a", []byte{byte(i), 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(rounds) {
		r := NewReservoir(f, keep, seed)
		for i := range n {
			if err := r.Add(f, i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range r.Features().Len() {
			count[r.Features().Row(i)[0]]++
		}
	}
	for i, c := range count {
		if want := rounds * keep / n; c < want*8/10 || c > want*12/10 {
			t.Errorf("row %d was kept %d times, want about %d", i, c, want)
		}
	}
	r := NewReservoir(f, keep, 1)
	for i := range n {
		if err := r.Add(f, i); err != nil {
			t.Fatal(err)
		}
	}
	gone := r.Features().ids[2]
	r.Forget(func(id ID, _ string) bool { return id == gone })
	if slices.Contains(r.Features().ids, gone) || r.Features().Len() != keep-1 || len(r.Features().rows) != (keep-1)*f.RowBytes() {
		t.Errorf("after forgetting %v there are %v", gone, r.Features().ids)
	}
	if err := r.Add(f, int(gone[0])); err != nil || r.Features().Len() != keep {
		t.Errorf("%v, %d rows: the place of a forgotten row is not taken", err, r.Features().Len())
	}
	r.Forget(func(_ ID, label string) bool { return label == "a" })
	if r.Features().Len() != 0 {
		t.Error("a class was not forgotten")
	}
	other := testFeatures(t, 1)
	other.Key[0]++
	if err := NewReservoir(f, keep, 0).Add(other, 0); err == nil {
		t.Error("a row of another model was taken")
	}
}

func TestPlanRefuses(t *testing.T) {
	m, d := testModel(t, "a", "b"), testSamples(5, 1, "a", "b")
	twoInputs := *m
	g := *m.Main()
	g.Inputs = []format.Input{{Tensor: "in"}, {Tensor: "in"}}
	twoInputs.Graphs = []*format.Graph{&g}
	relu := *m
	h := *m.Main()
	h.Outputs = []string{"h2"}
	h.Nodes = h.Nodes[:2]
	relu.Graphs = []*format.Graph{&h}
	frozen := *m
	frozen.Header.Tunable = []string{"dense1"}
	target := Samples{{Input: d[0].Input, Target: []float32{1}}}
	for name, c := range map[string]struct {
		m *format.Model
		d Data
		o Options
	}{
		"two inputs":           {&twoInputs, d, Options{}},
		"relu at the end":      {&relu, d, Options{}},
		"not tunable":          {&frozen, d, Options{}},
		"no samples":           {m, Samples{}, Options{}},
		"one class":            {m, testSamples(5, 1, "z"), Options{}},
		"label not a class":    {m, d, Options{Classes: []string{"a", "c"}}},
		"class twice":          {m, d, Options{Classes: []string{"a", "b", "a"}}},
		"target without mse":   {m, target, Options{}},
		"target too short":     {m, target, Options{Loss: MSE}},
		"replay of another":    {m, d, Options{Replay: testFeatures(t, 3)}},
		"unknown tail":         {m, d, Options{Tail: -3}},
		"more layers than are": {m, d, Options{Tail: Last(3)}},
		"folds of a tail":      {m, d, Options{Tail: Last(2), Folds: 3}},
		"tail not tunable":     {&frozen, d, Options{Tail: Last(2)}},
		"negative rate":        {m, d, Options{LR: -1}},
		"momentum of one":      {m, d, Options{Momentum: 1}},
		"all for validation":   {m, d, Options{Val: 1}},
		"smoothing of one":     {m, d, Options{Smoothing: 1}},
		"rate not a number":    {m, d, Options{LR: float32(math.NaN())}},
		"unknown optimizer":    {m, d, Options{Optimizer: 7}},
		"too many epochs":      {m, d, Options{Epochs: 1 << 30}},
		"budget of one byte":   {m, d, Options{Memory: 1}},
		"negative budget":      {m, d, Options{Memory: -1}},
		"unknown loss":         {m, d, Options{Loss: 7}},
		"unknown schedule":     {m, d, Options{Schedule: 7}},
		"batch of 2^20":        {m, d, Options{Batch: 1 << 20}},
		"negative grad. norm":  {m, d, Options{ClipNorm: -1}},
	} {
		if p, err := Plan(c.m, c.d, c.o); err == nil {
			t.Errorf("%s: planned %+v", name, p.Parts)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	short := Samples{{Input: []byte{1}, Label: "a"}, {Input: []byte{2}, Label: "b"}}
	p, err := Plan(m, short, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.opt.FS = vfs.NewMem()
	j, err := Start(context.Background(), p, "t.job")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Wait(context.Background()); err == nil {
		t.Error("samples of one byte were taken")
	}
}

// TestClasses: which classes follow from the model's and the data's.
func TestClasses(t *testing.T) {
	for _, c := range []struct{ model, data, want []string }{
		{[]string{"a", "b"}, []string{"a"}, []string{"a", "b"}},
		{[]string{"a", "b"}, []string{"b", "d", "c"}, []string{"a", "b", "c", "d"}},
		{[]string{"a", "b"}, []string{"y", "x"}, []string{"x", "y"}},
	} {
		p, err := Plan(testModel(t, c.model...), testSamples(2, 1, c.data...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.Classes, c.want) {
			t.Errorf("model %v, data %v: classes %v, want %v", c.model, c.data, p.Classes, c.want)
		}
	}
	m := testModel(t, "a", "b")
	m.Header.Labels = nil
	p, err := Plan(m, testSamples(2, 1, "1", "0"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"0", "1"}; !slices.Equal(p.Classes, want) || p.labels() != nil {
		t.Errorf("a model without labels: classes %v, labels %v", p.Classes, p.labels())
	}
}
