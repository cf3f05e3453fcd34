package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"sync"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
)

// trainFlags are the flags that train the model and make it smaller before it is
// quantized.
type trainFlags struct {
	data    string
	epochs  int
	rate    float64
	prune   float64
	sparse  float64
	cluster int
}

// given reports whether the flags change the model.
func (f *trainFlags) given() bool { return f.data != "" || f.sparse != 0 || f.cluster != 0 }

func (f *trainFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.data, "train", "", "labelled samples to train the float model on before it is quantized: a folder DIR/<label>/<files>, a .csv, or an .npz with x and y; for int8 the training sees int8's rounding")
	s.IntVar(&f.epochs, "epochs", 2, "times that the training sees all samples")
	s.Float64Var(&f.rate, "rate", 0.0005, "learning rate at the start")
	s.Float64Var(&f.prune, "prune", 0, "keep this part of the multiply-accumulates, as 0.5: channels that matter least go, and what is left is trained on the samples of --train")
	s.Float64Var(&f.sparse, "sparse", 0, "make this part of the weights zero, as 0.8, train the others if there is --train, and store none of the zeros where that is smaller")
	s.IntVar(&f.cluster, "cluster", 0, "let the weights of a matrix share this many values, 2 to 256, and store a byte for each")
}

// check finds what is wrong with the flags alone.
func (f *trainFlags) check() error {
	switch {
	case f.prune != 0 && !(f.prune > 0 && f.prune < 1):
		return fmt.Errorf("--prune %g: write the part of the multiply-accumulates to keep, between 0 and 1", f.prune)
	case f.prune != 0 && f.data == "":
		return errors.New("--prune needs labelled samples: give some with --train")
	case f.sparse != 0 && !(f.sparse > 0 && f.sparse < 1):
		return fmt.Errorf("--sparse %g: write the part of the weights that becomes zero, between 0 and 1", f.sparse)
	case f.cluster != 0 && (f.cluster < 2 || f.cluster > 256):
		return fmt.Errorf("--cluster %d: choose 2 to 256 values", f.cluster)
	case f.sparse != 0 && f.cluster != 0:
		return errors.New("--sparse and --cluster are two ways to store the same weights: choose one")
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
		m, err := f.thin(m)
		return m, nil, err
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
	o := quant.TuneOptions{Epochs: f.epochs, Rate: float32(f.rate), Sparse: f.sparse != 0, Step: func(done int, _ float64) { b.set(done) }}
	var pruned []quant.Pruned
	if f.prune != 0 {
		b.stage("pruning")
		if m, pruned, err = quant.Prune(ctx, m, data, quant.PruneOptions{MACs: f.prune, Tune: o}); err != nil {
			return nil, nil, err
		}
		note(m, fmt.Sprintf("pruned to %g of the multiply-accumulates", f.prune))
	}
	if m, err = f.thin(m); err != nil {
		return nil, nil, err
	}
	if aware || pruned == nil || f.sparse != 0 {
		if aware {
			b.stage("looking at the ranges")
			few := *c
			few.thin(aheadSamples)
			obs, err := quant.Observe(ctx, m, few.samples(func(int) {}))
			if err != nil {
				return nil, nil, err
			}
			o.Fake = obs.Ranges(quant.MSE)
			maps.Copy(o.Fake, pixelRanges(m))
		}
		b.stage("training")
		if m, err = quant.Tune(ctx, m, data, o); err != nil {
			return nil, nil, err
		}
	}
	note(m, fmt.Sprintf("trained on %d samples", c.n))
	return m, pruned, nil
}

// thin makes weights zero.
func (f *trainFlags) thin(m *format.Model) (*format.Model, error) {
	if f.sparse == 0 {
		return m, nil
	}
	m, err := quant.Thin(m, f.sparse)
	if err == nil {
		note(m, fmt.Sprintf("%g of the weights zero", f.sparse))
	}
	return m, err
}

// store changes how the weights are stored that no scheme of --quantize stores in
// its own way.
func (f *trainFlags) store(m *format.Model) (*format.Model, error) {
	switch {
	case f.sparse != 0:
		m, _, err := quant.Sparse(m)
		return m, err
	case f.cluster != 0:
		m, err := quant.Cluster(m, f.cluster)
		if err == nil {
			note(m, fmt.Sprintf("weights of %d values", f.cluster))
		}
		return m, err
	}
	return m, nil
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
