package keras

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	register(map[string]row{
		"MultiHeadAttention":    {vars: headVars, call: multiHead, mask: maskUsed},
		"GroupQueryAttention":   {vars: headVars, call: multiHead, mask: maskUsed},
		"GroupedQueryAttention": {vars: headVars, call: multiHead, mask: maskUsed},
		"Attention":             {vars: attentionVars, call: attention, mask: maskUsed},
		"AdditiveAttention":     {vars: attentionVars, call: attention, mask: maskUsed},
	})
}

// projections are the linear layers of an attention with heads.
var projections = []string{"query", "key", "value", "output"}

func headVars(l *layer) (out []*variable) {
	for _, p := range projections {
		names := []string{p + " kernel"}
		if l.cfg.bool("use_bias", true) {
			names = append(names, p+" bias")
		}
		out = append(out, in(p+"_dense", own(names...))...)
	}
	return out
}

// project applies a linear layer to the innermost dimension of x: a kernel
// [features, heads, size], or for the output [heads, size, features].
func (c *call) project(p string, x *format.Tensor) (y *format.Tensor, shape format.Shape) {
	v, s, _ := c.l.weight(p + " kernel")
	k := x.Shape[len(x.Shape)-1]
	if len(s) != 3 || len(v)%k != 0 || p != "output" && s[0] != k || p == "output" && s[0]*s[1] != k {
		net.Fail("weights %v do not fit an input %v", s, x.Shape)
	}
	n := len(v) / k
	var b *format.Tensor
	if bias, _, ok := c.l.weight(p + " bias"); ok {
		if len(bias) != n {
			net.Fail("%d biases for %d outputs", len(bias), n)
		}
		b = c.net.Floats(p+"_bias", format.Shape{n}, bias)
	}
	w := c.net.Floats(p+"_kernel", format.Shape{n, k}, transposed(v, k, n))
	return c.net.Linear(x, w, b), s
}

// multiHead is the attention of Vaswani et al. 2017, and that with fewer heads for
// keys and values (Ainslie et al. 2023).
func multiHead(c *call) any {
	query, value := c.tensorArg("query", 0), c.tensorArg("value", 1)
	if query == nil || value == nil {
		net.Fail("it has no query or no value")
	}
	key := c.tensorArg("key", 2)
	if key == nil {
		key = value
	}
	if len(query.Shape) != 3 || len(value.Shape) != 3 || len(key.Shape) != 3 {
		net.Fail("inputs of shapes %v, %v and %v: attention over one axis is possible", query.Shape, key.Shape, value.Shape)
	}
	if c.l.cfg.bool("use_gate", false) {
		net.Fail("use_gate is not supported: train it without")
	}
	heads := func(p string, x *format.Tensor) *format.Tensor {
		y, s := c.project(p, x)
		y = c.net.Reshape(y, x.Shape[0], x.Shape[1], s[1], s[2])
		return c.net.Transpose(y, 0, 2, 1, 3) // [N, heads, T, size]
	}
	q, k, v := heads("query", query), heads("key", key), heads("value", value)
	n, h, size := q.Shape[0], q.Shape[1], q.Shape[3]
	if g := k.Shape[1]; g != h { // each serves h/g heads
		if h%g != 0 || v.Shape[1] != g {
			net.Fail("%d heads for %d queries", g, h)
		}
		repeat := func(x *format.Tensor) *format.Tensor {
			s := x.Shape
			wide := c.net.Op("Expand", shapeAttr(format.Shape{n, g, h / g, s[2], s[3]}), c.net.Reshape(x, n, g, 1, s[2], s[3]))
			return c.net.Reshape(wide, n, h, s[2], s[3])
		}
		k, v = repeat(k), repeat(v)
	}
	q = c.net.Op("Mul", nil, q, c.net.Number(1/math.Sqrt(float64(size))))
	scores := c.net.Op("MatMul", nil, q, c.net.Transpose(k, 0, 1, 3, 2))
	if causal, _ := c.kwargs["use_causal_mask"].(bool); causal {
		scores = c.causal(scores)
	}
	with, _ := c.kwargs["return_attention_scores"].(bool)
	mask := c.headMask(scores.Shape)
	if mask != nil {
		scores = c.choose(mask, scores, c.net.Number(hidden))
	}
	weights := c.net.Softmax("Softmax", scores, 3)
	if mask != nil && c.major >= 3 && (with || c.l.cfg.float("dropout", 0) > 0) {
		weights = c.choose(mask, weights, c.net.Number(0)) // of a query that sees nothing
	}
	y := c.net.Transpose(c.net.Op("MatMul", nil, weights, v), 0, 2, 1, 3)
	y = c.net.Reshape(y, n, y.Shape[1], h*y.Shape[3])
	y, _ = c.project("output", y)
	if m := c.argMask("query", 0); m != nil {
		c.masks[y] = m
	}
	if with {
		return []*format.Tensor{y, weights}
	}
	return y
}

// arg returns a tensor argument, by its name or its place; nil if it is absent.
func (c *call) arg(name string, place int) *format.Tensor {
	v := c.kwargs[name]
	if v == nil && place < len(c.args) {
		v = c.args[place]
	}
	if list := flatten(v); len(list) > 0 {
		return list[0]
	}
	return nil
}

// argMask returns the mask of an argument: NAME_mask, or what the argument carries.
func (c *call) argMask(name string, place int) *format.Tensor {
	if list := flatten(c.kwargs[name+"_mask"]); len(list) > 0 {
		return c.flag(list[0])
	}
	if t := c.arg(name, place); t != nil {
		return c.masks[t]
	}
	return nil
}

// headMask says which keys each query of scores [N, heads, T, S] sees, by all that is
// known but the order of time; nil if it sees all.
func (c *call) headMask(scores format.Shape) (mask *format.Tensor) {
	n, t, s := scores[0], scores[2], scores[3]
	if m := c.argMask("query", 0); m != nil {
		mask = c.net.Reshape(m, n, 1, t, 1)
	}
	for i, name := range []string{"value", "key"} {
		if m := c.argMask(name, i+1); m != nil {
			mask = c.both(mask, c.net.Reshape(m, n, 1, 1, s))
		}
	}
	place := 6 // behind the masks of query, value and key
	if c.major < 3 {
		place = 3
	}
	if m := c.arg("attention_mask", place); m != nil {
		switch len(m.Shape) {
		case 2:
			m = c.net.Reshape(m, 1, 1, m.Shape[0], m.Shape[1])
		case 3:
			m = c.net.Reshape(m, m.Shape[0], 1, m.Shape[1], m.Shape[2])
		}
		mask = c.both(mask, c.flag(m))
	}
	if c.l.cfg.has("sliding_window") {
		w := c.l.cfg.positive("sliding_window", 1)
		band := make([]float32, made(t*s))
		for i := range t {
			for j := range s {
				if max(i-j, j-i) < w {
					band[i*s+j] = 1
				}
			}
		}
		mask = c.both(mask, c.flag(c.net.Floats("window", format.Shape{t, s}, band)))
	}
	return mask
}

// causal hides from each query the keys behind it.
func (c *call) causal(scores *format.Tensor) *format.Tensor {
	s := scores.Shape
	rows, cols := s[len(s)-2], s[len(s)-1]
	mask := make([]float32, made(rows*cols))
	for i := range rows {
		for j := i + 1; j < cols; j++ {
			mask[i*cols+j] = -1e9
		}
	}
	return c.net.Op("Add", nil, scores, c.net.Floats("causal", format.Shape{rows, cols}, mask))
}

func attentionVars(l *layer) (out []*variable) {
	if l.cfg.bool("use_scale", l.class == "AdditiveAttention") {
		out = own("scale")
	}
	if l.cfg.str("score_mode", "dot") == "concat" {
		out = append(out, own("concat_score_weight")...)
	}
	return out
}

// attention is Attention (Luong et al. 2015) and AdditiveAttention (Bahdanau et al.
// 2015) over query, value and key.
func attention(c *call) any {
	list := c.xs()
	if len(list) < 2 || len(list) > 3 {
		net.Fail("%d inputs: it takes a query, a value and perhaps a key", len(list))
	}
	q, v := list[0], list[1]
	k := list[len(list)-1]
	if len(q.Shape) != 3 || len(v.Shape) != 3 || len(k.Shape) != 3 {
		net.Fail("inputs of shapes %v, %v and %v", q.Shape, v.Shape, k.Shape)
	}
	scale := c.net.Number(1)
	if s, shape, ok := c.l.weight("scale"); ok {
		scale = c.net.Floats("scale", shape, s)
	}
	additive := c.l.class == "AdditiveAttention"
	concat := c.l.cfg.str("score_mode", "dot") == "concat"
	var scores *format.Tensor
	if additive || concat {
		n, tq, tk, d := q.Shape[0], q.Shape[1], k.Shape[1], q.Shape[2]
		sum := c.net.Op("Add", nil, c.net.Reshape(q, n, tq, 1, d), c.net.Reshape(k, n, 1, tk, d))
		if concat {
			sum = c.net.Op("Mul", nil, sum, scale)
		}
		scores = c.net.Op("Tanh", nil, sum)
		if additive {
			scores = c.net.Op("Mul", nil, scores, scale)
		}
		scores = c.net.Reduce("ReduceSum", scores, false, 3)
		if w, shape, ok := c.l.weight("concat_score_weight"); ok {
			scores = c.net.Op("Mul", nil, scores, c.net.Floats("concat", shape, w))
		}
	} else {
		scores = c.net.Op("MatMul", nil, q, c.net.Transpose(k, 0, 2, 1))
		if _, _, ok := c.l.weight("scale"); ok {
			scores = c.net.Op("Mul", nil, scores, scale)
		}
	}
	if causal, _ := c.kwargs["use_causal_mask"].(bool); causal || c.l.cfg.bool("causal", false) {
		scores = c.causal(scores)
	}
	masks := c.given()
	if m := masks[1]; m != nil {
		scores = c.choose(c.net.Reshape(m, m.Shape[0], 1, m.Shape[1]), scores, c.net.Number(hidden))
	}
	weights := c.net.Softmax("Softmax", scores, 2)
	y := c.net.Op("MatMul", nil, weights, v)
	if m := masks[0]; m != nil {
		y = c.choose(c.column(m), y, c.net.Number(0))
		c.masks[y] = m
	}
	if with, _ := c.kwargs["return_attention_scores"].(bool); with {
		return slices.Concat([]*format.Tensor{y}, []*format.Tensor{weights})
	}
	return y
}
