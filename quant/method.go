package quant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/kernels"
)

// A Method chooses the range that the int8 codes of a tensor span from what was
// observed of it. Values outside saturate.
type Method int

// The methods.
const (
	// Auto lets Quantize try the other methods and keep, by the measured error
	// of the model's outputs, the best one.
	Auto Method = iota
	// MinMax takes all values in.
	MinMax
	// MovingAverage averages the samples' extremes, new ones weighing a tenth.
	MovingAverage
	// Percentile leaves out one value in 20000 on either side.
	Percentile
	// MSE takes the range of the least mean squared error.
	MSE
	// Entropy takes the range whose quantized distribution is the nearest to
	// the observed one by the Kullback-Leibler divergence.
	Entropy
)

var methodNames = []string{"auto", "minmax", "average", "percentile", "mse", "entropy"}

func (m Method) String() string {
	if m < 0 || int(m) >= len(methodNames) {
		return fmt.Sprintf("Method(%d)", int(m))
	}
	return methodNames[m]
}

// ParseMethod returns the method of that name.
func ParseMethod(name string) (Method, error) {
	for i, n := range methodNames {
		if n == name {
			return Method(i), nil
		}
	}
	return 0, fmt.Errorf("method %q: choose one of %s", name, strings.Join(methodNames, ", "))
}

// Range is the range that a method chooses for a tensor. Auto takes MSE's.
func (s *Stats) Range(m Method) (lo, hi float32) {
	switch m {
	case MinMax:
		return s.Lo, s.Hi
	case MovingAverage:
		return float32(s.avgLo), float32(s.avgHi)
	case Percentile:
		return s.percentile()
	case Entropy:
		return s.entropy()
	}
	return s.mse()
}

// tail is the fraction of the values that Percentile leaves out on either side.
const tail = 1.0 / 20000

func (s *Stats) percentile() (lo, hi float32) {
	bins := s.Hist.bins()
	out := float64(uint64(tail * float64(s.Hist.Total)))
	l, h := float64(s.Lo), float64(s.Hi)
	half := s.Hist.Width / 2
	// The sides are cut up to zero at most: the range holds it anyway.
	sum := 0.0
	for _, b := range bins {
		if sum += b.n; sum > out || b.center >= 0 {
			l = max(l, min(b.center-half, 0))
			break
		}
	}
	sum = 0
	for _, bin := range slices.Backward(bins) {
		if sum += bin.n; sum > out || bin.center <= 0 {
			h = min(h, max(bin.center+half, 0))
			break
		}
	}
	return float32(l), float32(h)
}

// steps is how finely the searches cut the observed range.
const steps = 64

// mse searches the range of the least squared error: first both ends shrink
// together, then each in turn.
func (s *Stats) mse() (lo, hi float32) {
	bins := s.Hist.bins()
	lo, hi = s.Lo, s.Hi
	best := noise(bins, Activation(lo, hi), int8Wide)
	try := func(l, h float32) {
		if e := noise(bins, Activation(l, h), int8Wide); e < best {
			best, lo, hi = e, l, h
		}
	}
	for k := 1; k < steps; k++ {
		f := float32(k) / steps
		try(s.Lo*f, s.Hi*f)
	}
	for range 2 {
		for k := 1; k <= steps; k++ {
			f := float32(k) / steps
			try(lo, s.Hi*f)
		}
		for k := 1; k <= steps; k++ {
			f := float32(k) / steps
			try(s.Lo*f, hi)
		}
	}
	return lo, hi
}

// entropy searches as Migacz does ("8-bit inference with TensorRT", GTC 2017):
// the reference is the observed distribution with the values outside counted
// at the edges; the candidate spreads the count of each of the 256 codes evenly
// over those of its bins that are not empty. A divergence of few values says
// nothing; there MSE's range is taken.
func (s *Stats) entropy() (lo, hi float32) {
	if s.Hist.Total-s.Hist.Zeros < 1<<14 {
		return s.mse()
	}
	bins := s.Hist.bins()
	lo, hi = s.Lo, s.Hi
	best := divergence(bins, lo, hi)
	for k := steps / 8; k < steps; k++ {
		f := float32(k) / steps
		if d := divergence(bins, s.Lo*f, s.Hi*f); d < best {
			best, lo, hi = d, s.Lo*f, s.Hi*f
		}
	}
	return lo, hi
}

var naturalLog = kernels.UnaryFunc[float64](kernels.Unary{Op: kernels.LogOp})

// divergence is sum p·log(p/q) of the distribution clipped to the range
// against its quantized one.
func divergence(bins []bin, lo, hi float32) float64 {
	q := Activation(lo, hi)
	var kept, filled [256]float64 // the count inside, and the bins that are not empty, of each code
	codeOf := func(b bin) int { return int(quantize(float32(b.center), q)) + 128 }
	l, h := float64(min(lo, 0)), float64(max(hi, 0))
	first, last := -1, -1
	below, above, total := 0.0, 0.0, 0.0
	for i, b := range bins {
		total += b.n
		switch {
		case b.center < l:
			below += b.n
		case b.center > h:
			above += b.n
		default:
			c := codeOf(b)
			kept[c] += b.n
			filled[c]++
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return total
	}
	inside := total - below - above
	sum := 0.0
	for i := first; i <= last; i++ {
		p := bins[i].n
		if i == first {
			p += below
		}
		if i == last {
			p += above
		}
		c := codeOf(bins[i])
		p /= total
		sum += float64(p * naturalLog(p*inside*filled[c]/kept[c]))
	}
	return sum
}

// decibels is 10·log10(ratio), without the standard library's logarithm.
func decibels(signal, noise float64) float64 {
	switch {
	case noise == 0:
		return maxDecibels
	case signal == 0:
		return -maxDecibels
	}
	return min(max(4.342944819032518*naturalLog(signal/noise), -maxDecibels), maxDecibels)
}

// maxDecibels stands for no error at all: JSON has no infinity.
const maxDecibels = 200
