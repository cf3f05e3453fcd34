package tflite

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Operators that whet has no single op for are written with several.

// composed makes the conversion of an operator of a function that computes its
// first output.
func composed(f func(*op) *format.Tensor) func(*op) error {
	return several(func(o *op) []*format.Tensor { return []*format.Tensor{f(o)} })
}

// several is composed for operators with several outputs. What f fails with says
// why the operator cannot be converted.
func several(f func(*op) []*format.Tensor) func(*op) error {
	return func(o *op) (err error) {
		defer func() {
			if reason, ok := net.Caught(recover()); ok {
				err = unsupported(reason)
			}
		}()
		o.net.Scope = o.outputName()
		for k, t := range f(o) {
			if k < len(o.outputs) {
				o.result(k, t)
			}
		}
		return nil
	}
}

// must leaves a composed operator with an error.
func must[T any](v T, err error) T {
	if err != nil {
		net.Fail("%v", err)
	}
	return v
}

// value is the tensor of input k as it stands in the model.
func (o *op) value(k int) *format.Tensor {
	if o.absent(k) {
		net.Fail("input %d is absent", k)
	}
	must(o.input(k))
	return o.placed[o.inputs[k]]
}

// float is the real numbers of input k.
func (o *op) float(k int) *format.Tensor { return o.real(o.value(k)) }

// real turns codes and plain integers into the numbers that they stand for.
func (o *op) real(t *format.Tensor) *format.Tensor {
	switch {
	case t.Type == format.Float32:
		return t
	case t.Quant != nil:
		return o.net.Typed("DequantizeLinear", format.Float32, nil, t)
	}
	return o.net.Typed("Cast", format.Float32, nil, t)
}

// result makes t output k of the operator, in the type, quantization and shape that
// the file gives that.
func (o *op) result(k int, t *format.Tensor) {
	out := o.out(k)
	if t.Shape.Elems() != out.shape.Elems() {
		net.Fail("it computes the shape %v, and the file says %v", t.Shape, out.shape)
	}
	t = o.net.Reshape(t, out.shape...)
	final := must(o.tensor(o.outputs[k]))
	name := ""
	switch {
	case out.quant != nil && t.Type == format.Float32:
		name = "QuantizeLinear"
	case out.quant != nil && !sameQuant(t.Quant, out.quant):
		name = "Requantize"
	case t.Type != out.dtype:
		name = "Cast"
	}
	if nodes := o.b.Graph.Nodes; name == "" && len(nodes) > 0 {
		// The last op computes it: then that op gives the output itself.
		outputs := nodes[len(nodes)-1].Outputs
		if i := slices.Index(outputs, t.Name); i >= 0 {
			outputs[i] = final
			o.forget(t)
			t.Name = final
			return
		}
	}
	attrs := format.Attrs(nil)
	if name == "" {
		name, attrs = "Reshape", shapeOf(t.Shape)
	}
	o.b.Node("", name, []string{t.Name}, []string{final}, attrs)
}

// forget takes a tensor, one of the latest, out of the model.
func (o *op) forget(t *format.Tensor) {
	list := o.b.Model.Tensors
	for i, x := range slices.Backward(list) {
		if x == t {
			o.b.Model.Tensors = slices.Delete(list, i, i+1)
			return
		}
	}
}

func shapeOf(s format.Shape) format.Attrs { return format.Attrs{"shape": build.Ints(s...)} }

// activated applies a fused activation.
func (o *op) activated(t *format.Tensor, act int8) *format.Tensor {
	switch act {
	case actNone:
		return t
	case actRelu:
		return o.net.Op("Relu", nil, t)
	case actRelu6:
		return o.net.Op("Clip", clip(0, 6), t)
	case actReluN1:
		return o.net.Op("Clip", clip(-1, 1), t)
	case actTanh:
		if t.Type == format.Float32 {
			return o.net.Op("Tanh", nil, t)
		}
	}
	net.Fail("fused activation %d on %v", act, t.Type)
	return nil
}

// known makes output 0 a constant, which the operators behind it can use as one.
func (o *op) known(data []byte) error {
	y := o.out(0)
	if y.dtype == format.Invalid || len(data) != y.dtype.Bytes(y.shape.Elems()) {
		return unsupportedf("%d bytes for %v %v", len(data), y.dtype, y.shape)
	}
	y.data = data
	return nil
}

// list returns the integers of a constant input; it fails for what is computed.
func (o *op) list(k int) []int64 { return must(o.ints(k)) }
