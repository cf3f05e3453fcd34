package keras

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	vars := func(l *layer) []*variable {
		names := []string{"kernel", "recurrent_kernel"}
		if l.cfg.bool("use_bias", true) {
			names = append(names, "bias")
		}
		return in("cell", own(names...))
	}
	for i, name := range []string{"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"} {
		rows[name] = row{vars: vars, call: convLSTM(i + 1), mask: maskUsed}
	}
}

// convLSTM is a LSTM whose products are convolutions over n dimensions (Shi et al. 2015,
// without peepholes), written out step by step.
func convLSTM(n int) func(*call) any {
	return func(c *call) any {
		x, cfg := c.x(), c.l.cfg
		if len(c.xs()) != 1 || c.kwargs["initial_state"] != nil || cfg.bool("stateful", false) {
			net.Fail("initial states and stateful are not supported: export the model as TFLite")
		}
		if len(x.Shape) != n+3 {
			net.Fail("its input is of shape %v, and %d dimensions are needed", x.Shape, n+3)
		}
		if c.steps() != nil {
			net.Fail("masked steps are not supported: cut the padding off")
		}
		batch, steps := x.Shape[0], x.Shape[1]
		if steps > maxSteps {
			net.Fail("%d steps: at most %d are possible", steps, maxSteps)
		}
		first := cfg.str("data_format", "channels_last") == "channels_first"
		if first {
			x = c.net.Transpose(x, append(append([]int{0, 1}, count(3, n)...), 2)...)
		}
		filters, ch := cfg.positive("filters", 0), x.Shape[n+2]
		kernel, ones := cfg.each("kernel_size", n, 1), slices.Repeat([]int{1}, n)
		weights := func(name string, in int) net.Weights {
			v := c.l.need(name, slices.Concat(kernel, []int{in, 4 * filters})...)
			return net.Weights{Out: 4 * filters, In: in, V: outputsFirst(v, 4*filters)}
		}
		flat := c.net.Reshape(x, append([]int{batch * steps}, x.Shape[2:]...)...)
		wx := c.net.Conv(flat, weights("kernel", ch), c.bias(4*filters), c.window(flat, kernel, cfg.each("strides", n, 1)), 1) // of all steps at once
		area := slices.Clone(wx.Shape[1 : n+1])
		wx = c.net.Reshape(wx, slices.Concat([]int{batch, steps}, wx.Shape[1:])...)
		recurrent := weights("recurrent_kernel", filters)
		same := net.Window{Kernel: kernel, Strides: ones, Dilations: ones}
		for _, k := range kernel {
			same.Before, same.After = append(same.Before, (k-1)/2), append(same.After, k/2)
		}
		act := func(t *format.Tensor) *format.Tensor { return c.activation(t, cfg["activation"]) }
		gate := func(t *format.Tensor) *format.Tensor { return c.activation(t, cfg["recurrent_activation"]) }
		mul := func(a, b *format.Tensor) *format.Tensor { return c.net.Op("Mul", nil, a, b) }
		shape := slices.Concat(format.Shape{batch}, area, format.Shape{filters})
		var state, cell *format.Tensor // nil: zeros
		ys := make([]*format.Tensor, steps)
		for k := range steps {
			t := k
			if cfg.bool("go_backwards", false) {
				t = steps - 1 - k
			}
			sum := c.net.Reshape(c.net.Slice(wx, 1, t, t+1), append(slices.Clone(shape[:n+1]), 4*filters)...)
			if state != nil {
				sum = c.net.Op("Add", nil, sum, c.net.Conv(state, recurrent, nil, same, 1))
			}
			g := c.net.Split(sum, n+1, 4) // i f c o
			now := mul(gate(g[0]), act(g[2]))
			if cell != nil {
				now = c.net.Op("Add", nil, mul(gate(g[1]), cell), now)
			}
			cell = now
			state = mul(gate(g[3]), act(cell))
			ys[k] = c.net.Reshape(state, slices.Insert(slices.Clone(shape), 1, 1)...)
		}
		back := func(y *format.Tensor) *format.Tensor {
			if !first {
				return y
			}
			lead := len(y.Shape) - n - 1 // dimensions before the area
			perm := append(count(0, lead), len(y.Shape)-1)
			return c.net.Transpose(y, append(perm, count(lead, n)...)...)
		}
		y := back(state)
		if cfg.bool("return_sequences", false) {
			y = back(c.net.Concat(1, ys...))
		}
		if cfg.bool("return_state", false) {
			return []*format.Tensor{y, back(state), back(cell)}
		}
		return y
	}
}

// count returns n numbers from from.
func count(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}
