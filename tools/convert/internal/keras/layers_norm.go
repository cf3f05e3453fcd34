package keras

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	register(map[string]row{
		"BatchNormalization": {vars: batchNormVars, call: batchNorm},
		"LayerNormalization": {vars: scaleAndCenter("gamma", "beta"), call: layerNorm},
		"GroupNormalization": {vars: scaleAndCenter("gamma", "beta"), call: groupNorm},
		"RMSNormalization":   {vars: func(*layer) []*variable { return own("scale") }, call: rmsNorm, mask: maskDropped},
		"UnitNormalization": {call: func(c *call) any {
			x := c.x()
			return c.unit(x, c.axes(x)...)
		}},
	})
	rows["SyncBatchNormalization"] = rows["BatchNormalization"]
	rows["BatchNormalizationV1"] = rows["BatchNormalization"]
}

// scaleAndCenter lists a factor and a term that settings may switch off.
func scaleAndCenter(factor, term string) func(*layer) []*variable {
	return func(l *layer) []*variable {
		var names []string
		if l.cfg.bool("scale", true) {
			names = append(names, factor)
		}
		if l.cfg.bool("center", true) {
			names = append(names, term)
		}
		return own(names...)
	}
}

func batchNormVars(l *layer) []*variable {
	moving := own("moving_mean", "moving_variance")
	for _, v := range moving {
		v.frozen = true
	}
	return append(scaleAndCenter("gamma", "beta")(l), moving...)
}

// axes returns the axes that the settings name, in ascending order; the last one if
// they name none.
func (c *call) axes(x *format.Tensor) []int {
	list := c.l.cfg.ints("axis")
	if list == nil {
		list = []int{-1}
	}
	out := make([]int, len(list))
	for i, a := range list {
		out[i] = net.Axis(a, len(x.Shape))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// along returns a shape that broadcasts numbers for the given axes over x.
func along(x *format.Tensor, axes ...int) format.Shape {
	s := format.Shape(slices.Repeat([]int{1}, len(x.Shape)))
	for _, a := range axes {
		s[a] = x.Shape[a]
	}
	for len(s) > 1 && s[0] == 1 {
		s = s[1:]
	}
	return s
}

// batchNorm is a factor and a term for each channel: those of the moving mean and
// variance.
func batchNorm(c *call) any {
	x := c.x()
	axes := c.axes(x)
	if len(axes) != 1 {
		net.Fail("axes %v", axes)
	}
	n := x.Shape[axes[0]]
	mean, variance := c.l.need("moving_mean", n), c.l.need("moving_variance", n)
	eps := c.l.cfg.float("epsilon", 1e-3)
	factor, term := make([]float32, n), make([]float32, n)
	value := func(name string, i int, def float64) float64 {
		if v, _, ok := c.l.weight(name); ok && i < len(v) {
			return float64(v[i])
		}
		return def
	}
	for i := range n {
		f := value("gamma", i, 1) / math.Sqrt(float64(variance[i])+eps)
		factor[i], term[i] = float32(f), float32(value("beta", i, 0)-float64(mean[i])*f)
		if f-f != 0 {
			net.Fail("the variance of channel %d is %v", i, variance[i])
		}
	}
	shape := along(x, axes[0])
	y := c.net.Op("Mul", nil, x, c.net.Floats("scale", shape, factor))
	return c.net.Op("Add", nil, y, c.net.Floats("offset", shape, term))
}

// lastAxes checks that the axes are the innermost ones, and returns x with them as
// one dimension, and their size.
func (c *call) lastAxes(x *format.Tensor) (*format.Tensor, int) {
	axes := c.axes(x)
	k := len(x.Shape) - len(axes)
	if axes[0] != k {
		net.Fail("axes %v of %v: only the innermost ones are possible", axes, x.Shape)
	}
	n := x.Shape[k:].Elems()
	return c.net.Reshape(x, append(slices.Clone(x.Shape[:k]), n)...), n
}

// filled returns a variable of n numbers, or as many equal ones.
func (c *call) filled(name string, n int, def float32) *format.Tensor {
	v, _, ok := c.l.weight(name)
	if !ok {
		v = slices.Repeat([]float32{def}, made(n))
	}
	if len(v) != n {
		net.Fail("weight %s has %d numbers, and %d are needed", name, len(v), n)
	}
	return c.net.Floats(name, format.Shape{n}, v)
}

func layerNorm(c *call) any {
	x := c.x()
	flat, n := c.lastAxes(x)
	if c.l.cfg.bool("rms_scaling", false) {
		net.Fail("rms_scaling: use RMSNormalization")
	}
	y := c.net.Op("LayerNormalization", format.Attrs{"epsilon": c.l.cfg.float("epsilon", 1e-3)}, flat, c.filled("gamma", n, 1), c.filled("beta", n, 0))
	return c.net.Reshape(y, x.Shape...)
}

func rmsNorm(c *call) any {
	x := c.x()
	flat, n := c.lastAxes(x)
	y := c.net.Op("RMSNormalization", format.Attrs{"epsilon": c.l.cfg.float("epsilon", 1e-6)}, flat, c.filled("scale", n, 1))
	return c.net.Reshape(y, x.Shape...)
}

// groupNorm normalizes groups of channels: each becomes the innermost dimension of
// a LayerNormalization.
func groupNorm(c *call) any {
	x := c.x()
	axes := c.axes(x)
	rank := len(x.Shape)
	if len(axes) != 1 || axes[0] == 0 {
		net.Fail("axes %v", axes)
	}
	// [N, ..., C] as [N, groups, ... · C/groups].
	perm := net.Swap(rank, axes[0], rank-1)
	last := c.net.Transpose(x, perm...)
	n, ch := last.Shape[0], last.Shape[rank-1]
	groups := c.l.cfg.int("groups", 32)
	if groups == -1 {
		groups = ch
	}
	if groups < 1 || ch%groups != 0 {
		net.Fail("%d groups of %d channels", groups, ch)
	}
	area := last.Shape.Elems() / (n * ch)
	t := c.net.Transpose(c.net.Reshape(last, n, area, groups, ch/groups), 0, 2, 1, 3)
	t = c.net.Reshape(t, n, groups, area*ch/groups)
	one := c.net.Floats("ones", format.Shape{t.Shape[2]}, slices.Repeat([]float32{1}, made(t.Shape[2])))
	t = c.net.Op("LayerNormalization", format.Attrs{"epsilon": c.l.cfg.float("epsilon", 1e-3)}, t, one)
	t = c.net.Transpose(c.net.Reshape(t, n, groups, area, ch/groups), 0, 2, 1, 3)
	y := c.net.Reshape(t, last.Shape...)
	y = c.net.Op("Mul", nil, y, c.filled("gamma", ch, 1))
	y = c.net.Op("Add", nil, y, c.filled("beta", ch, 0))
	return c.net.Transpose(y, perm...)
}
