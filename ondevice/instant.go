package ondevice

import "github.com/whet-edge/whet/kernels"

// NearestMean describes [Options].Instant: what a head without training is.
//
// If there are samples of every class, replayed ones included, a class's row is
// the direction of its mean feature, so that the class with the highest output
// is the one whose mean has the highest cosine with the sample (nearest class mean;
// Mensink et al., "Distance-Based Image Classification", 2013). If some of the
// model's classes have no samples, they keep their rows, and the others get
// theirs imprinted (Qi, Brown and Lowe, "Low-Shot Learning with Imprinted
// Weights", 2018): the same direction, with the mean bias of the rows that stay.
// Either way a row is as long as those of the model are on average, so that
// outputs keep their size.
const NearestMean = "nearest class mean"

// instant sets the head's rows from the mean features of the samples train.
func (t *trainer) instant(train []int32) {
	p := t.plan
	dim, classes := p.head.dim, len(p.Classes)
	mean := make([]float32, classes*dim)
	count := make([]int, classes)
	row := make([]float32, dim)
	for _, i := range train {
		t.net.input(row, i)
		c := int(t.class[i])
		count[c]++
		for k, v := range row {
			mean[c*dim+k] += v
		}
	}
	length := p.head.meanLength()
	var bias float32 // of the rows that stay
	stay := 0
	w, b := t.params[:p.weights], t.params[p.weights:]
	for c, n := range count {
		if n == 0 {
			bias += b[c]
			stay++
		}
	}
	for c, n := range count {
		if n == 0 {
			continue
		}
		m := mean[c*dim:][:dim]
		norm := euclid(m)
		if norm == 0 {
			norm = 1
		}
		for k, v := range m {
			w[c*dim+k] = float32(v * (length / norm))
		}
		b[c] = bias / float32(max(stay, 1))
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
