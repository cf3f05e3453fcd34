// Command shrink trains the small CNN of many tutorials on Fashion-MNIST, makes
// it smaller in all ways that there are, and prints what each costs and gives.
//
//	go run ./test/shrink --data DIR [--model FILE.whet] [--train N] [--json]
//	go run ./test/shrink --stories MODEL.safetensors
//
// DIR holds the data set as it is published (Debian: dataset-fashion-mnist).
// Without --model the network is trained first, which takes some minutes. Times
// are the least of many runs on one thread, the models taking turns. A network of dense
// layers alone stands below, for what int4 does to those. --stories prints what it does
// to a small language model instead.
//
// The exit code is 1 if pruning to half of the multiply-accumulates loses more
// than a point, also against the whole network with as much training more, or is less
// than 1.6 times as fast, if int4 raises the loss by more
// than 1 % or takes more than 0.6 of int8's bytes, or if int8 loses more than
// half a point.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// A row is a form of the network.
type row struct {
	Name     string  `json:"name"`
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"` // mean cross-entropy
	Bytes    int     `json:"file_bytes"`
	MACs     int64   `json:"macs"`
	RunNS    int64   `json:"run_ns"`
	model    *format.Model
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("shrink", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("data", "", "folder with Fashion-MNIST (required)")
	path := fs.String("model", "", "the trained network; it is trained and written there if there is no such file")
	n := fs.Int("train", 20000, "images to train each smaller form on")
	story := fs.String("stories", "", "a language model of stories: print what blocks cost it")
	asJSON := fs.Bool("json", false, "print the table as JSON")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if (*dir == "") == (*story == "") || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "shrink: give --data DIR or --stories FILE and no other arguments")
		return 2
	}
	if *story != "" {
		if err := stories(context.Background(), stdout, *story); err != nil {
			fmt.Fprintln(stderr, "shrink:", err)
			return 1
		}
		return 0
	}
	rows, err := table(context.Background(), *dir, *path, *n, stderr)
	if err == nil {
		err = print(stdout, rows, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(stderr, "shrink:", err)
		return 1
	}
	code := 0
	for _, why := range failures(rows) {
		fmt.Fprintln(stderr, "shrink:", why)
		code = 1
	}
	return code
}

// pruneRounds is how often pruning takes channels out and trains what is left.
const pruneRounds = 3

// Names of rows that bounds are set for.
const (
	nameFloat  = "float32"
	nameLonger = "float32, trained as long as the next"
	namePruned = "half of the MACs"
	nameInt8   = "int8"
	nameInt4   = "int4 in blocks of 32"
	nameBytes  = "int8 in blocks of 32"

	nameDense      = "dense layers alone, float32"
	nameDenseBytes = "dense layers alone, int8 in blocks of 32"
	nameDenseInt4  = "dense layers alone, int4 in blocks of 32"
)

func failures(rows []*row) []string {
	by := map[string]*row{}
	for _, r := range rows {
		by[r.Name] = r
	}
	float, pruned := by[nameFloat], by[namePruned]
	var out []string
	fail := func(bad bool, format string, a ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, a...))
		}
	}
	full := max(float.Accuracy, by[nameLonger].Accuracy)
	fail(full-pruned.Accuracy > 0.01, "pruning loses %.2f points", 100*(full-pruned.Accuracy))
	fail(2*pruned.MACs > float.MACs, "%d of %d multiply-accumulates are left", pruned.MACs, float.MACs)
	fail(float64(float.RunNS) < 1.6*float64(pruned.RunNS), "the pruned network is %.2f times as fast", float64(float.RunNS)/float64(pruned.RunNS))
	fail(float.Accuracy-by[nameInt8].Accuracy > 0.005, "int8 loses %.2f points", 100*(float.Accuracy-by[nameInt8].Accuracy))
	for _, names := range [][3]string{{nameFloat, nameBytes, nameInt4}, {nameDense, nameDenseBytes, nameDenseInt4}} {
		float, bytes, int4 := by[names[0]], by[names[1]], by[names[2]]
		fail(int4.Loss > 1.01*float.Loss, "%s: int4 raises the loss by %.2f %%", names[0], 100*(int4.Loss/float.Loss-1))
		fail(float64(int4.Bytes) > 0.6*float64(bytes.Bytes), "%s: int4 takes %.3f of int8's bytes", names[0], float64(int4.Bytes)/float64(bytes.Bytes))
	}
	return out
}

// table makes all forms and measures them.
func table(ctx context.Context, dir, path string, n int, stderr io.Writer) ([]*row, error) {
	train, err := load(dir, "train")
	if err != nil {
		return nil, err
	}
	test, err := load(dir, "t10k")
	if err != nil {
		return nil, err
	}
	say := func(what string) { fmt.Fprintln(stderr, time.Now().Format(time.TimeOnly), what) }
	m, err := trained(ctx, path, train, say)
	if err != nil {
		return nil, err
	}
	some := train.labelled(n)
	tune := quant.TuneOptions{Rate: 5e-4}
	calibration := train.samples(256)
	int8 := func(m *format.Model) (*format.Model, error) {
		r, err := quant.Quantize(ctx, m, calibration, quant.Options{})
		if err != nil {
			return nil, err
		}
		return r.Model, nil
	}
	blocks := func(of **format.Model, bits int) func() (*format.Model, error) {
		return func() (*format.Model, error) {
			return quant.Blocks(ctx, *of, quant.BlockOptions{Bits: bits, Size: 32, Samples: train.samples(1024)})
		}
	}
	var pruned, dense *format.Model
	var rows []*row
	for _, form := range []struct {
		name string
		make func() (*format.Model, error)
	}{
		{nameFloat, func() (*format.Model, error) { return m, nil }},
		{"float16", func() (*format.Model, error) { return quant.Half(m, format.Float16) }},
		{"bfloat16", func() (*format.Model, error) { return quant.Half(m, format.BFloat16) }},
		{nameInt8, func() (*format.Model, error) { return int8(m) }},
		{"int8, trained for it", func() (*format.Model, error) {
			obs, err := quant.Observe(ctx, m, calibration)
			if err != nil {
				return nil, err
			}
			o := tune
			o.Fake = obs.Ranges(quant.MSE)
			aware, err := quant.Tune(ctx, m, some, o)
			if err != nil {
				return nil, err
			}
			return int8(aware)
		}},
		{nameBytes, blocks(&m, 8)},
		{nameInt4, blocks(&m, 4)},
		{"16 values a matrix", func() (*format.Model, error) { return quant.Cluster(m, 16) }},
		{"256 values a matrix", func() (*format.Model, error) { return quant.Cluster(m, 256) }},
		{"a fifth of the weights", func() (*format.Model, error) {
			t, err := quant.Thin(m, 0.8)
			if err != nil {
				return nil, err
			}
			o := tune
			o.Sparse, o.Epochs, o.Rate = true, 2, 1e-3
			if t, err = quant.Tune(ctx, t, some, o); err != nil {
				return nil, err
			}
			s, _, err := quant.Sparse(t)
			return s, err
		}},
		{nameLonger, func() (*format.Model, error) { // so that pruning is not praised for its fine-tune
			longer := m
			for range pruneRounds {
				if longer, err = quant.Tune(ctx, longer, some, tune); err != nil {
					return nil, err
				}
			}
			return longer, nil
		}},
		{namePruned, func() (*format.Model, error) {
			pruned, _, err = quant.Prune(ctx, m, some, quant.PruneOptions{MACs: 0.5, Rounds: pruneRounds, Tune: tune})
			return pruned, err
		}},
		{"half of the MACs, int8", func() (*format.Model, error) { return int8(pruned) }},
		{nameDense, func() (*format.Model, error) {
			layers, err := build.Parse("flatten+dense(256,relu)+dense(128,relu)+dense(n,softmax)", classes)
			if err != nil {
				return nil, err
			}
			if dense, err = build.New([]int{side, side, 1}, 1, layers...); err != nil {
				return nil, err
			}
			dense, err = quant.Tune(ctx, dense, train.labelled(math.MaxInt), quant.TuneOptions{Epochs: 2})
			return dense, err
		}},
		{nameDenseBytes, blocks(&dense, 8)},
		{nameDenseInt4, blocks(&dense, 4)},
	} {
		say(form.name)
		f, err := form.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", form.name, err)
		}
		r := &row{Name: form.name, model: f}
		if err := r.measure(ctx, test); err != nil {
			return nil, fmt.Errorf("%s: %w", form.name, err)
		}
		rows = append(rows, r)
	}
	say("timing")
	return rows, clock(ctx, rows, test)
}

// trained returns the network, from the file if there is one.
func trained(ctx context.Context, path string, train *images, say func(string)) (*format.Model, error) {
	if path != "" {
		if _, err := os.Stat(path); err == nil {
			return format.Open(path)
		}
	}
	say("training")
	m, err := quant.Tune(ctx, newNetwork(1), train.labelled(math.MaxInt), quant.TuneOptions{Epochs: 2})
	if err != nil || path == "" {
		return m, err
	}
	return m, format.WriteFile(path, m)
}

// measure fills in all but the time.
func (r *row) measure(ctx context.Context, d *images) error {
	var b bytes.Buffer
	if err := format.Write(&b, r.model); err != nil {
		return err
	}
	r.Bytes = b.Len()
	p, err := runtime.Compile(r.model)
	if err != nil {
		return err
	}
	for _, s := range p.Steps() {
		r.MACs += s.MACs
	}
	s := p.NewSession()
	defer s.Close()
	x := quant.Sample{make([]float32, side*side)}
	for i, c := range d.class {
		if err := d.fill(i, x); err != nil {
			return err
		}
		if err := s.Input(0).SetFloat32(x[0]); err != nil {
			return err
		}
		if err := s.Run(ctx); err != nil {
			return err
		}
		y := s.Output(0).Float32()
		best := 0
		for k, v := range y {
			if v > y[best] {
				best = k
			}
		}
		if best == c {
			r.Accuracy += 1 / float64(len(d.class))
		}
		// A probability that int8 rounds to 0 counts as half a step.
		r.Loss -= math.Log(max(float64(y[c]), 1.0/512)) / float64(len(d.class))
	}
	return nil
}

// clock times all models in turns.
func clock(ctx context.Context, rows []*row, d *images) error {
	const turns, runs = 20, 50
	var sessions []*runtime.Session
	x := quant.Sample{make([]float32, side*side)}
	if err := d.fill(0, x); err != nil {
		return err
	}
	for _, r := range rows {
		p, err := runtime.Compile(r.model, runtime.WithThreads(1))
		if err != nil {
			return err
		}
		s := p.NewSession()
		defer s.Close()
		if err := s.Input(0).SetFloat32(x[0]); err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	for range turns {
		for i, s := range sessions {
			for range runs {
				start := time.Now()
				if err := s.Run(ctx); err != nil {
					return err
				}
				if t := time.Since(start).Nanoseconds(); rows[i].RunNS == 0 || t < rows[i].RunNS {
					rows[i].RunNS = t
				}
			}
		}
	}
	return nil
}

func print(w io.Writer, rows []*row, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "form\taccuracy\tloss\tfile bytes\tof float32\tMMACs\tµs a run\ttimes as fast\t")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%.4f\t%.4f\t%d\t%.3f\t%.2f\t%.1f\t%.2f\t\n", r.Name, r.Accuracy, r.Loss, r.Bytes,
			float64(r.Bytes)/float64(rows[0].Bytes), float64(r.MACs)/1e6, float64(r.RunNS)/1e3, float64(rows[0].RunNS)/float64(r.RunNS))
	}
	return tw.Flush()
}
