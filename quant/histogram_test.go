package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
)

// observe makes the statistics of samples of single channels.
func observe(samples ...[]float32) *Stats {
	s := &Stats{ChannelMax: make([]float32, 1), ChannelMean: make([]float64, 1)}
	for _, x := range samples {
		s.add(x)
	}
	s.finish()
	return s
}

// TestHistogramIgnoresOrder merges bins on the way to a range that grows.
func TestHistogramIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float32Range(-1e6, 1e6), 1, 200).Draw(t, "values")
		y := slices.Clone(x)
		slices.Sort(y)
		a, b := observe(x), &Stats{ChannelMax: make([]float32, 1), ChannelMean: make([]float64, 1)}
		for _, v := range y {
			b.add([]float32{v})
		}
		if a.Hist.Width != b.Hist.Width || a.Hist.Zeros != b.Hist.Zeros || a.Hist.Total != b.Hist.Total || !slices.Equal(a.Hist.Count, b.Hist.Count) {
			t.Fatalf("all at once: width %v, zeros %d; one by one: %v, %d", a.Hist.Width, a.Hist.Zeros, b.Hist.Width, b.Hist.Zeros)
		}
		n := a.Hist.Zeros
		for _, c := range a.Hist.Count {
			n += c
		}
		if n != uint64(len(x)) {
			t.Fatalf("%d values counted of %d", n, len(x))
		}
	})
}

// TestRangesLieWithinTheObserved holds for every method and any values.
func TestRangesLieWithinTheObserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float32Range(-100, 100), 1, 100).Draw(t, "values")
		s := observe(x)
		for m := Auto; m <= Entropy; m++ {
			lo, hi := s.Range(m)
			if lo > hi || lo < s.Lo || hi > s.Hi {
				t.Fatalf("%v: [%v, %v] of [%v, %v]", m, lo, hi, s.Lo, s.Hi)
			}
		}
		lo, hi := s.Range(MSE)
		if s.Hist.noise(Activation(lo, hi), int8Wide) > s.Hist.noise(Activation(s.Lo, s.Hi), int8Wide) {
			t.Fatalf("mse: [%v, %v] is worse than all of [%v, %v]", lo, hi, s.Lo, s.Hi)
		}
	})
}

// TestMethodsLeaveOutliersOut plants one value far outside among many. The
// least squared error gives it up only in part: its square weighs much.
func TestMethodsLeaveOutliersOut(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	var samples [][]float32
	for k := range 40 {
		x := make([]float32, 4000)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		if k == 20 {
			x[7] = 300
		}
		samples = append(samples, x)
	}
	s := observe(samples...)
	for m, most := range map[Method]float32{MovingAverage: 40, Percentile: 5, MSE: 260, Entropy: 150} {
		if _, hi := s.Range(m); hi > most || hi < 2 {
			t.Errorf("%v: up to %v", m, hi)
		}
	}
	if _, hi := s.Range(MinMax); hi != 300 {
		t.Errorf("minmax: up to %v", hi)
	}
}

func TestObserveRefusesWhatIsNotFinite(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		s := &Stats{ChannelMax: make([]float32, 2), ChannelMean: make([]float64, 2)}
		if s.add([]float32{1, 2, 3, v}) {
			t.Errorf("%v was taken", v)
		}
	}
}

// TestChannels adds up by the innermost axis.
func TestChannels(t *testing.T) {
	s := &Stats{ChannelMax: make([]float32, 2), ChannelMean: make([]float64, 2)}
	s.add([]float32{1, -5, 3, 2})
	s.add([]float32{-1, 0, 1, 1})
	s.finish()
	if !slices.Equal(s.ChannelMax, []float32{3, 5}) || !slices.Equal(s.ChannelMean, []float64{1, -0.5}) {
		t.Errorf("max %v, mean %v", s.ChannelMax, s.ChannelMean)
	}
}

// TestLayerSumsFit quantizes a channel of tiny weights with a large bias, which
// at the weights' own scale would not fit in 32 bits.
func TestLayerSumsFit(t *testing.T) {
	w := []float32{1e-9, -1e-9, 1, 2}
	codes, wq := Weights(w, format.Shape{2, 2})
	b, bq := fit(w, []float32{5, 0.5}, codes, wq, 0.01, int8Wide)
	for c, want := range []float64{5, 0.5} {
		if got := float64(b[c]) * float64(bq.Scale[c]); math.Abs(got-want) > 1e-6*want {
			t.Errorf("bias %v came back as %v (code %d, scale %v)", want, got, b[c], bq.Scale[c])
		}
		if sum := math.Abs(float64(b[c])) + 255*math.Abs(float64(codes[2*c])) + 255*math.Abs(float64(codes[2*c+1])); sum > math.MaxInt32 {
			t.Errorf("channel %d sums up to %v", c, sum)
		}
	}
	if codes[2] != 64 || codes[3] != 127 || wq.Scale[1] != float32(2)/127 {
		t.Errorf("an ordinary channel changed: %v, %v", codes, wq.Scale)
	}
}

// TestCorrectMovesTheMean makes up for rounding with known means.
func TestCorrectMovesTheMean(t *testing.T) {
	real := []float32{0.3, 1, -0.6, 2}
	codes, wq := Weights(real, format.Shape{2, 2})
	bias, mean := []float32{0, 1}, []float64{10, -3}
	correct(bias, real, codes, wq, mean, 1)
	for o, b := range []float64{0, 1} {
		want, got := b, float64(bias[o])
		for i := range 2 {
			want += float64(real[2*o+i]) * mean[i]
			got += float64(codes[2*o+i]) * float64(wq.Scale[o]) * mean[i]
		}
		if math.Abs(want-got) > 1e-5 {
			t.Errorf("output %d: mean %v, want %v", o, got, want)
		}
	}
}
