package grad

import "github.com/whet-edge/whet/kernels"

// Dense computes y = x wᵀ + b for n samples: x is [n, in], w is [out, in], b is
// [out] or nil, y is [n, out]. Each output is one chain of fused multiply-adds
// over in, from +0 and ascending, and then the bias: what a float32 Gemm gives.
func Dense[T Float](y, x, w, b []T, n, in, out int) {
	for i := range n {
		xi := x[i*in:][:in]
		yi := y[i*out:][:out]
		for o := range yi {
			wo := w[o*in:][:in]
			var s, bias T
			if b != nil {
				bias = b[o]
			}
			for k, v := range xi {
				s = kernels.FMA(v, wo[k], s)
			}
			yi[o] = s + bias
		}
	}
}

// DenseWeightGrad computes dw = dyᵀ x and, unless db is nil, db = Σ dy, for dy
// [n, out] and x [n, in]. Each element is one chain over the samples, from +0
// and ascending.
func DenseWeightGrad[T Float](dw, db, x, dy []T, n, in, out int) {
	clear(dw[:out*in])
	for i := range n {
		xi := x[i*in:][:in]
		for o, d := range dy[i*out:][:out] {
			dwo := dw[o*in:][:in]
			for k, v := range xi {
				dwo[k] = kernels.FMA(d, v, dwo[k])
			}
		}
	}
	for i := range dw[:out*in] {
		dw[i] += 0 // the absent bias, which turns -0 into +0
	}
	if db != nil {
		BiasGrad(db, dy, n, out)
	}
}

// BiasGrad computes db = Σ dy over the n samples of dy [n, out], in order.
func BiasGrad[T Float](db, dy []T, n, out int) {
	clear(db[:out])
	for i := range n {
		for o, d := range dy[i*out:][:out] {
			db[o] += d
		}
	}
}

// DenseInputGrad computes dx = dy w for dy [n, out] and w [out, in]; dx is
// [n, in]. Each element is one chain over out, from +0 and ascending.
func DenseInputGrad[T Float](dx, dy, w []T, n, in, out int) {
	clear(dx[:n*in])
	for i := range n {
		dxi := dx[i*in:][:in]
		for o, d := range dy[i*out:][:out] {
			for k, v := range w[o*in:][:in] {
				dxi[k] = kernels.FMA(d, v, dxi[k])
			}
		}
	}
}

// Relu computes y = max(x, 0), with +0 for every x < 0; y may be x.
func Relu[T Float](y, x []T) {
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		y[i] = v
	}
}

// ReluGrad passes dy on where the output y of [Relu] is positive, and 0
// elsewhere; dx may be dy.
func ReluGrad[T Float](dx, dy, y []T) {
	for i, v := range y {
		d := dy[i]
		if !(v > 0) {
			d = 0
		}
		dx[i] = d
	}
}
