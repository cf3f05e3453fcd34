package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
)

// trainFlags are the flags that train the model before it is quantized.
type trainFlags struct {
	data   string
	epochs int
	rate   float64
	prune  float64
}

func (f *trainFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.data, "train", "", "labelled samples to train the float model on before it is quantized: a folder DIR/<label>/<files>, a .csv, or an .npz with x and y; for int8 the training sees int8's rounding")
	s.IntVar(&f.epochs, "epochs", 2, "times that the training sees all samples")
	s.Float64Var(&f.rate, "rate", 0.0005, "learning rate at the start")
	s.Float64Var(&f.prune, "prune", 0, "keep this part of the multiply-accumulates, as 0.5: channels that matter least go, and what is left is trained on the samples of --train")
}

// check finds what is wrong with the flags alone.
func (f *trainFlags) check() error {
	switch {
	case f.prune != 0 && !(f.prune > 0 && f.prune < 1):
		return fmt.Errorf("--prune %g: write the part of the multiply-accumulates to keep, between 0 and 1", f.prune)
	case f.prune != 0 && f.data == "":
		return errors.New("--prune needs labelled samples: give some with --train")
	case f.epochs < 1:
		return fmt.Errorf("--epochs %d: at least 1 is needed", f.epochs)
	case !(f.rate > 0 && f.rate <= 1):
		return fmt.Errorf("--rate %g: choose a learning rate above 0 and up to 1", f.rate)
	}
	return nil
}

// apply trains the model and returns it with what the pruning took out.
func (f *trainFlags) apply(ctx context.Context, m *format.Model, aware bool, stderr io.Writer) (*format.Model, []quant.Pruned, error) {
	if f.data == "" {
		return m, nil, nil
	}
	c, err := openCalibration(m, f.data, math.MaxInt)
	if err != nil {
		return nil, nil, err
	}
	if c.class == nil {
		return nil, nil, fmt.Errorf("--train %s does not say the model's class of each sample: name the classes as the model does, or by their numbers", f.data)
	}
	b := newBar(stderr, c.n*f.epochs)
	defer b.done()
	var one sync.Mutex // files are read one at a time
	data := quant.Labelled{Class: c.class, At: func(i int, x quant.Sample) error {
		one.Lock()
		defer one.Unlock()
		return c.fill(i, x)
	}}
	o := quant.TuneOptions{Epochs: f.epochs, Rate: float32(f.rate), Step: func(done int, _ float64) { b.set(done) }}
	var pruned []quant.Pruned
	if f.prune != 0 {
		b.stage("pruning")
		if m, pruned, err = quant.Prune(ctx, m, data, quant.PruneOptions{MACs: f.prune, Tune: o}); err != nil {
			return nil, nil, err
		}
		note(m, fmt.Sprintf("pruned to %g of the multiply-accumulates", f.prune))
	}
	if aware || pruned == nil {
		if aware {
			b.stage("looking at the ranges")
			few := *c
			few.thin(aheadSamples)
			obs, err := quant.Observe(ctx, m, few.samples(func(int) {}))
			if err != nil {
				return nil, nil, err
			}
			o.Fake = obs.Ranges(quant.MSE)
			for name, r := range pixelRanges(m) {
				o.Fake[name] = r
			}
		}
		b.stage("training")
		if m, err = quant.Tune(ctx, m, data, o); err != nil {
			return nil, nil, err
		}
	}
	note(m, fmt.Sprintf("trained on %d samples", c.n))
	return m, pruned, nil
}

// printPruned says what the layers lost.
func printPruned(w io.Writer, list []quant.Pruned) error {
	for _, p := range list {
		if _, err := fmt.Fprintf(w, "  %s: %d of %d channels, %d of %d multiply-accumulates\n", short(p.Node), p.Left, p.Channels, p.MACsLeft, p.MACs); err != nil {
			return err
		}
	}
	return nil
}

// aheadSamples bounds the samples that ranges are taken from for the training.
const aheadSamples = 128
