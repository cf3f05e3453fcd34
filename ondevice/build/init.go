package build

import (
	"math"
	"math/rand/v2"

	"github.com/whet-edge/whet/kernels"
)

// An Init names how weights are drawn at the start.
type Init string

// The initializers. The fans of a weight are the numbers of values that one output
// is made of and that one input goes to.
const (
	// GlorotUniform draws from ±sqrt(6/(in+out)) (Glorot and Bengio, 2010, formula
	// 16), GlorotNormal from a normal distribution of variance 2/(in+out).
	GlorotUniform Init = "glorot"
	GlorotNormal  Init = "glorot-normal"
	// HeNormal draws from a normal distribution of variance 2/in, HeUniform from
	// ±sqrt(6/in) (He et al., 2015, arXiv:1502.01852, formula 10).
	HeNormal  Init = "he"
	HeUniform Init = "he-uniform"
	// Orthogonal makes rows (or columns, if there are more rows) of length 1 at
	// right angles to each other (Saxe et al., 2014, arXiv:1312.6120).
	Orthogonal Init = "orthogonal"
	Zeros      Init = "zeros"
)

var inits = []Init{GlorotUniform, GlorotNormal, HeNormal, HeUniform, Orthogonal, Zeros}

// draw returns rows x cols weights, one row an output.
func (i Init) draw(r *rand.Rand, rows, cols int, fanIn, fanOut float64) []float32 {
	w := make([]float32, rows*cols)
	uniform := func(limit float64) {
		for k := range w {
			w[k] = float32((2*r.Float64() - 1) * limit)
		}
	}
	gauss := func(deviation float64) {
		for k := range w {
			w[k] = float32(normal(r) * deviation)
		}
	}
	switch i {
	case GlorotUniform:
		uniform(math.Sqrt(6 / (fanIn + fanOut)))
	case GlorotNormal:
		gauss(math.Sqrt(2 / (fanIn + fanOut)))
	case HeNormal:
		gauss(math.Sqrt(2 / fanIn))
	case HeUniform:
		uniform(math.Sqrt(6 / fanIn))
	case Orthogonal:
		orthogonal(r, w, rows, cols)
	}
	return w
}

// normal draws from the standard normal distribution by Marsaglia's polar method
// (1964). The standard library's takes exp and log, whose last bits depend on the
// CPU.
func normal(r *rand.Rand) float64 {
	for {
		u, v := 2*r.Float64()-1, 2*r.Float64()-1
		s := float64(u*u) + float64(v*v)
		if s > 0 && s < 1 {
			return u * math.Sqrt(-2*kernels.Log(s)/s)
		}
	}
}

// orthogonal orthonormalizes random vectors by Gram and Schmidt's process, twice
// for each ("twice is enough": Giraud et al., 2005).
func orthogonal(r *rand.Rand, w []float32, rows, cols int) {
	count, length := rows, cols
	at := func(i, k int) int { return i*cols + k }
	if rows > cols {
		count, length = cols, rows
		at = func(i, k int) int { return k*cols + i }
	}
	vectors := make([][]float64, count)
	for i := range vectors {
		v := make([]float64, length)
		for k := range v {
			v[k] = normal(r)
		}
		for range 2 {
			for _, u := range vectors[:i] {
				p := dot(u, v)
				for k := range v {
					v[k] -= float64(p * u[k])
				}
			}
		}
		norm := math.Sqrt(dot(v, v))
		for k := range v {
			v[k] /= norm
			w[at(i, k)] = float32(v[k])
		}
		vectors[i] = v
	}
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return sum
}
