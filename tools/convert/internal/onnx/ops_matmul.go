package onnx

import (
	"math"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Matrix products and what is made of them.

func init() {
	register(map[string]row{
		"Gemm": {2, gemm}, "MatMul": {2, matmul}, "MatMulInteger": {2, matmulInteger}, "Einsum": {1, einsum},
		"Attention": {3, attention}, "RotaryEmbedding": {3, rotary},
	})
}

func matmul(o *op) []*value { return result(o.matmul(o.in[0], o.in[1])) }

// matmul multiplies as numpy's matmul does. A matrix of constants is a layer's
// weights: Gemm packs it.
func (o *op) matmul(a, b *value) *value {
	if b.rank() == 2 && a.rank() >= 1 && o.stored(b.t) && a.typ() == format.Float32 {
		s := a.shape()
		k := s[len(s)-1]
		x := o.reshape(o.plain(a), format.Shape{s.Elems() / k, k})
		y := o.emit("Gemm", format.Attrs{"transB": int64(1)}, format.Float32, nil, x, o.transpose(o.plain(b), []int{1, 0}))
		return &value{t: o.reshape(y, append(slices.Clone(s[:len(s)-1]), y.shape[1]))}
	}
	x, y := o.plain(a), o.plain(b)
	row, col := len(x.shape) == 1, len(y.shape) == 1
	if row {
		x = o.reshape(x, format.Shape{1, x.shape[0]})
	}
	if col {
		y = o.reshape(y, format.Shape{y.shape[0], 1})
	}
	z := o.emit("MatMul", nil, a.typ(), nil, x, y)
	s := slices.Clone(z.shape)
	if col {
		s = s[:len(s)-1]
	}
	if row {
		k := len(s) - 2
		if col {
			k = len(s) - 1
		}
		s = slices.Delete(s, k, k+1)
	}
	return &value{t: o.reshape(z, s)}
}

// gemm folds alpha and beta into constant operands.
func gemm(o *op) []*value {
	a, b := o.plain(o.in[0]), o.plain(o.in[1])
	if len(a.shape) != 2 || len(b.shape) != 2 {
		o.fail("operands %v and %v", a.shape, b.shape)
	}
	if o.int("transA", 0) != 0 {
		a = o.transpose(a, []int{1, 0})
	}
	scaled := func(t *tensor, f float64) *tensor {
		if f == 1 {
			return t
		}
		return o.emit("Mul", nil, t.typ, nil, t, o.scalar(t.typ, f))
	}
	alpha, beta := o.float("alpha", 1), o.float("beta", 1)
	var c *tensor
	if o.has(2) && beta != 0 {
		c = scaled(o.plain(o.in[2]), beta) // broadcast, up to opset 6 where the node says so
	}
	transB := o.int("transB", 0) != 0
	if !o.stored(b) || a.typ != format.Float32 {
		if transB {
			b = o.transpose(b, []int{1, 0})
		}
		y := scaled(o.emit("MatMul", nil, a.typ, nil, a, b), alpha)
		if c != nil {
			y = o.emit("Add", nil, a.typ, nil, y, c)
		}
		return plainResult(y)
	}
	if !transB {
		b = o.transpose(b, []int{1, 0})
	}
	b = scaled(b, alpha)
	if !o.stored(b) { // alpha on weights that are codes
		b = scaled(b.def.in[0], 1)
		y := scaled(o.emit("Gemm", format.Attrs{"transB": int64(1)}, format.Float32, nil, a, b), alpha)
		if c != nil {
			y = o.emit("Add", nil, a.typ, nil, y, c)
		}
		return plainResult(y)
	}
	n := b.shape[0]
	attrs := format.Attrs{"transB": int64(1)}
	if c != nil && o.stored(c) && (len(c.shape) == 1 && c.shape[0] == n || len(c.shape) == 2 && c.shape[0] == 1 && c.shape[1] == n) {
		return plainResult(o.product("Gemm", attrs, a, b, o.reshape(c, format.Shape{n})))
	}
	y := o.emit("Gemm", attrs, format.Float32, nil, a, b)
	if c != nil {
		y = o.emit("Add", nil, format.Float32, nil, y, c)
	}
	return plainResult(y)
}

// matmulInteger multiplies codes less their zero points in int32.
func matmulInteger(o *op) []*value {
	a, b := o.cast(o.in[0], format.Int32), o.cast(o.in[1], format.Int32)
	less := func(v *value, k int, column bool) *value {
		if !o.has(k) {
			return v
		}
		z := o.cast(o.in[k], format.Int32)
		if column && z.rank() == 1 && z.t.shape[0] > 1 { // one a row of A
			z = o.insert(z, []int{1})
		}
		return o.binary("Sub", v, z)
	}
	return result(o.matmul(less(a, 2, true), less(b, 3, false)))
}

// einsumPairs multiplies the first two operands, keeping the letters that the others
// or the result have, and goes on with one less.
func (o *op) einsumPairs(terms []string, right string, explicit bool) []*value {
	if !explicit || strings.Contains(right, "...") || strings.Contains(strings.Join(terms, ""), "...") {
		o.fail("%d operands without an explicit result, or with dots", len(terms))
	}
	later := strings.Join(terms[2:], "") + right
	var kept strings.Builder
	for _, r := range terms[0] + terms[1] {
		if strings.ContainsRune(later, r) && !strings.ContainsRune(kept.String(), r) {
			kept.WriteRune(r)
		}
	}
	one := func(eq string, in []*value) *value {
		p := *o
		p.in = in
		p.n = &nodeProto{op: o.n.op, inputs: o.n.inputs, attrs: []*attrProto{{name: "equation", s: []byte(eq)}}}
		return einsum(&p)[0]
	}
	first := one(terms[0]+","+terms[1]+"->"+kept.String(), o.in[:2])
	rest := append([]string{kept.String()}, terms[2:]...)
	return result(one(strings.Join(rest, ",")+"->"+right, append([]*value{first}, o.in[2:]...)))
}

// diagonals keeps of dimensions with one letter the elements where they agree.
func (o *op) diagonals(v *value, term string) (*value, string) {
	for k := 0; k < len(term); k++ {
		first := strings.IndexByte(term, term[k])
		if first == k {
			continue
		}
		n := v.shape()[k]
		if v.shape()[first] != n {
			o.fail("%q has the sizes %d and %d", term[k], v.shape()[first], n)
		}
		order := slices.Delete(identity(v.rank()), k, k+1)
		order = append([]int{first, k}, slices.Delete(order, first, first+1)...)
		t := o.arrange(v, order)
		t = o.reshape(t, slices.Concat(format.Shape{n * n}, t.shape[2:]))
		places := make([]int64, n)
		for i := range places {
			places[i] = int64(i * (n + 1))
		}
		t = o.move("Gather", format.Attrs{"axis": int64(0)}, t, o.int64s(places...).t)
		v, term = &value{t: t}, term[first:first+1]+term[:first]+term[first+1:k]+term[k+1:]
		k = 0
	}
	return v, term
}

// einsum handles one or two operands in full: letters that only one operand has are
// summed away first, and the rest is one batched product of the letters that both
// have.
func einsum(o *op) []*value {
	eq := strings.ReplaceAll(o.str("equation", ""), " ", "")
	if strings.ContainsFunc(eq, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') && !strings.ContainsRune(".,->", r)
	}) {
		o.fail("equation %q", eq)
	}
	left, right, explicit := strings.Cut(eq, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(o.in) || slices.Contains(o.in, nil) {
		o.fail("equation %q for %d operands", eq, len(o.in))
	}
	if len(terms) > 2 {
		return o.einsumPairs(terms, right, explicit)
	}
	in := make([]*value, len(o.in))
	count := map[rune]int{}
	for i, v := range o.in {
		terms[i] = spell(terms[i], v.rank())
		if len(terms[i]) != v.rank() {
			o.fail("equation %q: operand %d has %d dimensions", eq, i, v.rank())
		}
		in[i], terms[i] = o.diagonals(v, terms[i])
		for _, r := range terms[i] {
			count[r]++
		}
	}
	if explicit {
		dots := 0 // dimensions that the dots stand for
		for r := range count {
			if r <= '9' {
				dots++
			}
		}
		right = spell(right, len(strings.Replace(right, "...", "", 1))+dots)
	} else {
		var once []rune
		for r, n := range count {
			if n == 1 || r <= '9' {
				once = append(once, r)
			}
		}
		slices.Sort(once)
		right = string(once)
	}
	for _, r := range right {
		if count[r] == 0 {
			o.fail("equation %q: %q is in no operand", eq, r)
		}
	}
	// Sum away what neither the result nor the other operand has.
	for i := range in {
		var gone []int
		var kept strings.Builder
		for k, r := range terms[i] {
			if strings.ContainsRune(right, r) || count[r] == 2 {
				kept.WriteString(string(r))
			} else {
				gone = append(gone, k)
			}
		}
		in[i], terms[i] = o.reduce("ReduceSum", in[i], gone, false), kept.String()
	}
	if len(in) == 1 {
		return result(o.reorder(in[0], terms[0], right))
	}
	pick := func(s string, f func(rune) bool) string {
		return strings.Map(func(r rune) rune {
			if f(r) {
				return r
			}
			return -1
		}, s)
	}
	both := func(r rune) bool { return count[r] == 2 }
	kept := func(r rune) bool { return strings.ContainsRune(right, r) }
	batch := pick(terms[0], func(r rune) bool { return both(r) && kept(r) })
	inner := pick(terms[0], func(r rune) bool { return both(r) && !kept(r) })
	rows := pick(terms[0], func(r rune) bool { return !both(r) })
	cols := pick(terms[1], func(r rune) bool { return !both(r) })
	size := map[rune]int{}
	for i, t := range terms {
		for k, r := range t {
			if d := in[i].shape()[k]; size[r] <= 1 {
				size[r] = d
			} else if d != 1 && d != size[r] {
				o.fail("equation %q: %q is %d and %d", eq, r, size[r], d)
			}
		}
	}
	shape := func(s string) format.Shape {
		var out format.Shape
		for _, r := range s {
			out = append(out, size[r])
		}
		return out
	}
	part := func(i int, s string, groups ...string) *tensor {
		v := o.reorder(in[i], terms[i], s)
		t := o.grow1(o.plain(v), shape(s))
		var to format.Shape
		for _, g := range groups {
			to = append(to, shape(g).Elems())
		}
		return o.reshape(t, to)
	}
	a := part(0, batch+rows+inner, batch, rows, inner)
	b := part(1, batch+inner+cols, batch, inner, cols)
	y := o.emit("MatMul", nil, in[0].typ(), nil, a, b)
	got := batch + rows + cols
	return result(o.reorder(&value{t: o.reshape(y, shape(got))}, got, right))
}

// grow1 expands a tensor if it has not the shape.
func (c *converter) grow1(t *tensor, to format.Shape) *tensor {
	if t.shape.Equal(to) {
		return t
	}
	return c.grow(t, to)
}

// spell replaces the dots of a term by digits, the last dimension being 9.
func spell(term string, rank int) string {
	before, after, ok := strings.Cut(term, "...")
	if !ok {
		return term
	}
	n := max(min(rank-len(before)-len(after), 10), 0)
	return before + "0123456789"[10-n:] + after
}

// reorder changes how a value is seen, from one order of letters to another.
func (o *op) reorder(v *value, from, to string) *value {
	if len(from) != len(to) {
		o.fail("%q cannot become %q", from, to)
	}
	p := make([]int, len(to)) // dimension i of the result is p[i] of v
	for i := range to {
		p[i] = strings.IndexByte(from, to[i])
		if p[i] < 0 {
			o.fail("%q cannot become %q", from, to)
		}
	}
	inv := inverse(p)
	perm := make([]int, len(p))
	for i, q := range v.order() {
		perm[i] = inv[q]
	}
	return view(v.t, perm)
}

// attention is scaled dot-product attention:
//
//	softmax(softcap(scale · Q·Kᵀ) + mask) · V
//
// The square root of the scale is put on both operands, as the specification has it.
func attention(o *op) []*value {
	q, k, v := o.in[0], o.in[1], o.in[2]
	flat := q.rank() == 3
	heads := func(x *value, attr string) *value {
		if x.rank() == 4 {
			return x
		}
		s, n := x.shape(), int(o.int(attr, 0))
		if len(s) != 3 || n < 1 || s[2]%n != 0 {
			o.fail("%s %d for a shape %v", attr, n, s)
		}
		t := o.reshape(o.plain(x), format.Shape{s[0], s[1], n, s[2] / n})
		return view(t, []int{0, 2, 1, 3})
	}
	q, k, v = heads(q, "q_num_heads"), heads(k, "kv_num_heads"), heads(v, "kv_num_heads")
	join := func(past, now *value) *value {
		return &value{t: o.emit("Concat", format.Attrs{"axis": int64(2)}, now.typ(), nil, o.plain(past), o.plain(now))}
	}
	pastLen := 0
	if o.has(4) && o.has(5) {
		if o.in[4].rank() != 4 || o.in[5].rank() != 4 {
			o.fail("past keys %v and values %v: [batch, heads, places, size] is needed", o.in[4].shape(), o.in[5].shape())
		}
		pastLen = o.in[4].shape()[2]
		k, v = join(o.in[4], k), join(o.in[5], v)
	}
	presentK, presentV := k, v
	sq, sk := q.shape(), k.shape()
	if len(sq) != 4 || len(sk) != 4 || sk[1] == 0 || sq[1]%sk[1] != 0 {
		o.fail("queries %v and keys %v", sq, sk)
	}
	// Every key head serves a group of query heads.
	if group := sq[1] / sk[1]; group > 1 {
		repeat := func(x *value) *value {
			s := x.shape()
			t := o.reshape(o.plain(x), format.Shape{s[0], s[1], 1, s[2], s[3]})
			t = o.grow(t, format.Shape{s[0], s[1], group, s[2], s[3]})
			return &value{t: o.reshape(t, format.Shape{s[0], s[1] * group, s[2], s[3]})}
		}
		k, v = repeat(k), repeat(v)
	}
	scale := math.Sqrt(o.float("scale", 1/math.Sqrt(float64(sq[3]))))
	keys := o.transpose(o.plain(k), []int{0, 1, 3, 2})
	scores := o.matmul(&value{t: o.plain(o.mul(q, o.real(scale)))}, o.mul(&value{t: keys}, o.real(scale)))
	raw := scores
	if limit := o.float("softcap", 0); limit != 0 {
		scores = o.mul(o.each("Tanh", nil, format.Float32, o.binary("Div", scores, o.real(limit))), o.real(limit))
	}
	capped := scores
	n, m := sq[2], sk[2]
	if o.has(3) {
		mask := o.in[3]
		if mask.rank() < 1 {
			o.fail("a mask %v", mask.shape())
		}
		last := mask.shape()[mask.rank()-1]
		if last < m { // the keys behind are hidden
			before, after := make([]int64, mask.rank()), make([]int64, mask.rank())
			after[mask.rank()-1] = int64(m - last)
			mask = o.pad(mask, before, after, "constant", 0)
		}
		if mask.typ() == format.Bool {
			mask = o.where(mask, o.real(0), o.real(math.Inf(-1)))
		}
		scores = o.add(scores, mask)
		if last < m && o.in[3].typ() != format.Bool {
			scores = o.where(o.logic("Less", o.places(1, m), o.number(format.Int64, float64(last))), scores, o.real(math.Inf(-1)))
		}
	}
	scores, hides := o.visible(scores, n, m, pastLen)
	masked := scores
	weights := o.each("Softmax", format.Attrs{"axis": int64(-1)}, format.Float32, scores)
	if o.has(3) || hides {
		// A query that sees no key has no weights: 0 rather than 0/0.
		seen := o.logic("Equal", weights, weights)
		weights = o.where(seen, weights, o.real(0))
	}
	y := o.matmul(weights, v)
	if flat {
		s := y.shape()
		y = &value{t: o.reshape(o.transpose(o.plain(y), []int{0, 2, 1, 3}), format.Shape{s[0], s[2], s[1] * s[3]})}
	}
	out := []*value{y, presentK, presentV}
	if o.wants(3) {
		modes := []*value{raw, capped, masked, weights}
		mode := o.int("qk_matmul_output_mode", 0)
		if mode < 0 || mode > 3 {
			o.fail("qk_matmul_output_mode %d", mode)
		}
		out = append(out, modes[mode])
	}
	return out
}

// visible takes the scores of m keys that a query may not see out of those of n
// queries behind the past: of a static cache those that are not filled, those behind
// the query's own place if it is causal, and those outside of the window around it.
func (o *op) visible(scores *value, n, m, past int) (_ *value, hides bool) {
	left, right := o.int("left_window_size", -1), o.int("right_window_size", -1)
	if left < -1 || right < -1 || left > maxFold || right > maxFold {
		o.fail("a window of %d keys to the left and %d to the right", left, right)
	}
	if o.int("is_causal", 0) != 0 {
		right = 0
	}
	number := func(v int64) *value { return o.number(format.Int64, float64(v)) }
	key := o.places(1, m)
	keep := func(a, b *value) {
		hides = true
		scores = o.where(o.logic("Less", a, b), scores, o.real(math.Inf(-1)))
	}
	query := func(add int64) *value { return o.add(o.places(n, 1), number(int64(past)+add)) }
	if o.has(6) {
		if o.in[6].rank() != 1 {
			o.fail("nonpad_kv_seqlen of shape %v: [batch] is needed", o.in[6].shape())
		}
		filled := o.insert(o.in[6], []int{1, 2, 3})
		query = func(add int64) *value { return o.add(o.places(n, 1), o.add(filled, number(add-int64(n)))) }
		if right != 0 { // a query's own place is filled
			keep(key, filled)
		}
	}
	if right >= 0 {
		keep(key, query(right+1))
	}
	if left >= 0 {
		keep(query(-left-1), key)
	}
	return scores, hides
}

// places is 0, 1, 2 ... along the one of two axes that is not 1.
func (o *op) places(rows, cols int) *value {
	if rows > maxFold || cols > maxFold {
		o.fail("a mask of %d x %d", rows, cols)
	}
	list := make([]int64, max(rows, cols))
	for i := range list {
		list[i] = int64(i)
	}
	return &value{t: o.constant(format.Int64, format.Shape{rows, cols}, intBytes(format.Int64, list))}
}

// rotary turns pairs of elements by the angles of their position: RoPE, in
// halves or interleaved.
func rotary(o *op) []*value {
	x := o.in[0]
	flat := x.rank() == 3
	s := x.shape()
	if flat {
		n := int(o.int("num_heads", 0))
		if n < 1 || s[2]%n != 0 {
			o.fail("num_heads %d for a shape %v", n, s)
		}
		x = &value{t: o.reshape(o.plain(x), format.Shape{s[0], s[1], n, s[2] / n})}
	} else {
		if len(s) != 4 {
			o.fail("an input %v", s)
		}
		x = &value{t: o.transpose(o.plain(x), []int{0, 2, 1, 3})} // [batch, sequence, heads, size]
	}
	size := x.shape()[3]
	turned := int(o.int("rotary_embedding_dim", 0))
	if turned == 0 {
		turned = size
	}
	if turned%2 != 0 || turned < 2 || turned > size {
		o.fail("rotary_embedding_dim %d of %d", turned, size)
	}
	angle := func(k int) *value {
		v := o.in[k]
		if o.has(3) { // [positions, half] picked by position
			inner := *o
			inner.in = []*value{v, o.in[3]}
			inner.n = &nodeProto{inputs: []string{o.n.inputs[k], o.n.inputs[3]}}
			v = gather(&inner)[0]
		}
		if v.rank() != 3 {
			o.fail("input %d has the shape %v, and [batch, sequence, half of the size] is needed", k, v.shape())
		}
		return o.insert(v, []int{2})
	}
	cos, sin := angle(1), angle(2)
	rest := o.cut(x, 3, int64(turned), int64(size), 1)
	x = o.cut(x, 3, 0, int64(turned), 1)
	half := turned / 2
	pairs := o.int("interleaved", 0) != 0
	var a, b *value
	if pairs {
		a, b = o.cut(x, 3, 0, int64(turned), 2), o.cut(x, 3, 1, int64(turned), 2)
	} else {
		a, b = o.cut(x, 3, 0, int64(half), 1), o.cut(x, 3, int64(half), int64(turned), 1)
	}
	re := o.binary("Sub", o.mul(cos, a), o.mul(sin, b))
	im := o.add(o.mul(sin, a), o.mul(cos, b))
	var y *tensor
	t := o.plain(re).shape
	if pairs {
		wide := append(slices.Clone(t), 1)
		y = o.emit("Concat", format.Attrs{"axis": int64(4)}, format.Float32, nil, o.reshape(o.plain(re), wide), o.reshape(o.plain(im), wide))
		y = o.reshape(y, format.Shape{t[0], t[1], t[2], turned})
	} else {
		y = o.emit("Concat", format.Attrs{"axis": int64(3)}, format.Float32, nil, o.plain(re), o.plain(im))
	}
	if turned < size {
		y = o.emit("Concat", format.Attrs{"axis": int64(3)}, format.Float32, nil, y, o.plain(rest))
	}
	if flat {
		return plainResult(o.reshape(y, s))
	}
	return plainResult(o.transpose(y, []int{0, 2, 1, 3}))
}
