// Package demo is the whole story on embedded data: a small int8 network is
// loaded, checked on real images, and learns two new classes on the device.
//
// The network (train.py) knows eight of the ten classes of Fashion-MNIST. The
// device sees 20 examples of each new class and keeps 20 examples of each old
// one as int8 features, 128 bytes each. The convolutions stay as they are; the
// last layer grows from 8 to 10 classes and is trained in float32.
package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

//go:embed fashion8.whet.gz
var packedBase []byte

// baseFile unpacks the base network.
var baseFile = sync.OnceValue(func() []byte {
	z, err := gzip.NewReader(bytes.NewReader(packedBase))
	if err != nil {
		panic(err) // it is in the program
	}
	b, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	return b
})

// BaseFile returns the base network as a .whet file.
func BaseFile() []byte { return bytes.Clone(baseFile()) }

// Classes are the ten classes; the network knows the first Old of them.
var Classes = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}

const (
	Old  = 8  // classes known at the start
	Each = 20 // examples of each new class, and kept features of each old one
)

// Folds of the cross-validation by which the new layer is judged: with 20 examples
// of a class none can be spared for good.
const Folds = 5

// baseBits is the SHA-256 of the network's outputs on the embedded test images,
// one after the other. It is the same on every CPU.
const baseBits = "312d0ca6c706e6e663ace63493a804a1967e899ed7980b1197ab7a1f6acfb7a5"

// Options change how the story goes. The zero value is fine.
type Options struct {
	Seed    uint64           // chooses the examples and orders the training
	Test    *Images          // nil: the embedded 1,000
	Runtime []runtime.Option // level and threads

	// Progress is told how far a stage is.
	Progress func(stage string, done, total int)
}

// Report is what happened.
type Report struct {
	Seed    uint64   `json:"seed"`
	ISA     string   `json:"isa"`
	Threads int      `json:"threads"`
	Kernels []string `json:"kernels"` // that did the multiplying

	ModelBytes int    `json:"model_bytes"`
	Parameters int    `json:"parameters"`
	LoadNS     int64  `json:"load_ns"`  // checked, compiled, weights packed
	ImageNS    int64  `json:"image_ns"` // mean time of one image before learning
	TestImages int    `json:"test_images"`
	Bits       string `json:"output_sha256"` // of the base network's outputs
	SameBits   bool   `json:"same_bits"`     // as on every other CPU; false also when Options.Test is set

	Before Accuracy `json:"before"`
	After  Accuracy `json:"after"`

	Examples   int   `json:"examples"` // of new classes that were shown
	Kept       int   `json:"kept_features"`
	KeptBytes  int   `json:"kept_bytes"`
	FeatureNS  int64 `json:"feature_ns"` // to compute the kept features
	LearnNS    int64 `json:"learn_ns"`   // from the examples to the delta
	Epochs     int   `json:"epochs"`
	Judged     int   `json:"judged"`           // examples and kept features that the gate looked at
	PeakBytes  int64 `json:"learn_peak_bytes"` // planned
	DeltaBytes int   `json:"delta_bytes"`
	TotalNS    int64 `json:"total_ns"`

	Shown []Shown `json:"shown"`

	delta []byte
}

// Delta returns what was learned as a .whetd file.
func (r *Report) Delta() []byte { return r.delta }

// Accuracy is the share of test images that are named rightly, of the old
// classes, the new ones and all together.
type Accuracy struct {
	Old float64 `json:"old"`
	New float64 `json:"new"`
	All float64 `json:"all"`
}

// Shown is one test image with what was said about it.
type Shown struct {
	Index  int     `json:"index"` // of the test image
	Label  string  `json:"label"`
	Before string  `json:"before"`
	After  string  `json:"after"`
	Score  float32 `json:"score"` // of the answer after learning
}

// Run tells the story once.
func Run(ctx context.Context, o Options) (*Report, error) {
	start := time.Now()
	sets, err := Embedded()
	if err != nil {
		return nil, err
	}
	d := &demo{Options: o, test: sets[0], pool: sets[1]}
	if o.Test != nil {
		d.test = o.Test
	}
	if d.Progress == nil {
		d.Progress = func(string, int, int) {}
	}
	d.report = &Report{Seed: o.Seed, TestImages: d.test.Len(), ModelBytes: len(baseFile()), Examples: Each * (len(Classes) - Old)}
	if err := d.load(); err != nil {
		return nil, err
	}
	before, err := d.check(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.learn(ctx); err != nil {
		return nil, err
	}
	if err := d.judge(ctx, before); err != nil {
		return nil, err
	}
	d.report.TotalNS = time.Since(start).Nanoseconds()
	return d.report, nil
}

// demo is one run of the story.
type demo struct {
	Options
	test, pool *Images
	base       *format.Model
	program    *runtime.Program
	pipe       *pre.Pipeline
	report     *Report
}

// load opens and compiles the network.
func (d *demo) load() error {
	start := time.Now()
	var err error
	if d.base, err = format.FromBytes(baseFile()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if d.program, err = runtime.Compile(d.base, d.Runtime...); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r := d.report
	r.LoadNS = time.Since(start).Nanoseconds()
	pipes, err := pre.ForModel(d.base)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.pipe = pipes[0]
	r.ISA, r.Threads = d.program.Level().String(), d.program.Threads()
	for _, s := range d.program.Steps() {
		if s.MACs > 0 {
			r.Kernels = append(r.Kernels, fmt.Sprintf("%s: %s", s.Op, s.Kernel))
		}
	}
	for _, t := range d.base.Tensors {
		if t.Const() {
			r.Parameters += t.Shape.Elems()
		}
	}
	return nil
}

// check runs the network on the test images before anything is learned.
func (d *demo) check(ctx context.Context) ([]answer, error) {
	bits := sha256.New()
	start := time.Now()
	answers, err := d.ask(ctx, d.program, "checking", bits)
	if err != nil {
		return nil, err
	}
	r := d.report
	r.ImageNS = time.Since(start).Nanoseconds() / int64(max(1, d.test.Len()))
	r.Before = d.accuracy(answers)
	r.Bits = fmt.Sprintf("%x", bits.Sum(nil))
	r.SameBits = r.Bits == baseBits
	return answers, nil
}

// learn teaches the two new classes.
func (d *demo) learn(ctx context.Context) error {
	r := d.report
	examples, old, err := d.choose()
	if err != nil {
		return err
	}
	start := time.Now()
	kept, err := ondevice.Extract(ctx, d.base, old, d.Runtime...)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.FeatureNS = time.Since(start).Nanoseconds()
	r.Kept, r.KeptBytes = kept.Len(), kept.Len()*kept.RowBytes()

	start = time.Now()
	plan, err := ondevice.Plan(d.base, examples, ondevice.Options{
		Classes: Classes, Replay: kept, Folds: Folds, Seed: d.Seed, Runtime: d.Runtime,
		Progress: func(p ondevice.Progress) {
			if p.Phase == "train" {
				d.Progress("learning", p.Done, p.Total)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	dir, err := os.MkdirTemp("", "whet-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	job, err := ondevice.Start(ctx, plan, filepath.Join(dir, "job"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	// The job ends with ctx; the folder must stay until it has.
	delta, report, err := job.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !report.Passed {
		return fmt.Errorf("demo: the new layer was refused: %s", report.Verdict)
	}
	var b bytes.Buffer
	if err := format.WriteDelta(&b, delta); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.delta, r.DeltaBytes = b.Bytes(), b.Len()
	r.LearnNS = time.Since(start).Nanoseconds()
	r.Epochs, r.Judged, r.PeakBytes = plan.Epochs, report.Val, plan.PeakBytes
	return nil
}

// choose draws Each images of every class from the pool: examples of the new
// classes, and the old ones.
func (d *demo) choose() (examples, old ondevice.Samples, err error) {
	rng := rand.New(rand.NewPCG(d.Seed, 0))
	of := make([][]int, len(Classes))
	for i, c := range d.pool.Label {
		of[c] = append(of[c], i)
	}
	for c, pool := range of {
		for _, k := range rng.Perm(len(pool))[:Each] {
			i := pool[k]
			s, err := d.sample(d.pool.Pixels[i], c, i)
			if err != nil {
				return nil, nil, err
			}
			if c < Old {
				old = append(old, s)
			} else {
				examples = append(examples, s)
			}
		}
	}
	return examples, old, nil
}

// sample makes the network's input of an image of the pool.
func (d *demo) sample(pix []byte, class, i int) (ondevice.Sample, error) {
	one := Images{Label: []int{class}, Pixels: [][]byte{pix}}
	s := ondevice.Sample{Label: Classes[class], Source: fmt.Sprint("pool ", i), Input: make([]byte, d.pipe.Size())}
	if err := d.pipe.Put(s.Input, pre.FromImage(one.Image(0))); err != nil {
		return s, fmt.Errorf("demo: %w", err)
	}
	return s, nil
}

// judge applies the delta and asks again.
func (d *demo) judge(ctx context.Context, before []answer) error {
	delta, err := format.DeltaFromBytes(d.report.delta)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	tuned, err := format.Apply(d.base, delta)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	program, err := runtime.Compile(tuned, d.Runtime...)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	after, err := d.ask(ctx, program, "judging", nil)
	if err != nil {
		return err
	}
	d.report.After = d.accuracy(after)
	// The first test image of each class in turn, the new classes first.
	for _, want := range []int{8, 9, 0, 1, 3, 5} {
		for i, c := range d.test.Label {
			if c == want {
				d.report.Shown = append(d.report.Shown, Shown{
					Index: i, Label: Classes[c], Before: Classes[before[i].class], After: Classes[after[i].class], Score: after[i].score,
				})
				break
			}
		}
	}
	return nil
}

// An answer is the class with the highest score.
type answer struct {
	class int
	score float32
}

// ask runs a program on all test images; the raw outputs go to bits.
func (d *demo) ask(ctx context.Context, p *runtime.Program, stage string, bits hash.Hash) ([]answer, error) {
	s := p.NewSession()
	defer s.Close()
	answers := make([]answer, d.test.Len())
	for i := range answers {
		if err := d.pipe.Put(s.Input(0).Bytes(), pre.FromImage(d.test.Image(i))); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		if err := s.Run(ctx); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		if bits != nil {
			bits.Write(s.Output(0).Bytes())
		}
		best := answer{}
		for c, v := range s.Output(0).Float32() {
			if v > best.score || c == 0 {
				best = answer{c, v}
			}
		}
		answers[i] = best
		d.Progress(stage, i+1, len(answers))
	}
	return answers, nil
}

func (d *demo) accuracy(answers []answer) Accuracy {
	var right, count [2]float64
	for i, c := range d.test.Label {
		k := 0
		if c >= Old {
			k = 1
		}
		count[k]++
		if answers[i].class == c {
			right[k]++
		}
	}
	return Accuracy{right[0] / max(count[0], 1), right[1] / max(count[1], 1), (right[0] + right[1]) / max(count[0]+count[1], 1)}
}
