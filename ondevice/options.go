package ondevice

import (
	"fmt"
	"math"
	"time"

	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime"
)

// A Tail says which part of a model is trained: [Head], [Last], [Bias], [Sparse],
// [LoRA] or [All].
type Tail int

// The tails.
const (
	// Head is the last dense layer (Gemm, or 1x1 convolution of a 1x1 picture). It
	// is trained in float32 on the features that the frozen integer part gives, and
	// stays float32: quantizing it again costs accuracy and saves next to nothing
	// (Lin et al., "On-Device Training Under 256KB Memory", 2022, table 3: 73.5
	// against 71.2 percent).
	Head Tail = 0

	// Bias is the biases of all layers, and the head (Cai et al., "TinyTL: Reduce
	// Memory, Not Parameters for Efficient On-Device Learning", 2020). The weights
	// stay as they are, so that the delta is small.
	Bias Tail = -1

	// All is every layer that has weights.
	All Tail = -2

	sparse Tail = 1 << 16 // and thousandths
	lora   Tail = 1 << 20 // and the rank
)

// Last is the last n layers that have weights: Last(1) is the head. They are
// trained in float32. The result goes back to the model's integers where that
// costs at most 0.2 points of accuracy on the validation samples, else it stays
// float32; the head always does.
func Last(n int) Tail {
	if n == 1 {
		return Head
	}
	return Tail(n)
}

// Sparse is a part, in (0, 1), of the output channels of every layer that has
// weights, all biases, and the head. The channels are those that matter most to the
// samples: with the greatest Fisher information, from one pass over some of them
// before the training (Kwon et al., "TinyTrain: Resource-Aware Task-Adaptive Sparse
// Training of DNNs at the Data-Scarce Edge", 2024). It is counted in thousandths.
func Sparse(part float64) Tail {
	return sparse + Tail(math.RoundToEven(1000*max(0, min(part, 1))))
}

// LoRA is an adapter of a rank beside every linear layer (Gemm and 1x1 convolution)
// and the head: y = W x + B A x, of which W stays as it is (Hu et al., "LoRA: Low-Rank
// Adaptation of Large Language Models", 2022, with alpha = rank). The result is W + B A
// in the model's integers where that costs at most 0.2 points of accuracy on the
// validation samples; else the adapters stay in the delta, beside W.
func LoRA(rank int) Tail { return lora + Tail(max(0, min(rank, 1<<12))) }

// part is that of a [Sparse] tail, else 0.
func (t Tail) part() float64 {
	if t > sparse && t < lora {
		return float64(t-sparse) / 1000
	}
	return 0
}

// rank is that of a [LoRA] tail, else 0.
func (t Tail) rank() int { return int(max(0, t-lora)) }

func (t Tail) String() string {
	switch {
	case t == Head:
		return "head"
	case t == Bias:
		return "bias"
	case t == All:
		return "all"
	case t.rank() > 0:
		return fmt.Sprintf("lora:%d", t.rank())
	case t.part() > 0:
		return fmt.Sprintf("sparse:%g", t.part())
	}
	return fmt.Sprintf("last:%d", int(t))
}

// A Loss is what training makes small.
type Loss int

// The losses; package grad has their formulas. All but CrossEntropy take a sample's
// target, or 1 at its label's class and 0 elsewhere.
const (
	CrossEntropy Loss = iota // of softmax, for classes
	MSE                      // mean squared error, for values
	BCE                      // binary cross-entropy of sigmoid, for classes of which several may hold
	Huber                    // MSE up to a distance of 1, linear beyond, for values with outliers
	Custom                   // Options.LossFunc
)

func (l Loss) String() string {
	switch l {
	case CrossEntropy:
		return "ce"
	case MSE:
		return "mse"
	case BCE:
		return "bce"
	case Huber:
		return "huber"
	case Custom:
		return "custom"
	}
	return fmt.Sprintf("Loss(%d)", int(l))
}

// An Optimizer is how weights follow their gradients.
type Optimizer int

// The optimizers; package grad has their formulas.
const (
	SGD Optimizer = iota // with Options.Momentum
	AdamW
	SGD8   // SGD whose state is a byte a parameter
	AdamW8 // AdamW whose state is two bytes a parameter
)

func (o Optimizer) String() string {
	switch o {
	case SGD:
		return "sgd"
	case AdamW:
		return "adamw"
	case SGD8:
		return "sgd8"
	case AdamW8:
		return "adamw8"
	}
	return fmt.Sprintf("Optimizer(%d)", int(o))
}

// A Schedule is how the learning rate moves over a job's steps.
type Schedule int

// The schedules.
const (
	Linear   Schedule = iota // falls from LR at the first step to 0 after the last
	Constant                 // stays at LR
	Cosine                   // falls along half a wave (Loshchilov and Hutter, "SGDR", 2017)
)

func (s Schedule) String() string {
	switch s {
	case Linear:
		return "linear"
	case Constant:
		return "constant"
	case Cosine:
		return "cosine"
	}
	return fmt.Sprintf("Schedule(%d)", int(s))
}

// A Form is how the layers below the head end.
type Form int

// The forms.
const (
	Better   Form = iota // integers unless they cost accuracy on the validation samples; float32 without such
	Floats               // float32, as they were trained
	Integers             // the model's own integers, whatever that costs
)

// Options say how to tune. The zero value trains the head by softmax cross-entropy
// and SGD with momentum 0.9, on batches of 32, holds a fifth of the samples out
// to judge the result, and has no limit on memory.
type Options struct {
	Tail Tail

	// Classes are the names of the tuned model's classes. Those that the model
	// knows keep their weights, the others are new. Nil: the model's own classes
	// if the data has no others; the model's and the new ones, in alphabetical
	// order, if it has some of both; the data's alone if the two have nothing in
	// common.
	Classes []string

	// Replay holds kept examples of classes that the data lacks, so that they
	// are not forgotten. In a job with Replay, NewShare of what is drawn, in (0, 1),
	// belongs to the new classes (0: half, or all classes alike where the new ones are
	// more than the old), and all classes of each part are drawn equally often. Less of
	// it protects the old classes where few examples of them were kept.
	Replay   *Features
	NewShare float64

	Loss      Loss
	Smoothing float32 // of labels, in [0, 1); for cross-entropy

	// LossFunc returns the loss of one sample, for the loss Custom, from the outputs
	// before any Softmax and the target, both as long as the model has outputs, and
	// writes its gradient with respect to the outputs. The mean over a batch is made
	// small. It must be a function of its arguments alone, or a job that is resumed
	// ends elsewhere; a job's file does not tell one function from another.
	LossFunc func(gradient, output, target []float32) float64

	// ClassWeights multiply the loss of samples of a class, 1 where a class is
	// missing; Balanced weighs every class by the inverse of its number of training
	// samples too. Both are scaled so that a training sample weighs 1 on average.
	// They are for cross-entropy and do not reach the validation.
	ClassWeights map[string]float32
	Balanced     bool

	// Instant trains nothing: the rows of the head become the mean features of
	// their classes ([NearestMean] says how), in a pass over the features.
	Instant bool

	Optimizer   Optimizer
	Momentum    float32 // of SGD; 0: 0.9; negative: none
	WeightDecay float32 // of the weights, not the biases (L2)
	L1          float32 // adds L1 times the sum of the weights' magnitudes to the loss of a batch
	ClipNorm    float32 // largest norm of a gradient; 0: no limit
	Dropout     float32 // chance of an element that the head reads to be dropped in a step, in [0, 1)

	// Mixup is the α of Beta(α, α), from which every step draws how much of another
	// sample is mixed into each, values and labels, where the trained part begins; 0:
	// none, at most 4. 0.2 is usual.
	Mixup    float32
	LR       float32 // learning rate; 0: derived from the features, for a tail then tried out on validation samples
	Schedule Schedule
	Warmup   int // steps over which the rate rises to what the schedule says
	Epochs   int // 0: as many as make 600 steps, but at least 10; an instant head has none
	Batch    int // 0: 32
	Patience int // epochs without a better validation after which to stop; 0: never

	// Val is the fraction of the samples of every class that is held out to
	// choose the best epoch and to judge the result; 0: 0.2, negative: none.
	// ValData is a set of its own for that, and then nothing is held out.
	Val     float64
	ValData Data

	// Folds, if not 0, judges by cross-validation instead: the samples are dealt
	// to that many parts, as many heads are trained without one part each and
	// judged on it, and then the head that counts is trained on all. For few
	// samples, of which none can be spared; it takes Folds+1 times as long. No
	// epoch is chosen: the last weights count.
	Folds int

	Gate Gate
	Form Form // of a tail deeper than the head
	Seed uint64

	// Memory is the most that the process may need, in bytes; 0: no limit. [Plan]
	// refuses what does not fit. While a plan is made and its job runs, Go's collector
	// is set for the whole process: GOGC=10, and no more than Memory as its limit.
	Memory int64

	// Runtime is passed on when the frozen part is compiled: level and threads.
	Runtime []runtime.Option

	// Cache is the file that keeps features from one job to the next; "": the
	// job's path with ".features" appended.
	Cache string

	// Checkpoint is the shortest time between two checkpoints; 0: a second. It
	// is stretched so that writing them takes no more than a fiftieth of the
	// time. Negative: one after every step.
	Checkpoint time.Duration

	// Progress, if set, is called from the job's goroutine after every epoch and,
	// while features are extracted, several times a second.
	Progress func(Progress)

	// OnStep, if set, is called from the job's goroutine after every step. An error
	// ends the job with a last checkpoint; it can be resumed.
	OnStep func(Step) error

	// FS is where the job keeps its files, perhaps encrypted. Nil: the operating
	// system's. A file is written from its beginning and read with ReadAt.
	FS vfs.FS
}

// withDefaults fills in what was left zero and refuses what makes no sense.
func (o Options) withDefaults() (Options, error) {
	bad := func(format string, args ...any) (Options, error) {
		return o, fmt.Errorf("ondevice: "+format, args...)
	}
	def(&o.Momentum, 0.9)
	def(&o.Batch, 32)
	def(&o.Val, 0.2)
	def(&o.Checkpoint, time.Second)
	o.Gate = o.Gate.withDefaults()
	o.Momentum = max(o.Momentum, 0)
	o.Val = max(o.Val, 0)
	switch {
	case o.Tail < All || o.Tail == 1 || o.Tail == sparse || o.Tail == lora || o.Tail > sparse+999 && o.Tail < lora:
		return bad("tail %v is not known; Head, Last(n), Bias, Sparse(part), LoRA(rank) and All are", o.Tail)
	case o.Tail != Head && o.Folds > 0:
		return bad("folds are for the head alone; give validation data for the tail %v", o.Tail)
	case o.Loss < CrossEntropy || o.Loss > Custom:
		return bad("loss %v is not known; ce, mse, bce, huber and custom are", o.Loss)
	case (o.Loss == Custom) != (o.LossFunc != nil):
		return bad("the loss custom and a LossFunc belong together")
	case o.Loss != CrossEntropy && o.Smoothing != 0:
		return bad("label smoothing is for cross-entropy")
	case o.Optimizer < SGD || o.Optimizer > AdamW8:
		return bad("optimizer %v is not known; sgd, adamw, sgd8 and adamw8 are", o.Optimizer)
	case o.Schedule < Linear || o.Schedule > Cosine:
		return bad("schedule %v is not known; linear, constant and cosine are", o.Schedule)
	case o.Form < Better || o.Form > Integers:
		return bad("form %d is not known; Better, Floats and Integers are", o.Form)
	case o.Warmup < 0:
		return bad("warm-up of %d steps", o.Warmup)
	case o.Gate.Sure != 0 && o.Folds > 0 || !(o.Gate.Sure >= 0):
		return bad("the gate is sure of %v standard deviations: it must not be negative, and not be asked for with folds", o.Gate.Sure)
	case !(o.Gate.Alike >= 0) || o.Gate.Alike > 0 && o.ValData == nil:
		return bad("the gate's Alike %v must not be negative, and needs validation data of its own", o.Gate.Alike)
	case o.Loss != CrossEntropy && (o.ClassWeights != nil || o.Balanced || o.Instant):
		return bad("class weights, balance and instant heads are for cross-entropy")
	case o.Instant && o.Tail != Head:
		return bad("an instant head has no tail %v", o.Tail)
	case o.Epochs < 0 || o.Epochs > 1<<20:
		return bad("%d epochs: 1 to %d are possible", o.Epochs, 1<<20)
	case o.Batch < 1 || o.Batch > 1<<16:
		return bad("batch of %d samples: 1 to %d are possible", o.Batch, 1<<16)
	case !(o.LR >= 0) || o.LR > 1e6:
		return bad("learning rate %v: it must be positive, or 0 for an automatic one", o.LR)
	case !(o.Momentum < 1):
		return bad("momentum %v: it must be below 1", o.Momentum)
	case !(o.Smoothing >= 0 && o.Smoothing < 1):
		return bad("label smoothing %v: it must be at least 0 and below 1", o.Smoothing)
	case !(o.WeightDecay >= 0) || !(o.L1 >= 0) || !(o.ClipNorm >= 0):
		return bad("weight decay %v, L1 %v and gradient norm %v must not be negative", o.WeightDecay, o.L1, o.ClipNorm)
	case !(o.Dropout >= 0 && o.Dropout < 1):
		return bad("dropout %v: it must be at least 0 and below 1", o.Dropout)
	case !(o.Mixup == 0 || o.Mixup >= 0.05 && o.Mixup <= 4):
		return bad("mixup %v: 0.05 to 4 are possible, or 0 for none", o.Mixup)
	case o.Instant && (o.Dropout > 0 || o.Mixup > 0):
		return bad("an instant head is not trained: dropout and mixup have no place")
	case !(o.NewShare >= 0 && o.NewShare < 1) || o.NewShare > 0 && o.Replay == nil:
		return bad("a share of %v for new classes: it must be at least 0 and below 1, and needs replayed examples of old ones", o.NewShare)
	case !(o.Val < 1):
		return bad("validation part %v: it must be below 1", o.Val)
	case o.Folds < 0 || o.Folds == 1 || o.Folds > 100:
		return bad("%d folds: 2 to 100 are possible, or 0 for none", o.Folds)
	case o.Folds > 0 && o.ValData != nil:
		return bad("validation data and folds cannot be combined")
	case o.Memory < 0:
		return bad("memory budget of %d bytes", o.Memory)
	}
	if err := o.checkOptional(); err != nil {
		return o, err
	}
	for c, w := range o.ClassWeights {
		if !(w > 0 && w < 1e6) {
			return bad("weight %v of class %q: it must be positive", w, c)
		}
	}
	return o, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
