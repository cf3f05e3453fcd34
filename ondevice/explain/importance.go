package explain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/runtime"
)

// Importance is how much each value of the inputs counts for a model of tables: by
// how much the error grows when the value is permuted among the samples (Breiman,
// "Random Forests", 2001, section 10), the mean over rounds. The error is the part
// of wrong classes, or the mean squared error of targets. The model's input and
// output are float32.
func Importance(ctx context.Context, m *format.Model, data *fit.Data, rounds int, seed uint64, opts ...runtime.Option) ([]float64, error) {
	if data.Len() == 0 || rounds < 1 {
		return nil, fmt.Errorf("explain: %d samples, %d rounds", data.Len(), rounds)
	}
	failure := func(x [][]float32) (float64, error) {
		y, err := fit.Predict(ctx, m, x, opts...)
		if err != nil {
			return 0, err
		}
		sum := 0.0
		for i, s := range y {
			switch {
			case data.Target != nil:
				for k, v := range s {
					d := float64(v - data.Target[i][k])
					sum += d * d / float64(len(s))
				}
			case slices.Index(s, slices.Max(s)) != data.Class[i]:
				sum++
			}
		}
		return sum / float64(len(y)), nil
	}
	before, err := failure(data.X)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 0x696d_706f_7274))
	importance := make([]float64, len(data.X[0]))
	x := make([][]float32, data.Len())
	for f := range importance {
		for range rounds {
			order := r.Perm(len(x))
			for i := range x {
				x[i] = slices.Clone(data.X[i])
				x[i][f] = data.X[order[i]][f]
			}
			after, err := failure(x)
			if err != nil {
				return nil, err
			}
			importance[f] += (after - before) / float64(rounds)
		}
	}
	return importance, nil
}
