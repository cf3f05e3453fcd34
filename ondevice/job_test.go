package ondevice

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

func tune(t *testing.T, m *format.Model, d Data, o Options, fs vfs.FS) (*format.Delta, *Report) {
	t.Helper()
	o.FS = fs
	p, err := Plan(m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Start(context.Background(), p, "t.job")
	if err != nil {
		t.Fatal(err)
	}
	delta, rep, err := j.Wait(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return delta, rep
}

func deltaBytes(t *testing.T, d *format.Delta) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := format.WriteDelta(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// accuracy runs the whole model on samples.
func accuracy(t *testing.T, m *format.Model, d Samples, o ...runtime.Option) float64 {
	t.Helper()
	prog, err := runtime.Compile(m, o...)
	if err != nil {
		t.Fatal(err)
	}
	s := prog.NewSession()
	right := 0
	for i := range d {
		copy(s.Input(0).Bytes(), d[i].Input)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if m.Header.Labels[argmax(s.Output(0).Float32())] == d[i].Label {
			right++
		}
	}
	return float64(right) / float64(len(d))
}

func TestTune(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	before := accuracy(t, m, testSamples(100, 3, labels...))
	for name, o := range map[string]Options{
		"sgd":   {},
		"adamw": {Optimizer: AdamW, WeightDecay: 0.01, Smoothing: 0.1, ClipNorm: 5, Schedule: Constant},
		"mse":   {Loss: MSE},
		"folds": {Folds: 4},
	} {
		t.Run(name, func(t *testing.T) {
			delta, rep := tune(t, m, testSamples(40, 2, labels...), o, vfs.NewMem())
			if !rep.Passed {
				t.Fatalf("refused: %s", rep.Verdict)
			}
			tuned, err := format.Apply(m, delta)
			if err != nil {
				t.Fatal(err)
			}
			after := accuracy(t, tuned, testSamples(100, 3, labels...))
			t.Logf("accuracy %.3f, tuned %.3f, rate %g, best epoch %d", before, after, rep.LR, rep.BestEpoch)
			if after < before || after < 0.9 {
				t.Errorf("accuracy went from %.3f to %.3f", before, after)
			}
			if want := 24; o.Folds == 0 && rep.Val != want || o.Folds > 0 && rep.Val != 120 {
				t.Errorf("judged on %d samples", rep.Val)
			}
			if name != "mse" && !(rep.Tuned.Loss < rep.Base.Loss) {
				t.Errorf("validation loss went from %g to %g", rep.Base.Loss, rep.Tuned.Loss)
			}
			if rep.Tuned.Samples != rep.Val || rep.Base.Samples != rep.Val {
				t.Errorf("%d and %d samples counted", rep.Base.Samples, rep.Tuned.Samples)
			}
			first, last := rep.Curve[1].Loss, rep.Curve[len(rep.Curve)-1].Loss
			if !(last < first) {
				t.Errorf("training loss went from %g to %g", first, last)
			}
		})
	}
}

// TestBits: neither the CPU nor the level nor the number of threads nor the
// memory budget shows in the result. The digests are of the trained weights.
func TestBits(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	d := testSamples(30, 2, labels...)
	for name, c := range map[string]struct {
		o      Options
		digest string
	}{
		"sgd":          {Options{Epochs: 3, Batch: 20}, "c53e533c0555787d3e7d256a43328e56262b6bb7696613c7782a275ba0b8a9fc"},
		"adamw":        {Options{Epochs: 3, Batch: 20, Optimizer: AdamW, WeightDecay: 0.1, Smoothing: 0.1, ClipNorm: 0.5}, "313726e531026f90c57c2c22c28e8fe8a160d981e8c5a6be676a8f2cc06b9866"},
		"mixed":        {Options{Epochs: 3, Batch: 20, Mixup: 0.3, Dropout: 0.2}, "436ede10814c83e6b5d653f7b25855c140db3e4c0da3f9cdd1c46c823a03f222"},
		"mixed last 2": {Options{Epochs: 3, Batch: 20, Tail: Last(2), Mixup: 0.3, Dropout: 0.2, Gate: Gate{MinGain: -1, MaxClassDrop: 1}}, "d5be20b0b85cdd218cac0cde61068ca39d21f83f815a4b64a57f0b4f15461032"},
		"last 2":       {Options{Epochs: 3, Batch: 20, Tail: Last(2)}, "1a10e01fb5d52de20f18188dece31d719cc1b74b2fa8a4dba02a53639d04c0fa"},
		"bias":         {Options{Epochs: 3, Batch: 20, Tail: Bias, Optimizer: AdamW, ClipNorm: 0.5}, "ff7c8191b430923433e282b9466287ac1b396364407309b17a20592c528d41d7"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []byte
			check := func(name string, more func(*Options)) {
				o := c.o
				more(&o)
				delta, rep := tune(t, m, d, o, vfs.NewMem())
				if !rep.Passed {
					t.Fatalf("%s: refused: %s", name, rep.Verdict)
				}
				got := deltaBytes(t, delta)
				if want == nil {
					want = got
					for _, w := range delta.Tensors() {
						if w.Name != tensorW {
							continue
						}
						if s := fmt.Sprintf("%x", sha256.Sum256(w.Data)); s != c.digest {
							t.Errorf("trained weights have the digest %s, want %s", s, c.digest)
						}
					}
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: the delta differs", name)
				}
			}
			check("plain", func(*Options) {})
			for _, l := range kernels.Levels() {
				for _, n := range []int{1, 2} {
					check(l.String(), func(o *Options) { o.Runtime = []runtime.Option{runtime.WithLevel(l), runtime.WithThreads(n)} })
				}
			}
			tight := c.o
			tight.Memory = 1
			var need *BudgetError
			if _, err := Plan(m, d, tight); !errors.As(err, &need) {
				t.Fatalf("a budget of one byte gave %v", err)
			}
			tight.Memory = need.Need
			p, err := Plan(m, d, tight)
			if err != nil {
				t.Fatalf("the budget that the refusal names is refused: %v", err)
			}
			if p.PeakBytes > need.Need || c.o.Tail == Head && p.Block == 32 {
				t.Errorf("a budget of %d bytes is planned to take %d, with blocks of %d", need.Need, p.PeakBytes, p.Block)
			}
			check("smallest budget", func(o *Options) { o.Memory = need.Need })
		})
	}
}

// TestPatience: a job stops when validation has not become better for so long,
// and the best epoch's weights are the result.
func TestPatience(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	_, rep := tune(t, m, testSamples(40, 2, labels...), Options{Epochs: 500, Patience: 5, LR: 2, Schedule: Constant}, vfs.NewMem())
	if n := len(rep.Curve) - 1; n == 500 || n != rep.BestEpoch+5 {
		t.Errorf("%d epochs, the best was %d", n, rep.BestEpoch)
	}
}

func TestGrow(t *testing.T) {
	m := testModel(t, "a", "b", "c")
	// The base has random weights: teach it its own classes first.
	delta, rep := tune(t, m, testSamples(60, 2, "a", "b", "c"), Options{}, vfs.NewMem())
	if !rep.Passed {
		t.Fatalf("refused: %s", rep.Verdict)
	}
	tuned, err := format.Apply(m, delta)
	if err != nil {
		t.Fatal(err)
	}
	base := reopen(t, tuned)
	old, err := Extract(context.Background(), base, testSamples(200, 4, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	keep := NewReservoir(old, 20, 1)
	for i := range old.Len() {
		if err := keep.Add(old, i); err != nil {
			t.Fatal(err)
		}
	}
	if n := keep.Features().Len(); n != 60 {
		t.Fatalf("the reservoir keeps %d rows, want 60", n)
	}
	delta, rep = tune(t, base, testSamples(20, 5, "d", "e"), Options{Replay: keep.Features()}, vfs.NewMem())
	if !rep.Passed {
		t.Fatalf("refused: %s", rep.Verdict)
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(rep.Classes, want) || !slices.Equal(rep.New, want[3:]) {
		t.Fatalf("classes %v, new %v", rep.Classes, rep.New)
	}
	grown, err := format.Apply(base, delta)
	if err != nil {
		t.Fatal(err)
	}
	before := accuracy(t, base, testSamples(100, 6, "a", "b", "c"))
	after := accuracy(t, grown, testSamples(100, 6, "a", "b", "c"))
	fresh := accuracy(t, grown, testSamples(100, 6, "d", "e"))
	t.Logf("old classes %.3f, then %.3f; new ones %.3f", before, after, fresh)
	if after < before-0.05 || fresh < 0.9 {
		t.Errorf("old classes went from %.3f to %.3f, new ones to %.3f", before, after, fresh)
	}
}

// TestGate: what makes things worse is refused.
func TestGate(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	delta, _ := tune(t, m, testSamples(60, 2, labels...), Options{}, vfs.NewMem())
	tuned, err := format.Apply(m, delta)
	if err != nil {
		t.Fatal(err)
	}
	good := reopen(t, tuned)
	// The start and every epoch are candidates, so a wrong label of a known class
	// does no harm. Here the poison is the new class: its samples are a's.
	wrong := testSamples(40, 3, labels...)
	for i := range wrong {
		if wrong[i].Label == "a" {
			wrong[i].Label = "d"
		}
	}
	delta, rep := tune(t, good, wrong, Options{ValData: testSamples(40, 4, "a", "b", "c", "d")}, vfs.NewMem())
	if delta != nil || rep.Passed || rep.Verdict == "" {
		t.Errorf("wrong labels passed: base %.3f, tuned %.3f", rep.Base.Accuracy, rep.Tuned.Accuracy)
	}
	t.Log(rep.Verdict)

	g := Gate{}.withDefaults()
	metrics := func(a, b int) *Metrics {
		m := newMetrics(2)
		for i := range 20 {
			m.add(0, btoi(i >= a))
			m.add(1, btoi(i < b))
		}
		return m.finish()
	}
	for _, c := range []struct {
		a, b    int
		refused string
	}{{10, 10, ""}, {14, 6, ""}, {18, 5, "class"}, {9, 10, "accuracy"}, {20, 20, ""}} {
		v := g.judge(metrics(10, 10), metrics(c.a, c.b), []string{"x", "y"}, nil, 0, 0, false)
		if (v == "") != (c.refused == "") || !strings.HasPrefix(v, c.refused) {
			t.Errorf("10 and 10 of 20 right became %d and %d: verdict %q, want %q", c.a, c.b, v, c.refused)
		}
	}
	// A head that took everything for x loses answers there, and rightly so.
	for _, c := range []struct {
		a, n, b, m int
		passed     bool
	}{{174, 200, 1740, 2000, true}, {160, 200, 1740, 2000, true}, {140, 200, 1740, 2000, false}, {200, 200, 1740, 2000, false}, {0, 0, 5, 9, true}} {
		if v := (Gate{Alike: 3}).alike(c.a, c.n, c.b, c.m); (v == "") != c.passed {
			t.Errorf("%d of %d and %d of %d: %q", c.a, c.n, c.b, c.m, v)
		}
	}
	for _, c := range []struct {
		won, lost int
		passed    bool
	}{{4, 0, true}, {3, 0, false}, {0, 0, false}, {60, 40, true}, {59, 41, false}, {0, 9, false}} {
		v := Gate{MaxClassDrop: 1, Sure: 2}.judge(metrics(10, 10), metrics(10, 10), []string{"x", "y"}, nil, c.won, c.lost, false)
		if (v == "") != c.passed {
			t.Errorf("%d won and %d lost: %q", c.won, c.lost, v)
		}
	}
	if v := g.judge(metrics(20, 0), metrics(15, 15), []string{"x", "y"}, nil, 0, 0, false); v != "" {
		t.Errorf("a head that learned a second class: %s", v)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestNaN: a job that diverges keeps the last good weights and says so.
func TestNaN(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	delta, rep := tune(t, m, testSamples(30, 2, labels...), Options{Loss: MSE, LR: 1e6, Epochs: 200}, vfs.NewMem())
	if !rep.Diverged || delta != nil || rep.Passed {
		t.Errorf("diverged %v, passed %v", rep.Diverged, rep.Passed)
	}
}

// TestRegression: targets of values, judged by their squared error.
func TestRegression(t *testing.T) {
	m := testModel(t, "x", "y")
	d := testSamples(50, 2, "p", "q")
	for i := range d {
		d[i].Target = []float32{float32(int8(d[i].Input[0])) / 100, float32(int8(d[i].Input[1])) / 100}
		d[i].Label = ""
	}
	_, rep := tune(t, m, d, Options{Loss: MSE, Epochs: 60}, vfs.NewMem())
	if !rep.Passed || !(rep.Tuned.Loss < rep.Base.Loss/2) {
		t.Errorf("verdict %q: error went from %g to %g", rep.Verdict, rep.Base.Loss, rep.Tuned.Loss)
	}
}

// TestResume cuts a job at every call of the file system, as a power cut would,
// and continues it: the result has the bits of an unbroken job's.
func TestResume(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	d := testSamples(12, 2, labels...)
	for name, o := range map[string]Options{
		"sgd":    {Epochs: 2, Batch: 8, Checkpoint: -1},
		"adamw":  {Epochs: 2, Batch: 8, Checkpoint: -1, Optimizer: AdamW},
		"8 bits": {Epochs: 2, Batch: 8, Checkpoint: -1, Optimizer: AdamW8},
		"folds":  {Epochs: 1, Batch: 8, Checkpoint: -1, Folds: 3},
		"tail":   {Epochs: 2, Batch: 8, Checkpoint: -1, Tail: Last(2), Optimizer: AdamW},
		"mixed":  {Epochs: 2, Batch: 8, Checkpoint: -1, Mixup: 0.3, Dropout: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			whole := vfs.NewMem()
			delta, rep := tune(t, m, d, o, whole)
			if !rep.Passed {
				t.Fatalf("refused: %s", rep.Verdict)
			}
			want := deltaBytes(t, delta)
			cut := errors.New("cut")
			continued := 0
			for n := range whole.Calls() {
				fs := vfs.NewMem()
				fs.FailNth(n, cut)
				if !runCut(t, m, d, o, fs, cut) {
					continue // the cut came after the last call that matters
				}
				for seed := range uint64(2) {
					o := o
					o.FS = fs.Crash(seed, 0.5)
					p, err := Plan(m, d, o)
					if err != nil {
						t.Fatal(err)
					}
					j, err := Resume(context.Background(), p, "t.job")
					if err != nil {
						t.Fatalf("cut at call %d, seed %d: %v", n, seed, err)
					}
					delta, rep, err := j.Wait(context.Background())
					if err != nil {
						t.Fatalf("cut at call %d, seed %d: %v", n, seed, err)
					}
					if !bytes.Equal(deltaBytes(t, delta), want) {
						t.Fatalf("cut at call %d, seed %d: the delta differs from an unbroken job's", n, seed)
					}
					if len(rep.Curve) != o.Epochs+1 {
						t.Fatalf("cut at call %d: a curve of %d points", n, len(rep.Curve))
					}
					continued++
				}
			}
			t.Logf("%d calls, %d continuations", whole.Calls(), continued)
			if continued < whole.Calls() {
				t.Errorf("only %d jobs were cut and continued", continued)
			}
		})
	}
}

// runCut runs a job on fs and reports whether it ended with the error cut.
func runCut(t *testing.T, m *format.Model, d Data, o Options, fs vfs.FS, cut error) bool {
	t.Helper()
	o.FS = fs
	p, err := Plan(m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Start(context.Background(), p, "t.job")
	if err == nil {
		_, _, err = j.Wait(context.Background())
	}
	if err != nil && !errors.Is(err, cut) {
		t.Fatal(err)
	}
	return err != nil
}

// TestTorn damages the newest of a job's two files, and the job goes on from the other;
// a disk that stays full stops it without harm.
func TestTorn(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	d := testSamples(12, 2, labels...)
	o := Options{Epochs: 2, Batch: 8, Checkpoint: -1}
	whole := vfs.NewMem()
	delta, _ := tune(t, m, d, o, whole)
	want := deltaBytes(t, delta)
	generation := func(mem *vfs.Mem, name string) uint64 {
		b, err := vfs.ReadFile(mem, name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := decoded(b)
		if err != nil {
			t.Fatal(err)
		}
		return c.generation
	}
	resume := func(mem *vfs.Mem) (*format.Delta, error) {
		o.FS = mem
		p, err := Plan(m, d, o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Resume(t.Context(), p, "t.job")
		if err != nil {
			return nil, err
		}
		delta, _, err := j.Wait(t.Context())
		return delta, err
	}
	for n := whole.Calls() / 2; n < whole.Calls()-20; n += 7 {
		full := errors.New("no space left on device")
		mem := vfs.NewMem()
		mem.Inject = func(c vfs.Call) error { // from here on nothing can be written
			if c.N >= n && (c.Op == "write" || c.Op == "create") {
				return full
			}
			return nil
		}
		if !runCut(t, m, d, o, mem, full) {
			t.Fatalf("call %d: a full disk went unnoticed", n)
		}
		mem.Inject = nil
		newest, other := "t.job", "t.job.2"
		if generation(mem, other) > generation(mem, newest) {
			newest, other = other, newest
		}
		damage := func(name string, keep int) {
			b, err := vfs.ReadFile(mem, name)
			if err != nil {
				t.Fatal(err)
			}
			b[keep*len(b)/8]++
			if keep%2 == 0 {
				b = b[:keep*len(b)/8]
			}
			if err := writeFile(mem, name, b); err != nil {
				t.Fatal(err)
			}
		}
		damage(newest, n%8)
		delta, err := resume(mem)
		if err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		if !bytes.Equal(deltaBytes(t, delta), want) {
			t.Fatalf("call %d: the delta differs from an unbroken job's", n)
		}
		damage(newest, n%8)
		damage(other, n%8)
		if _, err := resume(mem); !errors.Is(err, ErrJob) {
			t.Fatalf("two damaged files: %v", err)
		}
	}
}

// TestCancel: a job whose context ends can be continued.
func TestCancel(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	d := testSamples(20, 2, labels...)
	delta, _ := tune(t, m, d, Options{}, vfs.NewMem())
	want := deltaBytes(t, delta)

	path := filepath.Join(t.TempDir(), "t.job")
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Progress: func(p Progress) {
		if p.Phase == "train" && p.Done == 7 {
			cancel()
		}
	}}
	p, err := Plan(m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Start(ctx, p, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Wait(context.Background()); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled job gave %v", err)
	}
	j, err = Resume(context.Background(), p, path)
	if err != nil {
		t.Fatal(err)
	}
	delta, rep, err := j.Wait(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(deltaBytes(t, delta), want) {
		t.Error("the continued job's delta differs")
	}
	if rep.Computed != 0 {
		t.Errorf("%d features were computed again", rep.Computed)
	}
	p2, err := Plan(m, d, Options{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(context.Background(), p2, path); !errors.Is(err, ErrJob) {
		t.Errorf("a job of another seed was continued: %v", err)
	}
	if err := j.Remove(); err != nil {
		t.Error(err)
	}
}

// TestHeadValues: a float head with the base's own weights reaches the base's
// logits up to the rounding that its integer output has.
func TestHeadValues(t *testing.T) {
	m := testModel(t, "a", "b", "c")
	h, err := findHead(m)
	if err != nil {
		t.Fatal(err)
	}
	w, b := make([]float32, 3*testHidden), make([]float32, 3)
	for i := range w {
		w[i] = h.w.at(i)
	}
	for i := range b {
		b[i] = h.b.at(i)
	}
	tuned, err := h.withHead(m, w, b, m.Header.Labels, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Check(tuned); err != nil {
		t.Fatal(err)
	}
	x, y := run(t, m, testSamples(20, 9, "a", "b")), run(t, tuned, testSamples(20, 9, "a", "b"))
	for i := range x {
		for k := range x[i] {
			if math.Abs(float64(x[i][k]-y[i][k])) > 0.04 {
				t.Fatalf("sample %d: probabilities %v and %v", i, x[i], y[i])
			}
		}
	}
}

func run(t *testing.T, m *format.Model, d Samples) (out [][]float32) {
	t.Helper()
	prog, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := prog.NewSession()
	for i := range d {
		copy(s.Input(0).Bytes(), d[i].Input)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(s.Output(0).Float32()))
	}
	return out
}

// TestMemory samples the heap while a job with large features runs: the plan
// holds, and is not wildly above it either.
func TestMemory(t *testing.T) {
	tails := []Tail{Head, Last(2)}
	if testing.Short() {
		tails = tails[:1]
	}
	for _, tail := range tails {
		t.Run(tail.String(), func(t *testing.T) { testMemory(t, tail) })
	}
}

func testMemory(t *testing.T, tail Tail) {
	labels := []string{"a", "b", "c", "d"}
	m := wideModel(t, 8192, labels...)
	d := testSamples(150, 2, labels...)
	goruntime.GC()
	var ms goruntime.MemStats
	goruntime.ReadMemStats(&ms)
	before, peak := ms.HeapAlloc, uint64(0)
	sample := func(Progress) {
		goruntime.GC() // what is garbage depends on when the collector runs
		goruntime.ReadMemStats(&ms)
		peak = max(peak, ms.HeapAlloc)
	}
	p, err := Plan(m, d, Options{Tail: tail, Epochs: 3, Progress: sample, Memory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	j, err := Start(context.Background(), p, filepath.Join(t.TempDir(), "t.job"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	var constants int64
	for _, w := range m.Tensors {
		constants += int64(len(w.Data)) // lie in the heap already
	}
	// The last part is what the collector has not freed yet.
	got, planned := int64(peak-before)+constants, total(p.Parts[:len(p.Parts)-1])-processBytes()
	t.Logf("heap %.1f MB, planned %.1f MB: %v", float64(got)/1e6, float64(planned)/1e6, p.Parts)
	if got > planned || got < planned*2/3 {
		t.Errorf("the heap grew to %d bytes; %d were planned", got, planned)
	}
}

// A head's delta holds the head and next to nothing else. The names are as long as
// those of MobileNetV2.
func TestDeltaSize(t *testing.T) {
	m := wideModel(t, 1280, "ant", "bee", "cat", "dog")
	long := "MobilenetV2/Predictions/"
	rename := func(names []string) {
		for i, n := range names {
			if n != "in" {
				names[i] = long + n
			}
		}
	}
	for _, n := range m.Main().Nodes {
		n.Name = long + n.Name
		rename(n.Inputs)
		rename(n.Outputs)
	}
	rename(m.Main().Outputs)
	for _, x := range m.Tensors {
		if x.Name != "in" {
			x.Name = long + x.Name
		}
	}
	d, rep := tune(t, reopen(t, m), testSamples(10, 1, "ant", "bee", "cat", "dog"), Options{Epochs: 2, Gate: Gate{MinGain: -1, MaxClassDrop: 1}}, vfs.NewMem())
	if d == nil {
		t.Fatal(rep.Verdict)
	}
	if n := len(deltaBytes(t, d)); n > 21504 {
		t.Errorf("the delta of a head of 4 x 1281 float32 has %d bytes", n)
	}
}

// A result that nothing could judge is not a result, unless that was asked for.
func TestUnjudged(t *testing.T) {
	m := testModel(t, "ant", "bee")
	d := testSamples(1, 1, "ant", "bee")
	for _, o := range []Options{{Epochs: 1}, {Epochs: 1, Folds: 2}} {
		o.FS = vfs.NewMem()
		p, err := Plan(m, d, o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Start(t.Context(), p, "t.job")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := j.Wait(t.Context()); !errors.Is(err, ErrUnjudged) {
			t.Errorf("%d folds: %v", o.Folds, err)
		}
	}
	if delta, rep := tune(t, m, d, Options{Epochs: 1, Val: -1}, vfs.NewMem()); delta == nil {
		t.Errorf("with Val -1: %s", rep.Verdict)
	}
}
