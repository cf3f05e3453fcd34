package ondevice

import "github.com/whet-edge/whet/kernels"

// Metrics say how well a head does on a set of samples.
type Metrics struct {
	Samples  int
	Loss     float64   // mean squared error of targets; mean -log(probability) of classes
	Accuracy float64   // fraction of samples whose class is the highest output
	Recall   []float64 // of each class; 0 where Count is
	Count    []int     // samples of each class
	// Confusion[c][p] is how many samples of class c were taken for class p.
	Confusion [][]int
}

func newMetrics(classes int) *Metrics {
	m := &Metrics{Count: make([]int, classes), Recall: make([]float64, classes), Confusion: make([][]int, classes)}
	for i := range m.Confusion {
		m.Confusion[i] = make([]int, classes)
	}
	return m
}

// add counts one sample of class c that was taken for class p; p is -1 for a
// class outside the set.
func (m *Metrics) add(c, p int) {
	m.Samples++
	m.Count[c]++
	if p >= 0 {
		m.Confusion[c][p]++
	}
}

// merge adds the counts of another set. Neither is finished.
func (m *Metrics) merge(o *Metrics) {
	m.Samples += o.Samples
	m.Loss += o.Loss
	for c := range o.Count {
		m.Count[c] += o.Count[c]
		for p := range o.Confusion[c] {
			m.Confusion[c][p] += o.Confusion[c][p]
		}
	}
}

// finish computes the fractions from the counts, and the mean from the sum that
// Loss was until now.
func (m *Metrics) finish() *Metrics {
	right := 0
	for c, row := range m.Confusion {
		right += row[c]
		if m.Count[c] > 0 {
			m.Recall[c] = float64(row[c]) / float64(m.Count[c])
		}
	}
	if m.Samples > 0 {
		m.Accuracy = float64(right) / float64(m.Samples)
		m.Loss /= float64(m.Samples)
	}
	return m
}

// f1 is the harmonic mean of a class's recall and precision.
func (m *Metrics) f1(c int) float64 {
	taken := 0 // for class c
	for _, row := range m.Confusion {
		taken += row[c]
	}
	if m.Confusion[c][c] == 0 {
		return 0
	}
	return 2 * float64(m.Confusion[c][c]) / float64(taken+m.Count[c])
}

// surprise is -log of the probability that outputs y give to class k, -1 for
// none; probable says that y are probabilities, else they are logits. Less than
// 1/512, half of what an int8 Softmax can tell from 0, counts as that.
func surprise(y []float32, k int, probable bool) float64 {
	const least = 1.0 / 512
	p := float32(0)
	switch {
	case k < 0:
	case probable:
		p = y[k]
	default:
		var sum float32
		for _, v := range y {
			sum += kernels.Exp(v - y[k])
		}
		p = 1 / sum
	}
	return -float64(kernels.Log(max(p, least)))
}

// argmax returns the index of the highest value, the first of equals.
func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
