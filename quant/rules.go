package quant

import (
	"github.com/whet-edge/whet/format"
)

// A rule says how a node is done in integers.
type rule int

const (
	stays    rule = iota // in float32: it has no integer kernel worth having
	product              // Conv, Gemm: int8 weights, int32 bias, own output range
	bounds               // Relu, Clip: fused into the node before that serves it alone
	moves                // the output has the quantization of the first input
	joins                // Concat: the inputs take the quantization of the output
	rescales             // own output range
	unit                 // an output range that the function fixes
)

// rules names the ops that have an int8 kernel. Functions whose values span
// decades (Exp, Log, Div, Pow, Sqrt, Rsqrt) are left out although kernels
// exist: no one scale carries them.
var rules = map[string]rule{
	"Conv": product, "Gemm": product,
	"Relu": bounds, "Clip": bounds,
	"MaxPool": moves, "Reshape": moves, "Transpose": moves, "Split": moves, "Slice": moves, "Pad": moves, "Gather": moves, "ReduceMax": moves,
	"Concat":      joins,
	"AveragePool": rescales, "ReduceMean": rescales, "ReduceSum": rescales,
	"Add": rescales, "Sub": rescales, "Mul": rescales, "Max": rescales, "Min": rescales, "SquaredDifference": rescales,
	"LeakyRelu": rescales, "Elu": rescales, "HardSwish": rescales, "Gelu": rescales, "Erf": rescales, "Abs": rescales, "Neg": rescales,
	"LogSoftmax": rescales,
	"Softmax":    unit, "Sigmoid": unit, "Tanh": unit,
}

// ruleOf returns the rule of a node on its tensors.
func ruleOf(n *format.Node, tensors map[string]*format.Tensor) rule {
	r := rules[n.Op]
	for _, out := range n.Outputs {
		if out != "" && tensors[out].Type != format.Float32 {
			return stays
		}
	}
	if len(n.Inputs) == 0 || n.Inputs[0] == "" || tensors[n.Inputs[0]].Type != format.Float32 {
		return stays
	}
	switch r {
	case product:
		if tensors[n.Inputs[0]].Const() || !weights(tensors[n.Inputs[1]]) {
			return stays
		}
		if len(n.Inputs) > 2 && n.Inputs[2] != "" && !plainConst(tensors[n.Inputs[2]]) {
			return stays
		}
	case rescales, joins:
		for _, in := range n.Inputs {
			if tensors[in].Type != format.Float32 {
				return stays
			}
		}
	case moves:
		if n.Op == "Gather" && tensors[n.Inputs[0]].Const() {
			return stays
		}
	}
	return r
}

// weights reports whether a tensor can be the weights of an integer layer:
// float32, or int8 that is symmetric already (those of a hybrid layer).
func weights(t *format.Tensor) bool {
	if !t.Const() || len(t.Data) == 0 {
		return false
	}
	if t.Type == format.Float32 {
		return true
	}
	if t.Type != format.Int8 || t.Quant == nil || t.Quant.Block > 0 || len(t.Quant.Scale) > 1 && t.Quant.Axis != 0 {
		return false
	}
	for _, z := range t.Quant.Zero {
		if z != 0 {
			return false
		}
	}
	return true
}

func plainConst(t *format.Tensor) bool { return t.Const() && t.Type == format.Float32 }
