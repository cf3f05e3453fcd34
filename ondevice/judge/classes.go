// Package judge measures how good predictions are: of classes, of values, over
// several seeds, and along training.
//
// What scikit-learn has under the same name gives the same numbers.
package judge

import (
	"cmp"
	"math"
	"slices"
)

// aucClasses is up to how many classes scores are kept for the AUC.
const aucClasses = 32

// bins are those of the calibration error.
const bins = 15

// Classes collects predictions of classes. Make it with [NewClasses].
type Classes struct {
	Confusion [][]int // [class][prediction]

	scores     [][]float32 // by class, then sample; nil with too many classes
	class      []int
	probable   bool
	count      [bins]int
	right, sum [bins]float64
}

// NewClasses makes a collection for so many classes.
func NewClasses(n int) *Classes {
	c := &Classes{Confusion: make([][]int, n), probable: true}
	for i := range c.Confusion {
		c.Confusion[i] = make([]int, n)
	}
	if n <= aucClasses {
		c.scores = make([][]float32, n)
	}
	return c
}

// Add takes in a sample's scores, one a class, and its class. The prediction is
// the highest score, the first of equal ones.
func (c *Classes) Add(scores []float32, class int) {
	best, total := 0, 0.0
	for i, v := range scores {
		if v > scores[best] {
			best = i
		}
		c.probable = c.probable && v >= 0 && v <= 1
		total += float64(v)
	}
	c.Confusion[class][best]++
	c.class = append(c.class, class)
	for i := range c.scores {
		c.scores[i] = append(c.scores[i], scores[i])
	}
	// Quantized probabilities add up to 1 within a step for each class.
	c.probable = c.probable && math.Abs(total-1) < 0.01+float64(len(scores))/256
	if !c.probable {
		return
	}
	p := float64(scores[best])
	b := min(max(int(math.Ceil(p*bins))-1, 0), bins-1) // (0, 1/15], (1/15, 2/15] and so on
	c.count[b]++
	c.sum[b] += p
	if best == class {
		c.right[b]++
	}
}

// A Class is how well one class is predicted.
type Class struct {
	Samples               int
	Precision, Recall, F1 float64
}

// Result is what [Classes] sums up to. Precision, recall and F1 are the means over
// the classes that have samples; what would be 0/0 is 0.
type Result struct {
	Samples                         int
	Accuracy, Precision, Recall, F1 float64

	// AUC is the chance that a sample of a class scores higher for it than one of
	// another class, equal scores counting half (the statistic of Mann and Whitney),
	// of two classes for the second one, of more the mean over the classes ("ovr",
	// "macro"). NaN where there are too many classes or a class has no or all samples.
	AUC float64

	// Calibration is the expected calibration error over 15 bins of the highest
	// probability (Guo et al., 2017, arXiv:1706.04599, formula 3); NaN if the scores
	// are no probabilities.
	Calibration float64

	Classes []Class
}

// Result sums up.
func (c *Classes) Result() *Result {
	r := &Result{Samples: len(c.class), Classes: make([]Class, len(c.Confusion)), AUC: c.auc(), Calibration: math.NaN()}
	right, with := 0, 0
	for i := range r.Classes {
		k := &r.Classes[i]
		hit, predicted := c.Confusion[i][i], 0
		for o := range c.Confusion {
			k.Samples += c.Confusion[i][o]
			predicted += c.Confusion[o][i]
		}
		k.Precision, k.Recall, k.F1 = ratio(hit, predicted), ratio(hit, k.Samples), ratio(2*hit, predicted+k.Samples)
		right += hit
		if k.Samples > 0 {
			with++
			r.Precision += k.Precision
			r.Recall += k.Recall
			r.F1 += k.F1
		}
	}
	r.Accuracy = ratio(right, r.Samples)
	if with > 0 {
		n := float64(with)
		r.Precision, r.Recall, r.F1 = r.Precision/n, r.Recall/n, r.F1/n
	}
	if c.probable && r.Samples > 0 {
		r.Calibration = 0
		for b := range bins {
			r.Calibration += math.Abs(c.right[b]-c.sum[b]) / float64(r.Samples)
		}
	}
	return r
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func (c *Classes) auc() float64 {
	switch n := len(c.scores); {
	case n < 2:
		return math.NaN()
	case n == 2:
		return auc(c.scores[1], c.class, 1)
	}
	sum := 0.0
	for i, s := range c.scores {
		sum += auc(s, c.class, i)
	}
	return sum / float64(len(c.scores))
}

// auc is that of one class against the others.
func auc(scores []float32, class []int, one int) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	rankSum, ones := 0.0, 0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		j = max(j, i+1) // NaN equals nothing, not even itself
		for _, k := range order[i:j] {
			if class[k] == one {
				rankSum += float64(i+j+1) / 2 // the mean of ranks i+1 to j
				ones++
			}
		}
		i = j
	}
	n, o := float64(ones), float64(len(class)-ones)
	if n == 0 || o == 0 {
		return math.NaN()
	}
	return (rankSum - n*(n+1)/2) / (n * o)
}
