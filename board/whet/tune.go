package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/augment"
	_ "github.com/whet-edge/whet/ondevice/grad/more" // any tail trains
	_ "github.com/whet-edge/whet/ondevice/more"      // in every way
	"github.com/whet-edge/whet/runtime/pre"
)

// tuneResult is what whet tune prints.
type tuneResult struct {
	Model       string    `json:"model"`
	Output      string    `json:"output"`
	Passed      bool      `json:"passed"`
	Verdict     string    `json:"verdict,omitempty"` // why the gate refused
	Bytes       int64     `json:"output_bytes"`
	Layer       string    `json:"layer"`
	Tail        string    `json:"tail"`
	Integer     bool      `json:"integer"` // the layers below the head are integers again
	Params      int       `json:"parameters"`
	PeakBytes   int64     `json:"planned_peak_bytes"`
	Classes     []string  `json:"classes"`
	New         []string  `json:"new_classes"`
	Train       int       `json:"train_samples"`
	Val         int       `json:"val_samples"`
	LR          float32   `json:"lr"`
	Epochs      int       `json:"epochs"`
	BestEpoch   int       `json:"best_epoch"`
	Base        *tuneEval `json:"base,omitempty"` // on the validation samples
	Tuned       *tuneEval `json:"tuned,omitempty"`
	ExtractNS   int64     `json:"extract_ns"`
	TrainNS     int64     `json:"train_ns"`
	Checkpoints int       `json:"checkpoints"`
	SavingNS    int64     `json:"checkpoints_ns"` // part of train_ns
}

type tuneEval struct {
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"`
}

type tuneFlags struct {
	modelFlags
	data, val, out, tail, loss, memory, lr string
	schedule, optimizer                    string
	decay, l1, clip, smoothing             float32
	batch                                  int
	augment                                string
	views                                  int
	mixup, dropout                         float32
	epochs, folds, warmup, patience        int
	balance, instant                       bool
	seed                                   uint64
	resume                                 bool
	private                                string
}

func newTuneCmd() *cobra.Command {
	var f tuneFlags
	cmd := &cobra.Command{
		Use:   "tune MODEL.whet --data DIR -o TUNED.whetd",
		Short: "Fine-tune a model's last layers on this board",
		Long: `Fine-tune the last dense layer of a model, its head, on labelled data, or more of
it with --tail. The integer part before is frozen; its results are computed once
and cached. Layers below the head are trained as floats and go back to integers if
that costs at most 0.2 points of accuracy.

The result is a delta: the model itself is not changed. It is written only if
the tuned model does as well on the validation samples as the one it comes from;
else the command says why not and exits 1. It does so too if there is nothing to
judge by: --val none takes a result unseen.

While it works, its state is kept in TUNED.whetd.job. After Ctrl-C, a kill or a
power cut, the same command with --resume goes on and ends with the same bits.
TUNED.whetd.job.features is a cache and may be deleted.

With --private the head learns so that hardly anything of a single sample can be found
out from the delta: gradients are clipped and noise is added (DP-SGD), as much as the
epsilon asks for. What was spent and what leaves the device is printed. The head must be
a float dense layer that has the data's classes: whet change puts one on a model. The
samples to judge by are not part of the promise: they decide whether the delta is written.`,
		Example: `  whet tune parts.whet --data photos -o mine.whetd
  whet eval parts.whet --delta mine.whetd --data held-out-photos`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "folder DIR/<label>/<files>, .csv with a header, or .npz with x and y")
	fl.StringVarP(&f.out, "output", "o", "", "the .whetd to write")
	fl.StringVar(&f.val, "val", "0.2", "data to judge the result on, the fraction of --data to hold out for it, or none")
	fl.IntVar(&f.folds, "folds", 0, "judge by cross-validation over so many parts of --data instead, for few samples")
	fl.StringVar(&f.tail, "tail", "head", "what to train: head, last:N (layers), bias (of all layers, and the head), sparse:R (a part R of all channels), lora:R (adapters of rank R) or all")
	fl.StringVar(&f.loss, "loss", "ce", "ce (softmax cross-entropy), bce (sigmoid, each class for itself), mse (mean squared error) or huber")
	fl.StringVar(&f.memory, "memory", "", "the most memory the job may need, such as 64MiB (default: no limit)")
	fl.StringVar(&f.lr, "lr", "auto", "learning rate")
	fl.IntVar(&f.epochs, "epochs", 0, "passes over the data (default: as many as make 600 steps, but at least 10)")
	fl.StringVar(&f.schedule, "schedule", "linear", "how the learning rate falls: linear, cosine or constant (not at all)")
	fl.StringVar(&f.optimizer, "optimizer", "sgd", "sgd (with momentum 0.9), adamw, or with a state of 8 bits: sgd8, adamw8")
	fl.IntVar(&f.batch, "batch", 0, "samples a step (default: 32)")
	fl.Float32Var(&f.decay, "weight-decay", 0, "of the weights (L2)")
	fl.Float32Var(&f.l1, "l1", 0, "what the weights' magnitudes add to the loss")
	fl.Float32Var(&f.clip, "clip", 0, "largest norm of a gradient (default: no limit)")
	fl.Float32Var(&f.smoothing, "smoothing", 0, "of labels, for --loss ce, such as 0.1")
	fl.StringVar(&f.augment, "augment", "", "train on changed views too, such as shift=0.1,flip,brightness=0.2 or slide=0.1,scale=0.3,noise=0.02,mask=0.15 ("+strings.Join(augment.Names(), ", ")+")")
	fl.IntVar(&f.views, "views", 4, "changed views of each sample, for --augment")
	fl.Float32Var(&f.mixup, "mixup", 0, "mix each sample with another, by shares from Beta(α, α), such as 0.2")
	fl.Float32Var(&f.dropout, "dropout", 0, "chance of each element that the head reads to be dropped in a step, such as 0.3")
	fl.IntVar(&f.warmup, "warmup", 0, "steps over which the learning rate rises at the start")
	fl.IntVar(&f.patience, "patience", 0, "stop after so many epochs without a better validation (default: never)")
	fl.BoolVar(&f.balance, "balance", false, "weigh classes by the inverse of their number of samples")
	fl.BoolVar(&f.instant, "instant", false, "train nothing: name a sample by the nearest mean of a class's features")
	fl.Uint64Var(&f.seed, "seed", 0, "of the shuffling and of the split")
	fl.StringVar(&f.private, "private", "", "train the head with differential privacy, such as epsilon=2,delta=1e-5 (delta: half of one over the samples; also clip=1, the norm that gradients are cut to)")
	fl.BoolVar(&f.resume, "resume", false, "go on with the job that was interrupted; without one, start it")
	return cmd
}

// options turns the flags into ondevice's options; its errors are wrong usage.
func (f *tuneFlags) options() (ondevice.Options, error) {
	var o ondevice.Options
	switch {
	case f.data == "" || f.out == "":
		return o, usagef("tune needs --data and --output")
	case f.epochs < 0:
		return o, usagef("--epochs %d: at least 1 is needed, or 0 for an automatic number", f.epochs)
	case f.warmup < 0 || f.patience < 0:
		return o, usagef("--warmup %d and --patience %d must not be negative", f.warmup, f.patience)
	case f.instant && (f.tail != "head" || f.loss != "ce"):
		return o, usagef("--instant is a head for classes: without --tail and --loss")
	case f.balance && f.loss != "ce":
		return o, usagef("--balance is for --loss ce")
	case f.folds < 0 || f.folds == 1 || f.folds > 100:
		return o, usagef("--folds %d: 2 to 100 are possible", f.folds)
	}
	var err error
	if o.Tail, err = parseTail(f.tail); err != nil {
		return o, err
	}
	if o.Tail != ondevice.Head && f.folds > 0 {
		return o, usagef("--folds are for --tail head; judge by --val")
	}
	switch f.loss {
	case "ce":
		o.Loss = ondevice.CrossEntropy
	case "bce":
		o.Loss = ondevice.BCE
	case "mse":
		o.Loss = ondevice.MSE
	case "huber":
		o.Loss = ondevice.Huber
	default:
		return o, usagef("--loss %s is unknown; ce, bce, mse and huber are known", f.loss)
	}
	switch f.optimizer {
	case "sgd":
		o.Optimizer = ondevice.SGD
	case "adamw":
		o.Optimizer = ondevice.AdamW
	case "sgd8":
		o.Optimizer = ondevice.SGD8
	case "adamw8":
		o.Optimizer = ondevice.AdamW8
	default:
		return o, usagef("--optimizer %s is unknown; sgd, adamw, sgd8 and adamw8 are known", f.optimizer)
	}
	switch {
	case f.batch < 0 || f.batch > 1<<16:
		return o, usagef("--batch %d: 1 to %d are possible, or 0 for 32", f.batch, 1<<16)
	case !(f.decay >= 0) || !(f.l1 >= 0) || !(f.clip >= 0):
		return o, usagef("--weight-decay %v, --l1 %v and --clip %v must not be negative", f.decay, f.l1, f.clip)
	case !(f.dropout >= 0 && f.dropout < 1) || f.mixup != 0 && !(f.mixup >= 0.05 && f.mixup <= 4):
		return o, usagef("--dropout %v, at least 0 and below 1, and --mixup %v, 0.05 to 4, are needed", f.dropout, f.mixup)
	case f.instant && (f.dropout > 0 || f.mixup > 0):
		return o, usagef("--instant trains nothing: without --dropout and --mixup")
	case f.views < 1 || f.views > 1000:
		return o, usagef("--views %d: 1 to 1000 are possible", f.views)
	case !(f.smoothing >= 0 && f.smoothing < 1) || f.smoothing > 0 && f.loss != "ce":
		return o, usagef("--smoothing %v is for --loss ce: at least 0 and below 1", f.smoothing)
	}
	o.Batch, o.WeightDecay, o.L1, o.ClipNorm, o.Smoothing = f.batch, f.decay, f.l1, f.clip, f.smoothing
	o.Mixup, o.Dropout = f.mixup, f.dropout
	switch f.schedule {
	case "linear":
		o.Schedule = ondevice.Linear
	case "cosine":
		o.Schedule = ondevice.Cosine
	case "constant":
		o.Schedule = ondevice.Constant
	default:
		return o, usagef("--schedule %s is unknown; linear, cosine and constant are known", f.schedule)
	}
	if f.lr != "auto" {
		lr, err := strconv.ParseFloat(f.lr, 32)
		if err != nil || !(lr > 0) || math.IsInf(lr, 0) {
			return o, usagef("--lr %s: a positive number or auto is needed", f.lr)
		}
		o.LR = float32(lr)
	}
	if f.memory != "" {
		n, err := parseBytes(f.memory)
		if err != nil || n == 0 {
			return o, usagef("--memory %s: a size is a number with B, KiB, MiB or GiB", f.memory)
		}
		o.Memory = n
	}
	o.Warmup, o.Patience, o.Balanced, o.Instant = f.warmup, f.patience, f.balance, f.instant
	run, err := f.modelFlags.options()
	o.Runtime, o.Epochs, o.Folds, o.Seed = run, f.epochs, f.folds, f.seed
	return o, err
}

func parseTail(s string) (ondevice.Tail, error) {
	kind, count, _ := strings.Cut(s, ":")
	switch n, err := strconv.Atoi(count); {
	case s == "head":
		return ondevice.Head, nil
	case s == "bias":
		return ondevice.Bias, nil
	case s == "all":
		return ondevice.All, nil
	case kind == "last" && err == nil && n > 0 && n <= 1000:
		return ondevice.Last(n), nil
	case kind == "last":
		return 0, usagef("--tail %s: last:N with a number of layers is needed", s)
	case kind == "lora" && err == nil && n > 0 && n <= 1<<12:
		return ondevice.LoRA(n), nil
	case kind == "lora":
		return 0, usagef("--tail %s: lora:R with a rank is needed, such as lora:4", s)
	case kind == "sparse":
		if part, err := strconv.ParseFloat(count, 64); err == nil && part >= 0.001 && part < 0.9995 {
			return ondevice.Sparse(part), nil
		}
		return 0, usagef("--tail %s: sparse:R with a part of the channels is needed, such as sparse:0.25", s)
	case s == "auto":
		return 0, usagef("--tail %s: this version knows head, last:N, bias, sparse:R, lora:R and all", s)
	}
	return 0, usagef("--tail %s is unknown; head, last:N, bias, sparse:R, lora:R and all are known", s)
}

func (f *tuneFlags) run(cmd *cobra.Command, model string) error {
	if cmd.Flags().Changed("private") {
		return f.runPrivate(cmd, model)
	}
	opt, err := f.options()
	if err != nil {
		return err
	}
	if opt.Memory > 0 {
		// The collector works harder, and near the limit harder still, instead of letting
		// the heap grow past what was planned: while samples are decoded too.
		defer debug.SetGCPercent(debug.SetGCPercent(10))
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(opt.Memory))
	}
	m, err := f.open(model)
	if err != nil {
		return err
	}
	defer m.Close()
	data, err := openData(m, f.data)
	if err != nil {
		return err
	}
	if err := f.validation(cmd, m, &opt); err != nil {
		return err
	}
	bar := newProgress(cmd, data.Len(), phaseNames["extract"])
	defer bar.done()
	phase := "extract"
	opt.Progress = func(p ondevice.Progress) {
		if p.Phase != phase {
			bar.done()
			bar = newProgress(cmd, p.Total, phaseNames[p.Phase])
			phase = p.Phase
		}
		bar.set(p.Done)
	}
	samples := ondevice.Data(tuneData{data})
	if f.augment != "" {
		changes, err := augment.Parse(f.augment)
		if err != nil {
			return usagef("--augment: %v", err)
		}
		if samples, err = augment.Views(samples, m, changes, f.views, f.seed); err != nil {
			return fileError(model, err)
		}
	}
	plan, err := ondevice.Plan(m, samples, opt)
	if budget := (*ondevice.BudgetError)(nil); errors.As(err, &budget) {
		mib := (budget.Need + 1<<20 - 1) >> 20
		return fmt.Errorf("%s: %w; --memory %dMiB is enough", model, err, mib)
	}
	if err != nil {
		return fileError(model, err)
	}
	start := ondevice.Start
	if f.resume {
		start = ondevice.Resume
	}
	jobFile := f.out + ".job"
	job, err := start(cmd.Context(), plan, jobFile)
	if err != nil {
		return jobError(jobFile, err)
	}
	// The job itself ends with the command's context, after a last checkpoint.
	delta, report, err := job.Wait(context.WithoutCancel(cmd.Context()))
	bar.done()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("%w; to go on, type the command again with --resume (the state is in %s)", err, jobFile)
		}
		if errors.Is(err, ondevice.ErrUnjudged) {
			return fmt.Errorf("%s: %w: add samples, give some with --val DIR, or say --val none to go without", f.data, err)
		}
		return jobError(model, err)
	}
	r := newTuneResult(model, f.out, plan, report)
	if report.Passed {
		if err := format.WriteDeltaFile(f.out, delta); err != nil {
			return fileError(f.out, err)
		}
		if fi, err := os.Stat(f.out); err == nil {
			r.Bytes = fi.Size()
		}
	}
	// Only now is the job no longer needed.
	if err := job.Remove(); err != nil {
		return fileError(jobFile, err)
	}
	if err := emit(cmd, r, r.text); err != nil {
		return err
	}
	if !report.Passed {
		return fmt.Errorf("%s is not written: the gate refused the tuned model: %s", f.out, report.Verdict)
	}
	return nil
}

// validation says what the result is judged on.
func (f *tuneFlags) validation(cmd *cobra.Command, m *format.Model, opt *ondevice.Options) error {
	if f.folds > 0 {
		if cmd.Flags().Changed("val") {
			return usagef("--folds and --val cannot be combined")
		}
		return nil
	}
	if f.val == "none" {
		opt.Val = -1
		return nil
	}
	frac, err := strconv.ParseFloat(f.val, 64)
	if err != nil {
		val, err := openData(m, f.val)
		opt.ValData = tuneData{val}
		return err
	}
	if !(frac > 0 && frac < 1) {
		return usagef("--val %s: a fraction between 0 and 1, a data set or none is needed", f.val)
	}
	opt.Val = frac
	return nil
}

// phaseNames are what a job's phases are called beside the progress bar.
var phaseNames = map[string]string{"extract": "extracting", "train": "training", "judge": "judging"}

// jobError says how to get out of a job that does not fit the command.
func jobError(path string, err error) error {
	if errors.Is(err, ondevice.ErrJob) {
		return fmt.Errorf("%w; give the data and flags that it began with, or start anew without --resume", err)
	}
	return fileError(path, err)
}

// tuneData shows pre's data to package ondevice.
type tuneData struct{ *pre.Data }

var _ augment.Sounds = tuneData{} // sounds are changed before the model's front end

func (d tuneData) Sample(i int) ondevice.Sample { return ondevice.Sample{Label: d.Label(i)} }

func newTuneResult(model, out string, p *ondevice.TunePlan, rep *ondevice.Report) *tuneResult {
	r := &tuneResult{
		Model: model, Output: out, Passed: rep.Passed, Verdict: rep.Verdict, Layer: p.Node, Tail: p.Tail.String(), Integer: rep.Integer, Params: p.Params, PeakBytes: p.PeakBytes,
		Classes: rep.Classes, New: append([]string{}, rep.New...), Train: rep.Train, Val: rep.Val, LR: rep.LR,
		Epochs: max(0, len(rep.Curve)-1), BestEpoch: rep.BestEpoch,
		ExtractNS: rep.Extracting.Nanoseconds(), TrainNS: rep.Training.Nanoseconds(), Checkpoints: rep.Checkpoints, SavingNS: rep.Saving.Nanoseconds(),
	}
	if rep.Base != nil && rep.Tuned != nil {
		r.Base = &tuneEval{rep.Base.Accuracy, rep.Base.Loss}
		r.Tuned = &tuneEval{rep.Tuned.Accuracy, rep.Tuned.Loss}
	}
	return r
}

func (r *tuneResult) text(w io.Writer) error {
	tw := table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	from := ""
	if r.Tail != ondevice.Head.String() {
		from = r.Tail + ", from "
	}
	row("trained", "%s%s: %d parameters, %d classes (%d new), %d samples", from, shortName(r.Layer), r.Params, len(r.Classes), len(r.New), r.Train)
	if r.Base != nil {
		row("accuracy", "%.4f, before %.4f, on %d validation samples", r.Tuned.Accuracy, r.Base.Accuracy, r.Val)
	} else {
		row("accuracy", "NOT JUDGED: --val none")
	}
	row("best epoch", "%d of %d, learning rate %.3g", r.BestEpoch, r.Epochs, r.LR)
	row("time", "%s for the features, %s for training", time.Duration(r.ExtractNS).Round(time.Millisecond), time.Duration(r.TrainNS).Round(time.Millisecond))
	row("memory", "%s planned at the peak", byteCount(r.PeakBytes))
	if r.Passed {
		row("written", "%s, %s", r.Output, byteCount(r.Bytes))
	}
	return tw.Flush()
}
