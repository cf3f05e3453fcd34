package grad

// matMul is y = a b for the two innermost dimensions, those before broadcast:
//
//	da = dy bᵀ,   db = aᵀ dy
//
// and the gradient of a matrix that is used several times is their sum, in
// ascending order.
func (b *bound[T]) matMul() (rule, error) {
	p, q, y := b.in[0], b.in[1], b.out[0]
	if p.Data == nil || q.Data == nil || len(p.Shape) < 2 || len(q.Shape) < 2 {
		return rule{}, b.errorf("only float32 matrices are known")
	}
	lead := y.Shape[:len(y.Shape)-2]
	m, k, n := p.Shape[len(p.Shape)-2], p.Shape[len(p.Shape)-1], q.Shape[len(q.Shape)-1]
	pi, qi := broadcast(p.Shape[:len(p.Shape)-2], lead), broadcast(q.Shape[:len(q.Shape)-2], lead)
	at := func(idx []int32, i int) int {
		if idx == nil {
			return i
		}
		return int(idx[i])
	}
	qT, pT, dyT := b.buffer(k*n), b.buffer(m*k), b.buffer(m*n)
	dp, dq := b.buffer(m*k), b.buffer(k*n)
	forward := func() {
		for i := range elems(lead) {
			transposed(qT, q.Data[at(qi, i)*k*n:][:k*n], k, n)
			b.product.Multiply(y.Data[i*m*n:][:m*n], p.Data[at(pi, i)*m*k:][:m*k], qT, m, n, k)
		}
	}
	backward := func() {
		for i := range elems(lead) {
			pm, qm, dy := p.Data[at(pi, i)*m*k:][:m*k], q.Data[at(qi, i)*k*n:][:k*n], y.Grad[i*m*n:][:m*n]
			if p.Grad != nil {
				b.product.Multiply(dp, dy, qm, m, k, n)
				b.product.add(p.Grad[at(pi, i)*m*k:][:m*k], dp)
			}
			if q.Grad != nil {
				transposed(pT, pm, m, k)
				transposed(dyT, dy, m, n)
				b.product.Multiply(dq, pT, dyT, k, n, m)
				b.product.add(q.Grad[at(qi, i)*k*n:][:k*n], dq)
			}
		}
	}
	return rule{forward: forward, backward: backward}, nil
}
