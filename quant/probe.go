package quant

import (
	"context"
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// probeBytes bounds the activations that one pass over the samples keeps: a
// model that has more is run once for each part of them.
const probeBytes = 96 << 20

// A runner runs a model and gives its tensors as real numbers.
type runner struct {
	session  *runtime.Session
	inputs   int
	model    *format.Model
	sequence int // samples between two resets of the states, if more than one
}

// newRunner compiles a model that returns the named tensors (nil: its outputs).
func newRunner(m *format.Model, names []string) (*runner, error) {
	var opts []runtime.Option
	if names != nil {
		opts = append(opts, runtime.WithOutputs(names...))
	}
	p, err := runtime.Compile(m, opts...)
	if err != nil {
		return nil, err
	}
	return &runner{session: p.NewSession(), inputs: len(p.Inputs()), model: m}, nil
}

// run runs the model on sample number n, states at their initial values: samples are
// independent, or those of a sequence are. Quantized inputs are rounded to their
// codes; those that count (a token's number) take the nearest integer.
func (r *runner) run(ctx context.Context, n int, x Sample) error {
	if len(x) != r.inputs {
		return fmt.Errorf("quant: sample %d has %d inputs, the model %d", n, len(x), r.inputs)
	}
	for i, v := range x {
		in := r.session.Input(i)
		if in.Type == format.Int32 && len(v) == len(in.Int32()) {
			for k, x := range v {
				in.Int32()[k] = int32(roundEven(x))
			}
			continue
		}
		if err := in.SetFloat32(v); err != nil {
			return fmt.Errorf("quant: sample %d: %w", n, err)
		}
	}
	if r.sequence < 2 || n%r.sequence == 0 {
		r.session.Reset()
	}
	return r.session.Run(ctx)
}

// real returns the i-th of the runner's tensors; the next call overwrites it.
func (r *runner) real(i int) []float32 { return r.session.Output(i).Float32() }

func (r *runner) close() { r.session.Close() }

// activations lists the float32 tensors that the main graph is fed or computes,
// except those that only a Relu or Clip reads.
func activations(m *format.Model) []string {
	tensors := byName(m)
	bounded := boundedBy(m.Main())
	var names []string
	for _, in := range m.Main().Inputs {
		if tensors[in.Tensor].Type == format.Float32 {
			names = append(names, in.Tensor)
		}
	}
	for _, n := range m.Main().Nodes {
		for _, out := range n.Outputs {
			if out != "" && tensors[out].Type == format.Float32 && bounded[out] == "" {
				names = append(names, out)
			}
		}
	}
	return names
}

// parts cuts a list of tensors so that each part fits in probeBytes.
func parts(m *format.Model, names []string) [][]string {
	tensors := byName(m)
	var out [][]string
	size := 0
	for _, name := range names {
		bytes := 4 * max(tensors[name].Shape.Elems(), 0)
		if len(out) == 0 || size+bytes > probeBytes {
			out = append(out, nil)
			size = 0
		}
		size += bytes
		out[len(out)-1] = append(out[len(out)-1], name)
	}
	return out
}

// boundedBy maps the tensors that a Relu or Clip and nothing else reads to its
// output: a fused layer never rounds to them.
func boundedBy(g *format.Graph) map[string]string {
	users, made := users(g), producers(g)
	b := map[string]string{}
	for _, n := range g.Nodes {
		if in := n.Inputs; rules[n.Op] == bounds && users[in[0]] == 1 && made[in[0]] != nil {
			b[in[0]] = n.Outputs[0]
		}
	}
	return b
}
