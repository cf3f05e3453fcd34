package keras

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

func init() {
	register(map[string]row{
		"ReLU":            {call: func(c *call) any { return c.relu(c.x(), c.l.cfg) }},
		"LeakyReLU":       {call: func(c *call) any { return c.leaky(c.x(), c.l.cfg) }},
		"ELU":             {call: func(c *call) any { return c.elu(c.x(), c.l.cfg.float("alpha", 1)) }},
		"PReLU":           {vars: func(*layer) []*variable { return own("alpha") }, call: prelu},
		"ThresholdedReLU": {call: func(c *call) any { return c.above(c.x(), c.l.cfg.float("theta", 1), 0) }},
		"Softmax":         {call: softmaxLayer, mask: maskUsed},
	})
}

// activation applies a function that a configuration names; nil is none.
func (c *call) activation(x *format.Tensor, v any) *format.Tensor {
	switch v := v.(type) {
	case nil:
		return x
	case string:
		return c.named(x, v)
	case map[string]any: // a layer, or a function with a registered name
		l := config(v)
		settings := l.object("config")
		if settings == nil {
			settings = config{}
		}
		switch class := l.str("class_name", ""); class {
		case "ReLU":
			return c.relu(x, settings)
		case "LeakyReLU":
			return c.leaky(x, settings)
		case "ELU":
			return c.elu(x, settings.float("alpha", 1))
		case "Softmax":
			return c.net.Softmax("Softmax", x, net.Axis(settings.int("axis", -1), len(x.Shape)))
		case "Activation":
			return c.activation(x, settings["activation"])
		case "function":
			return c.named(x, l.str("config", ""))
		default:
			return c.named(x, class)
		}
	}
	net.Fail("activation %v cannot be read", v)
	return nil
}

// named applies one of Keras's activation functions.
func (c *call) named(x *format.Tensor, name string) *format.Tensor {
	n := c.net
	mul := func(a, b *format.Tensor) *format.Tensor { return n.Op("Mul", nil, a, b) }
	sub := func(a, b *format.Tensor) *format.Tensor { return n.Op("Sub", nil, a, b) }
	add := func(a, b *format.Tensor) *format.Tensor { return n.Op("Add", nil, a, b) }
	div := func(a, b *format.Tensor) *format.Tensor { return n.Op("Div", nil, a, b) }
	unary := func(op string) *format.Tensor { return n.Op(op, nil, x) }
	switch name {
	case "linear":
		return x
	case "relu":
		return unary("Relu")
	case "relu6":
		return c.clip(x, 0, 6)
	case "hard_tanh":
		return c.clip(x, -1, 1)
	case "elu":
		return c.elu(x, 1)
	case "celu":
		return c.elu(x, 1)
	case "selu": // Klambauer et al. 2017
		return mul(c.elu(x, 1.6732632423543772), n.Number(1.0507009873554805))
	case "sigmoid":
		return unary("Sigmoid")
	case "tanh":
		return unary("Tanh")
	case "exponential":
		return unary("Exp")
	case "softplus":
		return unary("Softplus")
	case "swish", "silu":
		return mul(x, unary("Sigmoid"))
	case "gelu":
		return unary("Gelu")
	case "mish":
		return mul(x, n.Op("Tanh", nil, unary("Softplus")))
	case "softsign":
		return div(x, add(unary("Abs"), n.Number(1)))
	case "softmax":
		return c.softmax("Softmax", x)
	case "log_softmax":
		return c.softmax("LogSoftmax", x)
	case "log_sigmoid":
		return n.Op("Neg", nil, n.Op("Softplus", nil, unary("Neg")))
	case "leaky_relu":
		return n.Op("LeakyRelu", format.Attrs{"alpha": 0.2}, x)
	case "hard_sigmoid":
		slope := 0.2
		if c.major >= 3 {
			slope = 1.0 / 6
		}
		return n.Op("HardSigmoid", format.Attrs{"alpha": slope, "beta": 0.5}, x)
	case "hard_swish", "hard_silu":
		return unary("HardSwish")
	case "tanh_shrink":
		return sub(x, unary("Tanh"))
	case "soft_shrink": // sign(x)·max(|x| - 0.5, 0)
		return sub(n.Op("Relu", nil, sub(x, n.Number(0.5))), n.Op("Relu", nil, sub(unary("Neg"), n.Number(0.5))))
	case "hard_shrink":
		keep := n.Typed("Less", format.Bool, nil, n.Number(0.5), unary("Abs"))
		return n.Typed("Where", format.Float32, nil, keep, x, n.Number(0))
	case "squareplus": // (x + sqrt(x² + 4)) / 2
		return mul(add(x, n.Op("Sqrt", nil, add(mul(x, x), n.Number(4)))), n.Number(0.5))
	case "sparse_sigmoid":
		return n.Op("HardSigmoid", format.Attrs{"alpha": 0.5, "beta": 0.5}, x)
	}
	net.Fail("activation %q is not known: use one of Keras's own", name)
	return nil
}

func (c *call) clip(x *format.Tensor, lo, hi float64) *format.Tensor {
	return c.net.Op("Clip", format.Attrs{"min": lo, "max": hi}, x)
}

func (c *call) elu(x *format.Tensor, alpha float64) *format.Tensor {
	return c.net.Op("Elu", format.Attrs{"alpha": alpha}, x)
}

// softmax is the activation, which joins nothing where there is one dimension.
func (c *call) softmax(op string, x *format.Tensor) *format.Tensor {
	return c.net.Softmax(op, x, net.Axis(-1, len(x.Shape)))
}

// leaky is LeakyReLU, whose slope has had two names.
func (c *call) leaky(x *format.Tensor, cfg config) *format.Tensor {
	alpha := cfg.float("negative_slope", cfg.float("alpha", 0.3))
	return c.net.Op("LeakyRelu", format.Attrs{"alpha": alpha}, x)
}

// relu is ReLU with its settings: max(x, 0) up to max_value, and
// negative_slope·(x - threshold) below threshold.
func (c *call) relu(x *format.Tensor, cfg config) *format.Tensor {
	slope, threshold := cfg.float("negative_slope", 0), cfg.float("threshold", 0)
	limit := cfg.float("max_value", math.Inf(1))
	var y *format.Tensor
	switch {
	case threshold != 0 && slope == 0:
		y = c.above(x, threshold, 0)
	case threshold != 0:
		y = c.above(x, threshold, slope)
	case slope != 0:
		y = c.net.Op("LeakyRelu", format.Attrs{"alpha": slope}, x)
	case !math.IsInf(limit, 1):
		return c.clip(x, 0, limit)
	default:
		return c.net.Op("Relu", nil, x)
	}
	if !math.IsInf(limit, 1) {
		y = c.net.Op("Clip", format.Attrs{"max": limit}, y)
	}
	return y
}

// above is x where it is greater than (or, with a slope, at least) the threshold,
// else slope·(x - threshold).
func (c *call) above(x *format.Tensor, threshold, slope float64) *format.Tensor {
	n := c.net
	t := n.Number(threshold)
	other := n.Number(0)
	keep := n.Typed("Less", format.Bool, nil, t, x)
	if slope != 0 {
		other = n.Op("Mul", nil, n.Op("Sub", nil, x, t), n.Number(slope))
		keep = n.Typed("LessOrEqual", format.Bool, nil, t, x)
	}
	return n.Typed("Where", format.Float32, nil, keep, x, other)
}

// prelu is max(x, 0) - alpha·max(-x, 0).
func prelu(c *call) any {
	x := c.x()
	v, s, _ := c.l.weight("alpha")
	want := slices.Clone(x.Shape[1:])
	for i := range want {
		if i < len(s) && s[i] == 1 {
			want[i] = 1
		}
	}
	if !s.Equal(want) {
		net.Fail("alpha of shape %v for an input %v", s, x.Shape)
	}
	neg := c.net.Op("Relu", nil, c.net.Op("Neg", nil, x))
	return c.net.Op("Sub", nil, c.net.Op("Relu", nil, x), c.net.Op("Mul", nil, neg, c.net.Floats("alpha", s, v)))
}

func softmaxLayer(c *call) any {
	x := c.x()
	axes := c.l.cfg.ints("axis")
	if axes == nil {
		axes = []int{-1}
	}
	if len(axes) != 1 {
		net.Fail("a softmax over axes %v together", axes)
	}
	axis, mask := net.Axis(axes[0], len(x.Shape)), c.given()[0]
	if mask == nil {
		return c.net.Softmax("Softmax", x, axis)
	}
	y := c.net.Softmax("Softmax", c.choose(mask, x, c.net.Number(hidden)), axis)
	if c.major >= 3 { // all of the axis may be hidden
		y = c.choose(mask, y, c.net.Number(0))
	}
	c.masks[y] = c.masks[flatten(c.args)[0]]
	return y
}
