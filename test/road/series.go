package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/judge"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/mel"
)

// motions reads a file of aeon's .ts form: a sample a line, its dimensions with
// colons between them, the class last. Samples become [steps, dimensions].
func motions(path string) (*fit.Data, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &fit.Data{}
	var classes []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if names, ok := strings.CutPrefix(line, "@classLabel true "); ok {
			classes = strings.Fields(names)
		}
		if line == "" || line[0] == '#' || line[0] == '@' {
			continue
		}
		parts := strings.Split(line, ":")
		n := len(parts) - 1
		var x []float32
		for k, part := range parts[:n] {
			values := strings.Split(part, ",")
			if x == nil {
				x = make([]float32, n*len(values))
			}
			for t, v := range values {
				y, err := strconv.ParseFloat(v, 32)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
				x[t*n+k] = float32(y)
			}
		}
		d.X, d.Class = append(d.X, x), append(d.Class, slices.Index(classes, parts[n]))
	}
	return d, lines.Err()
}

// Spoken digits as 32 frames of 20 mel bands: a second of sound at 8 kHz.
const (
	digitFrames = 32
	digitBands  = 20
)

// digits reads the recordings of which keep says so by their number.
func digits(dir string, keep func(recording int) bool) (*fit.Data, error) {
	s, err := mel.New(mel.Params{Rate: 8000, FFT: 512, Hop: 250, Shape: "hann", Center: true, Pad: "constant", Power: 2, Mels: digitBands, Low: 60, High: 4000, Norm: true, Log: "db", Ref: 1, Floor: 1e-10, Range: 80})
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.wav"))
	if err != nil {
		return nil, err
	}
	d := &fit.Data{}
	for _, path := range files {
		parts := strings.Split(strings.TrimSuffix(filepath.Base(path), ".wav"), "_")
		class, err := strconv.Atoi(parts[0])
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(parts[len(parts)-1])
		if err != nil {
			return nil, err
		}
		if !keep(number) {
			continue
		}
		sound, err := pre.ReadFile(path)
		if err != nil {
			return nil, err
		}
		v, err := sound.Float32s()
		if err != nil {
			return nil, err
		}
		v = append(v, make([]float32, 8000)...)[:8000]
		frames := s.Compute(v)
		d.X, d.Class = append(d.X, frames[:digitFrames*digitBands]), append(d.Class, class)
	}
	return d, nil
}

// standardize takes the mean and deviation of every dimension over the training
// part off both parts.
func standardize(dims int, parts ...*fit.Data) {
	for k := range dims {
		var sum, squares, n float64
		for _, x := range parts[0].X {
			for i := k; i < len(x); i += dims {
				sum += float64(x[i])
				n++
			}
		}
		mean := sum / n
		for _, x := range parts[0].X {
			for i := k; i < len(x); i += dims {
				squares += (float64(x[i]) - mean) * (float64(x[i]) - mean)
			}
		}
		std := math.Sqrt(squares / (n - 1))
		for _, p := range parts {
			for _, x := range p.X {
				for i := k; i < len(x); i += dims {
					x[i] = float32((float64(x[i]) - mean) / std)
				}
			}
		}
	}
}

// lstm trains a recurrent classifier on motions of the wrist and on spoken digits,
// on both sides from the same weights and in the same order.
func lstm(ctx context.Context, c *config) error {
	at := func(name string) string { return filepath.Join(c.material, "datasets", name) }
	type set struct {
		Name                 string
		Epochs, Batch        int
		Clip                 float32 // bound of the gradient\'s norm; 0: none
		Steps, Dims, Classes int
		Seeds                int
		train, test          *fit.Data
	}
	train, err := motions(at("timeseries/BasicMotions/BasicMotions_TRAIN.ts"))
	if err != nil {
		return err
	}
	test, err := motions(at("timeseries/BasicMotions/BasicMotions_TEST.ts"))
	if err != nil {
		return err
	}
	first, err := digits(at("fsdd"), func(n int) bool { return n >= 5 })
	if err != nil {
		return err
	}
	last, err := digits(at("fsdd"), func(n int) bool { return n < 5 }) // as the data's makers split it
	if err != nil {
		return err
	}
	for _, s := range []set{
		{"BasicMotions", 200, 8, 1, 100, 6, 4, c.seeds, train, test},
		{"fsdd", 40, 32, 0, digitFrames, digitBands, 10, c.seeds, first, last},
	} {
		standardize(s.Dims, s.train, s.test)
		s.train = s.train.Subset(rand.New(rand.NewPCG(1, 2)).Perm(s.train.Len())) // one order for both sides
		var ours, began []float64
		var seconds float64
		for seed := range uint64(c.seeds) {
			m, err := network([]int{s.Steps, s.Dims}, "lstm(32)+dense(n,softmax)", s.Classes, seed)
			if err != nil {
				return err
			}
			if err := c.write(fmt.Sprintf("lstm%d.json", seed), weights(m)); err != nil {
				return err
			}
			begin := time.Now()
			r, err := fit.Train(ctx, m, s.train, fit.Options{Epochs: s.Epochs, Batch: s.Batch, Ordered: true, Rate: 2e-3, ClipNorm: s.Clip})
			if err != nil {
				return err
			}
			seconds += time.Since(begin).Seconds()
			began = append(began, r.Curve[0].Loss)
			y, err := fit.Predict(ctx, r.Model, s.test.X)
			if err != nil {
				return err
			}
			ours = append(ours, accuracy(y, s.test.Class))
		}
		for part, d := range map[string]*fit.Data{"train": s.train, "test": s.test} {
			if err := c.write(part+".x", slices.Concat(d.X...)); err != nil {
				return err
			}
			if err := c.write(part+"_y.json", d.Class); err != nil {
				return err
			}
		}
		if err := c.write("lstm.json", s); err != nil {
			return err
		}
		var peer struct {
			Scores, First []float64 // First: the first epoch's loss
			Seconds       float64
		}
		if err := c.peer(ctx, &peer, "lstm"); err != nil {
			return err
		}
		theirs, epochs := peer.Scores, float64(c.seeds*s.Epochs)
		mean, half := judge.Interval(ours)
		other, otherHalf := judge.Interval(theirs)
		fmt.Printf("%s: whet %.4f ± %.4f, Keras %.4f ± %.4f over %d seeds; %.3f and %.3f s an epoch\n",
			s.Name, mean, half, other, otherHalf, c.seeds, seconds/epochs, peer.Seconds/epochs)
		var apart float64
		for i, v := range peer.First {
			apart = max(apart, math.Abs(began[i]/v-1))
		}
		c.check(s.Name+": loss of the first epoch, relative difference", apart, apart <= 0.01, "at most 0.01")
		c.check(s.Name+": points below Keras", 100*(other-mean), other-mean <= 0.01, "at most 1")
	}
	return nil
}
