// Package runtime compiles a model for the CPU at hand and runs it.
//
//	prog, err := runtime.Compile(model)
//	s := prog.NewSession()
//	copy(s.Input(0).Int8(), sample)
//	err = s.Run(ctx)
//	scores := s.Output(0).Float32()
//
// [Compile] checks, folds, fuses, picks a kernel for every node, packs the
// weights for it and lays all activations out in one arena. A [Program] is
// immutable and may be shared; a [Session] holds the arena and the states and
// serves one caller at a time. [Session.Run] allocates nothing.
//
// The result of a program is the same, bit for bit, on every CPU, at every
// kernel level and on any number of threads.
package runtime

import (
	"fmt"
	goruntime "runtime"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// An Option changes how [Compile] works.
type Option func(*config)

type config struct {
	level    kernels.Level
	levelSet bool
	threads  int
	outputs  []string
}

// WithLevel compiles for a kernel level below the best one of this CPU. Asking
// for a level that the CPU lacks makes [Compile] fail.
func WithLevel(l kernels.Level) Option {
	return func(c *config) { c.level, c.levelSet = l, true }
}

// WithThreads sets how many threads share the work of one Run; the default is
// GOMAXPROCS. The result does not depend on it.
func WithThreads(n int) Option {
	return func(c *config) { c.threads = n }
}

// WithOutputs makes the program return the named tensors instead of the
// graph's outputs. Nodes that they do not depend on are dropped, those that
// write states excepted when any state they write is read by what stays.
func WithOutputs(names ...string) Option {
	return func(c *config) { c.outputs = append([]string(nil), names...) }
}

// A Program is a compiled model. It is immutable and safe for concurrent use.
type Program struct {
	level   kernels.Level
	threads int
	inputs  []*value
	outputs []*value
	steps   []*step
	states  []*stateVar
	bodies  []*body
	plans   *plans // of a model whose sizes may change
	arena   int    // bytes
	scratch int    // bytes a thread
	weights int    // bytes of packed and referenced constants
}

// Compile prepares the main graph of a model. The model's constants stay
// referenced where a kernel reads them in place, so the model must stay open
// as long as the program is in use.
func Compile(m *format.Model, opts ...Option) (*Program, error) {
	c := config{threads: goruntime.GOMAXPROCS(0)}
	for _, o := range opts {
		o(&c)
	}
	if !c.levelSet {
		if err := kernels.Err(); err != nil {
			return nil, err
		}
		c.level = kernels.Best()
	} else if !kernels.Has(c.level) {
		return nil, fmt.Errorf("runtime: this CPU has no %v kernels (it has %v)", c.level, kernels.Levels())
	}
	if c.threads < 1 {
		return nil, fmt.Errorf("runtime: %d threads: at least 1 is needed", c.threads)
	}
	if err := format.Check(m); err != nil {
		return nil, err
	}
	p, err := compile(m, c)
	if err == nil && m.Header.Dynamic.Dims != nil {
		all, err := m.Header.Dynamic.At(nil)
		if err != nil {
			return nil, err
		}
		(&plans{model: m, conf: c}).keep(p, all)
	}
	return p, err
}

// compile prepares the main graph of a model that is sound.
func compile(m *format.Model, c config) (*Program, error) {
	g, err := lower(m, m.Main(), c.outputs)
	if err != nil {
		return nil, err
	}
	g.level, g.threads = c.level, min(c.threads, goruntime.GOMAXPROCS(0))
	if err := g.optimize(); err != nil {
		return nil, err
	}
	steps, err := g.bind()
	if err != nil {
		return nil, err
	}
	p := &Program{level: c.level, threads: c.threads, inputs: g.inputs, outputs: g.outputs, steps: steps, states: g.states, bodies: g.bodies}
	share(steps, c.level)
	p.arena = plan(steps, g.inputs, g.kept())
	for _, s := range steps {
		p.scratch = max(p.scratch, s.scratch)
		p.weights += s.weights
	}
	return p, nil
}

// optimize rewrites the graph for its level; every pass keeps the bits.
func (g *graph) optimize() error {
	if err := g.fold(); err != nil {
		return err
	}
	g.fuse()
	g.absorbPads()
	g.tabulate()
	g.fuseSums()
	return nil
}

// kept are the values that must outlive a run.
func (g *graph) kept() []*value {
	list := slices.Clone(g.outputs)
	for _, v := range g.outputs {
		if v.trim != nil {
			list = append(list, v.trim.count)
		}
	}
	return list
}

// Level returns the kernel level that the program was compiled for.
func (p *Program) Level() kernels.Level { return p.level }

// Threads returns how many threads share the work of one Run.
func (p *Program) Threads() int { return p.threads }

// ArenaBytes returns the size of the activations of one session.
func (p *Program) ArenaBytes() int { return p.arena }

// WeightBytes returns the size of the weights as the kernels hold them.
func (p *Program) WeightBytes() int { return p.weights }

// Info describes an input or output.
type Info struct {
	Name  string
	Type  format.DType
	Shape format.Shape
	Quant *format.Quant // nil for plain numbers
}

// Inputs describes the program's inputs in the model's order.
func (p *Program) Inputs() []Info { return infos(p.inputs) }

// Outputs describes the program's outputs in the model's order.
func (p *Program) Outputs() []Info { return infos(p.outputs) }

func infos(vs []*value) []Info {
	r := make([]Info, len(vs))
	for i, v := range vs {
		r[i] = Info{Name: v.name, Type: v.typ, Shape: v.shape, Quant: v.quant}
	}
	return r
}

// StepInfo describes one step of a program.
type StepInfo struct {
	Node   string // of the model
	Op     string // with what was fused into it, as in "Conv+Relu"
	Kernel string // the kernel picked
	Asm    bool   // whether its inner loop is assembly
	MACs   int64  // multiply-accumulates
	Bytes  int64  // read and written: activations and weights
}

// Steps describes the program's steps in the order in which they run.
func (p *Program) Steps() []StepInfo {
	r := make([]StepInfo, len(p.steps))
	for i, s := range p.steps {
		r[i] = s.info()
	}
	return r
}

// An UnsupportedError says that a node cannot be run.
type UnsupportedError struct {
	Node, Op string
	Reason   string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("runtime: node %q (%s): %s", e.Node, e.Op, e.Reason)
}
