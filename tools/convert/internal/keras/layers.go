package keras

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A row says how a layer is converted, and which variables it has.
type row struct {
	vars func(*layer) []*variable // nil: none
	call func(*call) any          // a tensor, or a list of them
	mask maskUse
}

// maskUse is what a layer does with a mask of its input.
type maskUse uint8

const (
	maskKept    maskUse = iota // hands it on
	maskDropped                // computes the same without it and hands none on
	maskUsed                   // heeds it, and gives its outputs their masks by itself
)

// rows are the layers that can be converted, by class. The families add theirs in
// the files layers_*.go.
var rows = map[string]row{}

func register(list map[string]row) {
	for name, r := range list {
		if _, dup := rows[name]; dup {
			panic("keras: two rows for " + name)
		}
		rows[name] = r
	}
}

// rowName is the name of the row of a layer. Functions of keras.ops in a graph
// are written as layers, some with the names of layers.
func (l *layer) rowName() string {
	switch {
	case l.function:
		return "ops." + l.class
	case l.class == "TFOpLambda":
		return tfFunction(l.cfg.str("function", ""))
	case l.class == "SlicingOpLambda":
		return "ops.GetItem"
	}
	return l.class
}

func init() {
	identity := row{call: func(c *call) any { return flatten(c.args)[0] }}
	for _, name := range []string{"InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
		"GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity"} {
		rows[name] = identity
	}
	register(map[string]row{
		"Dense":       {vars: kernelBias, call: dense},
		"EinsumDense": {vars: kernelBias, call: einsumDense, mask: maskDropped},
		"Embedding":   {vars: func(*layer) []*variable { return own("embeddings") }, call: embedding, mask: maskUsed},
		"Activation":  {call: func(c *call) any { return c.activation(c.x(), c.l.cfg["activation"]) }},

		"Add": {call: merge("Add"), mask: maskUsed}, "Subtract": {call: merge("Sub"), mask: maskUsed}, "Multiply": {call: merge("Mul"), mask: maskUsed},
		"Maximum": {call: merge("Max"), mask: maskUsed}, "Minimum": {call: merge("Min"), mask: maskUsed}, "Average": {call: average, mask: maskUsed},
		"Concatenate": {call: concatenate, mask: maskUsed}, "Dot": {call: dot, mask: maskDropped},

		"Rescaling":     {call: rescaling},
		"Normalization": {vars: normalizationVars, call: normalization},
	})
}

// kernelBias is the variables kernel and, unless it is switched off, bias.
func kernelBias(l *layer) []*variable {
	if l.class == "EinsumDense" {
		if l.cfg.has("bias_axes") {
			return own("kernel", "bias")
		}
		return own("kernel")
	}
	if l.cfg.bool("use_bias", true) {
		return own("kernel", "bias")
	}
	return own("kernel")
}

// maxMade bounds the elements of constants that are not in the file.
const maxMade = 1 << 24

// made checks the size of a constant that is not in the file.
func made(n int) int {
	if n < 0 || n > maxMade {
		net.Fail("a constant of %d elements: at most %d are possible", n, maxMade)
	}
	return n
}

// bias returns the layer's bias of n numbers, nil if it has none.
func (c *call) bias(n int) *format.Tensor {
	if _, _, ok := c.l.weight("bias"); !ok {
		return nil
	}
	return c.net.Floats("bias", format.Shape{n}, c.l.need("bias", n))
}

// transposed returns the matrix [rows, cols] as [cols, rows].
func transposed(v []float32, rows, cols int) []float32 {
	out := make([]float32, len(v))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = v[i*cols+j]
		}
	}
	return out
}

func dense(c *call) any {
	x := c.x()
	if len(x.Shape) < 2 {
		net.Fail("its input is of shape %v", x.Shape)
	}
	k, units := x.Shape[len(x.Shape)-1], c.l.cfg.positive("units", 0)
	w := c.net.Floats("kernel", format.Shape{units, k}, transposed(c.l.need("kernel", k, units), k, units))
	return c.activation(c.net.Linear(x, w, c.bias(units)), c.l.cfg["activation"])
}

func embedding(c *call) any {
	dims := []int{c.l.cfg.positive("input_dim", 0), c.l.cfg.positive("output_dim", 0)}
	table := c.net.Floats("embeddings", dims, c.l.need("embeddings", dims...))
	x := flatten(c.args)[0]
	if x.Type != format.Int64 && x.Type != format.Int32 {
		x = c.net.Typed("Cast", format.Int32, nil, x)
	}
	y := c.net.Typed("Gather", format.Float32, format.Attrs{"axis": int64(0)}, table, x)
	if c.l.cfg.bool("mask_zero", false) {
		zero := c.net.Typed("Cast", x.Type, nil, c.net.Number(0))
		c.masks[y] = c.net.Typed("Not", format.Bool, nil, c.net.Typed("Equal", format.Bool, nil, x, zero))
	}
	return y
}

// einsumDense is EinsumDense for equations that are a matrix product over trailing
// dimensions, such as "abc,cd->abd", "abc,cde->abde" or "abcd,cde->abe".
func einsumDense(c *call) any {
	x := c.x()
	equation := strings.ReplaceAll(c.l.cfg.str("equation", ""), "...", "")
	ins, out, ok := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	left, right, ok2 := strings.Cut(ins, ",")
	bad := func() {
		net.Fail("equation %q: only products over the last dimensions of the input are possible", equation)
	}
	if !ok || !ok2 || left == "" || right == "" {
		bad()
	}
	// left = batch + sum, right = sum + new, out = batch + new.
	n := 0
	for n < len(left) && n < len(out) && left[n] == out[n] {
		n++
	}
	batch, sum := left[:n], left[n:]
	if sum == "" || !strings.HasPrefix(right, sum) || out != batch+right[len(sum):] {
		bad()
	}
	values, shape, _ := c.l.weight("kernel")
	if len(shape) != len(right) || len(x.Shape) < len(sum) {
		bad()
	}
	lead := x.Shape[:len(x.Shape)-len(sum)]
	if !x.Shape[len(lead):].Equal(shape[:len(sum)]) {
		net.Fail("a kernel %v does not fit an input %v", shape, x.Shape)
	}
	k, units := shape[:len(sum)].Elems(), shape[len(sum):].Elems()
	flat := c.net.Reshape(x, append(slices.Clone(lead), k)...)
	w := c.net.Floats("kernel", format.Shape{units, k}, transposed(values, k, units))
	y := c.net.Linear(flat, w, nil)
	y = c.net.Reshape(y, slices.Concat(lead, shape[len(sum):])...)
	if b, s, ok := c.l.weight("bias"); ok {
		y = c.net.Op("Add", nil, y, c.net.Floats("bias", s, b))
	}
	return c.activation(y, c.l.cfg["activation"])
}

// merge is a layer that joins its inputs element by element.
func merge(op string) func(*call) any {
	return func(c *call) any {
		list := c.xs()
		if len(list) < 2 || op == "Sub" && len(list) != 2 {
			net.Fail("%d inputs", len(list))
		}
		masks := c.given()
		mask := c.joined(masks)
		if op == "Mul" {
			list = c.masked(list, masks)
		}
		y := list[0]
		for _, x := range list[1:] {
			a, b := c.aligned(y, x)
			y = c.net.Op(op, nil, a, b)
		}
		if mask != nil {
			if op == "Mul" && c.major >= 3 {
				y = c.choose(c.column(mask), y, c.net.Number(0))
			}
			c.masks[y] = mask
		}
		return y
	}
}

// aligned gives two tensors of different rank the same: Keras puts the missing
// dimensions behind the batch.
func (c *call) aligned(a, b *format.Tensor) (*format.Tensor, *format.Tensor) {
	grow := func(t *format.Tensor, rank int) *format.Tensor {
		if len(t.Shape) == 0 || len(t.Shape) >= rank {
			return t
		}
		ones := slices.Repeat([]int{1}, rank-len(t.Shape))
		return c.net.Reshape(t, slices.Concat(t.Shape[:1], ones, t.Shape[1:])...)
	}
	return grow(a, len(b.Shape)), grow(b, len(a.Shape))
}

func average(c *call) any {
	sum := merge("Add")(c).(*format.Tensor)
	y := c.net.Op("Mul", nil, sum, c.net.Number(1/float64(len(c.xs()))))
	if mask := c.masks[sum]; mask != nil {
		c.masks[y] = mask
	}
	return y
}

func concatenate(c *call) any {
	list := c.xs()
	axis := net.Axis(c.l.cfg.int("axis", -1), len(list[0].Shape))
	mask := c.concatenated(axis, list, c.given())
	y := c.net.Concat(axis, list...)
	if mask != nil {
		c.masks[y] = mask
	}
	return y
}

// dot is Dot: the sum over one axis of each input, by sample.
func dot(c *call) any {
	list := c.xs()
	if len(list) != 2 || len(list[0].Shape) < 2 || len(list[1].Shape) < 2 {
		net.Fail("%d inputs", len(list))
	}
	axes := c.l.cfg.ints("axes")
	if len(axes) == 1 {
		axes = []int{axes[0], axes[0]}
	}
	if len(axes) != 2 {
		net.Fail("axes %v", axes)
	}
	rest := make([]format.Shape, 2) // dimensions that stay, by input
	for i, x := range list {
		a := net.Axis(axes[i], len(x.Shape))
		if a == 0 {
			net.Fail("axes %v include the batch", axes)
		}
		if c.l.cfg.bool("normalize", false) {
			x = c.unit(x, a)
		}
		n := len(x.Shape)
		perm := []int{0}
		for d := 1; d < n; d++ {
			if d != a {
				perm = append(perm, d)
				rest[i] = append(rest[i], x.Shape[d])
			}
		}
		k := x.Shape[a]
		if i == 0 {
			list[i] = c.net.Reshape(c.net.Transpose(x, append(perm, a)...), x.Shape[0], rest[i].Elems(), k)
		} else {
			list[i] = c.net.Reshape(c.net.Transpose(x, slices.Insert(perm, 1, a)...), x.Shape[0], k, rest[i].Elems())
		}
	}
	y := c.net.Op("MatMul", nil, list[0], list[1])
	shape := slices.Concat(format.Shape{y.Shape[0]}, rest[0], rest[1])
	if len(shape) == 1 {
		shape = append(shape, 1)
	}
	return c.net.Reshape(y, shape...)
}

// unit divides x by its length along an axis.
func (c *call) unit(x *format.Tensor, axes ...int) *format.Tensor {
	sum := c.net.Reduce("ReduceSum", c.net.Op("Mul", nil, x, x), true, axes...)
	return c.net.Op("Mul", nil, x, c.net.Op("Rsqrt", nil, c.net.Op("Max", nil, sum, c.net.Number(1e-12))))
}

// channels returns a constant for the last dimension of x: a list of as many
// numbers, or one.
func (c *call) channels(v any, x *format.Tensor) *format.Tensor {
	list, ok := v.([]any)
	if !ok {
		f, _ := v.(float64)
		return c.net.Number(f)
	}
	var out []float32
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				add(e)
			}
		case float64:
			out = append(out, float32(v))
		}
	}
	add(list)
	n := len(x.Shape)
	if n == 0 || len(out) != 1 && len(out) != x.Shape[n-1] {
		net.Fail("%d numbers for the last dimension of %v", len(out), x.Shape)
	}
	return c.net.Floats("const", format.Shape{len(out)}, out)
}

func rescaling(c *call) any {
	x := c.x()
	y := c.net.Op("Mul", nil, x, c.channels(c.l.cfg["scale"], x))
	if c.l.cfg.float("offset", 1) == 0 {
		return y
	}
	return c.net.Op("Add", nil, y, c.channels(c.l.cfg["offset"], x))
}

func normalizationVars(l *layer) []*variable {
	if l.cfg.has("mean") {
		return nil
	}
	out := own("mean", "variance", "count")
	for _, v := range out {
		v.frozen = true
	}
	return out
}

// normalization is (x - mean) / max(sqrt(variance), 1e-7) along axes.
func normalization(c *call) any {
	x := c.x()
	n := len(x.Shape)
	shape := format.Shape(slices.Repeat([]int{1}, n))
	for _, a := range c.l.cfg.ints("axis") {
		a = net.Axis(a, n)
		shape[a] = x.Shape[a]
	}
	value := func(name string) []float32 {
		if !c.l.cfg.has("mean") {
			v, _, _ := c.l.weight(name)
			return v
		}
		return net.Values(c.channels(c.l.cfg[name], x))
	}
	mean, variance := value("mean"), value("variance")
	factor, term := make([]float32, len(mean)), make([]float32, len(mean))
	if len(variance) != len(mean) {
		net.Fail("%d means and %d variances", len(mean), len(variance))
	}
	for i, m := range mean {
		d := max(sqrt(float64(variance[i])), 1e-7)
		factor[i], term[i] = float32(1/d), float32(-float64(m)/d)
		if c.l.cfg.bool("invert", false) {
			factor[i], term[i] = float32(d), m
		}
	}
	if len(mean) == 1 {
		shape = format.Shape{}
	}
	y := c.net.Op("Mul", nil, x, c.net.Floats("scale", shape, factor))
	return c.net.Op("Add", nil, y, c.net.Floats("offset", shape, term))
}

// shapeAttr makes the attribute of ops that take a shape.
func shapeAttr(s format.Shape) format.Attrs { return format.Attrs{"shape": build.Ints(s...)} }
