package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/private"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// privateResult is what whet tune --private prints.
type privateResult struct {
	Model   string        `json:"model"`
	Output  string        `json:"output"`
	Passed  bool          `json:"passed"`
	Verdict string        `json:"verdict,omitempty"` // why the result was refused
	Bytes   int64         `json:"output_bytes"`
	Train   int           `json:"train_samples"`
	Val     int           `json:"val_samples"`
	Base    *float64      `json:"base_accuracy,omitempty"` // on the validation samples
	Tuned   *float64      `json:"tuned_accuracy,omitempty"`
	Privacy privacySpent  `json:"privacy"`
	Leaves  []privacyItem `json:"leaves"` // all that the delta tells
	TrainNS int64         `json:"train_ns"`
}

// privacySpent is what a training cost: (epsilon, delta)-differential privacy of
// every training sample's presence.
type privacySpent struct {
	Epsilon float64 `json:"epsilon"`
	Delta   float64 `json:"delta"`
	Noise   float64 `json:"noise"`         // standard deviation, in clipping norms
	Rate    float64 `json:"sampling_rate"` // of a sample in a step
	Steps   int     `json:"steps"`
	Clipped float64 `json:"clipped"` // part of the gradients that were longer than the norm
}

type privacyItem struct {
	What   string `json:"what"`
	Name   string `json:"name,omitempty"`
	Values int    `json:"values"`
	Bytes  int    `json:"bytes"`
}

// parsePrivate reads --private: epsilon=2,delta=1e-5,clip=1.
func parsePrivate(s string) (o private.Options, err error) {
	for part := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return o, usagef("--private %s: epsilon, delta and clip with positive numbers are known, as in epsilon=2,delta=1e-5", s)
		}
		switch key {
		case "epsilon":
			o.Epsilon = v
		case "delta":
			o.Delta = v
		case "clip":
			o.Clip = float32(v)
		default:
			return o, usagef("--private %s: %q is unknown; epsilon, delta and clip are known", s, key)
		}
	}
	if o.Epsilon == 0 || o.Delta >= 1 {
		return o, usagef("--private %s: an epsilon is needed, such as epsilon=2, and a delta below 1", s)
	}
	return o, nil
}

// alone are the flags that mean something for --private.
var alone = map[string]bool{"private": true, "data": true, "output": true, "val": true, "epochs": true, "batch": true, "lr": true, "seed": true, "delta": true, "threads": true, "json": true}

// runPrivate trains a head so that no sample shows in the delta.
func (f *tuneFlags) runPrivate(cmd *cobra.Command, model string) error {
	o, err := parsePrivate(f.private)
	if err != nil {
		return err
	}
	for _, name := range changedFlags(cmd) {
		if !alone[name] {
			return usagef("--%s does not go with --private, which trains the head by its own method", name)
		}
	}
	tune, err := f.options() // epochs and the like are checked there
	if err != nil {
		return err
	}
	o.Epochs, o.Batch, o.Rate = tune.Epochs, tune.Batch, tune.LR
	m, err := f.open(model)
	if err != nil {
		return err
	}
	defer m.Close()
	train, err := openData(m, f.data)
	if err != nil {
		return err
	}
	if err := f.validation(cmd, m, &tune); err != nil {
		return err
	}
	var val *pre.Data
	switch held := tune.ValData.(type) {
	case tuneData:
		val = held.Data
	case nil:
		if tune.Val > 0 {
			a, b := fit.Stratified(train.Class, tune.Val, f.seed)
			train, val = train.Subset(a), train.Subset(b)
		}
	}
	r := &privateResult{Model: model, Output: f.out, Train: train.Len()}
	begin := time.Now()
	tuned, spent, err := private.TrainHeadOn(cmd.Context(), m, tuneData{train}, o)
	if err != nil {
		return fileError(model, fmt.Errorf("%w (whet change --cut NODE --append \"dense(n)\" --labels ... puts a head on a model)", err))
	}
	r.TrainNS = time.Since(begin).Nanoseconds()
	r.Privacy = privacySpent{spent.Epsilon, spent.Delta, spent.Noise, spent.Rate, spent.Steps, spent.Clipped}
	for _, i := range private.Outgoing(m, tuned) {
		r.Leaves = append(r.Leaves, privacyItem(i))
	}
	if val != nil {
		r.Val = val.Len()
		if r.Base, err = accuracyOn(cmd.Context(), m, val, tune.Runtime); err != nil {
			return err
		}
		if r.Tuned, err = accuracyOn(cmd.Context(), tuned, val, tune.Runtime); err != nil {
			return err
		}
		if *r.Tuned < *r.Base {
			r.Verdict = fmt.Sprintf("accuracy on %d validation samples went from %.4f to %.4f", r.Val, *r.Base, *r.Tuned)
		}
	}
	if r.Passed = r.Verdict == ""; r.Passed {
		delta, err := format.Diff(m, tuned)
		if err != nil {
			return fileError(model, err)
		}
		if err := format.WriteDeltaFile(f.out, delta); err != nil {
			return fileError(f.out, err)
		}
		if fi, err := os.Stat(f.out); err == nil {
			r.Bytes = fi.Size()
		}
	}
	if err := emit(cmd, r, r.text); err != nil {
		return err
	}
	if !r.Passed {
		return fmt.Errorf("%s is not written: the gate refused the tuned model: %s; more samples or a larger epsilon help", f.out, r.Verdict)
	}
	return nil
}

// accuracyOn runs a model on data.
func accuracyOn(ctx context.Context, m *format.Model, d *pre.Data, opts []runtime.Option) (*float64, error) {
	p, err := runtime.Compile(m, opts...)
	if err != nil {
		return nil, err
	}
	e, err := evaluate(ctx, m, p, d, nil, func(int) {})
	if err != nil {
		return nil, err
	}
	return &e.Accuracy, nil
}

func (r *privateResult) text(w io.Writer) error {
	tw := table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	p := r.Privacy
	row("privacy", "epsilon %.4g, delta %.2g: no sample's presence shows by more", p.Epsilon, p.Delta)
	row("paid with", "noise of %.3f clipping norms in %d steps, each on a part %.3g of %d samples; %.0f %% of the gradients were clipped", p.Noise, p.Steps, p.Rate, r.Train, 100*p.Clipped)
	if r.Base != nil {
		row("accuracy", "%.4f, before %.4f, on %d validation samples", *r.Tuned, *r.Base, r.Val)
	} else {
		row("accuracy", "NOT JUDGED: --val none")
	}
	for _, i := range r.Leaves {
		row("leaves the device", "%s %s: %d values, %s", i.What, i.Name, i.Values, byteCount(i.Bytes))
	}
	row("time", "%s", time.Duration(r.TrainNS).Round(time.Millisecond))
	if r.Passed {
		row("written", "%s, %s", r.Output, byteCount(r.Bytes))
	}
	return tw.Flush()
}

// changedFlags are the names of the flags that were given.
func changedFlags(cmd *cobra.Command) (names []string) {
	cmd.Flags().Visit(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
