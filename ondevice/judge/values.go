package judge

import (
	"fmt"
	"math"
)

// Values is how near predicted values are.
type Values struct {
	Samples int
	MAE     float64 // mean of |y - t|
	RMSE    float64 // root of the mean of (y - t)²
	R2      float64 // 1 - Σ(y-t)² / Σ(t-mean t)²; of several outputs the mean. NaN for targets that are all the same
}

// Compare compares predictions with targets, each a row of outputs a sample.
func Compare(predicted, target [][]float32) (*Values, error) {
	n := len(target)
	if n == 0 || len(predicted) != n {
		return nil, fmt.Errorf("judge: %d predictions for %d targets", len(predicted), n)
	}
	outputs := len(target[0])
	v := &Values{Samples: n}
	squares := 0.0
	for o := range outputs {
		var mean, rest, spread float64
		for i, t := range target {
			if len(t) != outputs || len(predicted[i]) != outputs {
				return nil, fmt.Errorf("judge: sample %d has %d predictions for %d targets, sample 0 has %d", i, len(predicted[i]), len(t), outputs)
			}
			d := float64(predicted[i][o]) - float64(t[o])
			v.MAE += math.Abs(d)
			rest += d * d
			mean += float64(t[o])
		}
		mean /= float64(n)
		for _, t := range target {
			d := float64(t[o]) - mean
			spread += d * d
		}
		squares += rest
		if spread == 0 {
			v.R2 = math.NaN()
		}
		v.R2 += (1 - rest/spread) / float64(outputs)
	}
	all := float64(n) * float64(outputs)
	v.MAE, v.RMSE = v.MAE/all, math.Sqrt(squares/all)
	return v, nil
}

// quantiles are those of Student's distribution at 0.975 for 1 to 30 degrees of
// freedom (Student, 1908).
var quantiles = []float64{
	12.7062047, 4.30265273, 3.18244631, 2.77644511, 2.57058184, 2.44691185, 2.36462425, 2.30600414, 2.26215716, 2.22813885,
	2.20098516, 2.17881283, 2.16036866, 2.14478669, 2.13144955, 2.11990530, 2.10981558, 2.10092204, 2.09302405, 2.08596345,
	2.07961384, 2.07387307, 2.06865761, 2.06389856, 2.05953855, 2.05552944, 2.05183052, 2.04840714, 2.04522964, 2.04227246,
}

// Interval returns the mean of the results of several seeds and the half of its
// interval of 95 % confidence, by Student's distribution; above 31 results by the
// normal one with the first term of its difference. One result has no interval: it
// is infinite.
func Interval(results []float64) (mean, half float64) {
	n := float64(len(results))
	for _, v := range results {
		mean += v
	}
	mean /= n
	if n < 2 {
		return mean, math.Inf(1)
	}
	var squares float64
	for _, v := range results {
		squares += (v - mean) * (v - mean)
	}
	const z = 1.959963985
	df := len(results) - 1
	t := z + (z*z*z+z)/(4*float64(df))
	if df <= len(quantiles) {
		t = quantiles[df-1]
	}
	return mean, t * math.Sqrt(squares/(n-1)/n)
}
