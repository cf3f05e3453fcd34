package ondevice

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/kernels"
)

// NearestMean describes [Options].Instant: what a head without training is.
//
// If the data have samples of every class, a class's row is the direction of its
// mean feature, so that the class with the highest output is the one whose mean has
// the highest cosine with the sample (nearest class mean; Mensink et al.,
// "Distance-Based Image Classification", 2013). Otherwise the model's classes of which
// the data have none keep their rows, and the others get theirs imprinted (Qi, Brown
// and Lowe, "Low-Shot Learning with Imprinted Weights", 2018): the output w x + b
// with b the smallest bias that has four fifths of the class's own samples win against
// the rows that stay, and w the direction of the class's mean or, where classes that
// stay have replayed samples, that from the mean of their means to it: what all
// features have in common tells no class from another. Either way a row is as long as
// those of the model are on average, so that outputs keep their size.
const NearestMean = "nearest class mean"

// instant sets the head's rows from the mean features of the samples train.
func (t *trainer) instant(train []int32) {
	p := t.plan
	dim, classes := p.head.dim, len(p.Classes)
	mean := make([]float32, classes*dim)
	count := make([]int, classes)
	stays := make([]bool, classes)
	for c, name := range p.Classes {
		stays[c] = slices.Contains(p.known, name)
	}
	row := make([]float32, dim)
	own := int32(t.rows[0].Len())
	for _, i := range train {
		t.net.input(row, i)
		c := int(t.class[i])
		count[c]++
		stays[c] = stays[c] && i >= own
		for k, v := range row {
			mean[c*dim+k] += v
		}
	}
	w, b := t.params[:p.weights], t.params[p.weights:]
	centre, replayed := make([]float32, dim), 0
	for c, n := range count {
		m := mean[c*dim:][:dim]
		for k := range m {
			m[k] /= float32(max(n, 1))
		}
		if stays[c] && n > 0 {
			replayed++
			for k, v := range m {
				centre[k] += v
			}
		}
	}
	for k := range centre {
		centre[k] /= float32(max(replayed, 1))
	}
	length := p.head.meanLength()
	for c := range classes {
		if stays[c] {
			continue
		}
		m := mean[c*dim:][:dim]
		for k, v := range centre {
			m[k] -= v
		}
		norm := euclid(m)
		if norm == 0 {
			norm = 1
		}
		for k, v := range m {
			w[c*dim+k] = float32(v * (length / norm))
		}
		b[c] = 0
	}
	if slices.Contains(stays, true) {
		t.prevail(train, stays)
	}
}

// prevail sets the biases of the rows that do not stay so that four fifths of their
// samples win against those that do.
func (t *trainer) prevail(train []int32, stays []bool) {
	p := t.plan
	dim, classes := p.head.dim, len(p.Classes)
	w, b := t.params[:p.weights], t.params[p.weights:]
	row := make([]float32, dim)
	score := func(c int) float32 {
		s := b[c]
		for k, v := range row {
			s = kernels.FMA(w[c*dim+k], v, s)
		}
		return s
	}
	short := make([][]float32, classes) // by how much each sample of a class falls short of the rows that stay
	for _, i := range train {
		if stays[t.class[i]] {
			continue
		}
		t.net.input(row, i)
		best := float32(math.Inf(-1))
		for c, stay := range stays {
			if stay {
				best = max(best, score(c))
			}
		}
		c := t.class[i]
		short[c] = append(short[c], best-score(int(c)))
	}
	for c, s := range short {
		if len(s) > 0 {
			slices.Sort(s)
			b[c] = s[len(s)*4/5]
		}
	}
}

// meanLength is the mean Euclidean length of a head's rows.
func (h *head) meanLength() float32 {
	var sum float32
	row := make([]float32, h.dim)
	for c := range h.classes {
		for k := range row {
			row[k] = h.w.at(c*h.dim + k)
		}
		sum += euclid(row)
	}
	return sum / float32(h.classes)
}

func euclid(x []float32) float32 {
	var s float32
	for _, v := range x {
		s = kernels.FMA(v, v, s)
	}
	return kernels.Sqrt(s)
}
