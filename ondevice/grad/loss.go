package grad

import "github.com/whet-edge/whet/kernels"

// SoftmaxCrossEntropy computes, for n rows of logits z [n, c] and class numbers
// label [n], the sum over the rows of
//
//	-Σ_i t_i log softmax(z)_i,   t = (1-smooth) onehot(label) + smooth/c
//
// and its gradient dz = (softmax(z) - t) * scale, [n, c]. Scale is 1/batch for
// the mean over a batch. Smoothing is that of Szegedy et al., "Rethinking the
// Inception Architecture" (2016), section 7.
//
// Softmax and logarithm are taken together as log-sum-exp with the row's
// maximum subtracted, so nothing overflows and no probability is divided by.
func SoftmaxCrossEntropy[T Float](dz, z []T, label []int, n, c int, smooth, scale T) (sum float64) {
	low := smooth / T(c)
	high := (1 - smooth) + low
	for i := range n {
		zi, di := z[i*c:][:c], dz[i*c:][:c]
		m := zi[0]
		for _, v := range zi[1:] {
			if v > m {
				m = v
			}
		}
		for j, v := range zi {
			di[j] = kernels.Exp(v - m)
		}
		s := sum16(di)
		logs := kernels.Log(s)
		var loss T // -Σ t_j (z_j - m - log s)
		for j, v := range zi {
			t := low
			if j == label[i] {
				t = high
			}
			loss = kernels.FMA(t, logs-(v-m), loss)
			di[j] = T((di[j]/s - t) * scale)
		}
		sum += float64(loss)
	}
	return sum
}

// MSE computes, for n rows of outputs y [n, c] and targets t [n, c], the sum
// over the rows of 1/c Σ_i (y_i - t_i)² and its gradient dy = 2/c (y - t) *
// scale, [n, c]. Scale is 1/batch for the mean over a batch.
func MSE[T Float](dy, y, t []T, n, c int, scale T) (sum float64) {
	k := T(T(2/T(c)) * scale)
	for i := range n {
		yi, ti, di := y[i*c:][:c], t[i*c:][:c], dy[i*c:][:c]
		var loss T
		for j, v := range yi {
			d := v - ti[j]
			loss = kernels.FMA(d, d, loss)
			di[j] = T(d * k)
		}
		sum += float64(loss / T(c))
	}
	return sum
}

// BinaryCrossEntropy computes, for n rows of logits z [n, c] and targets t [n, c]
// in [0, 1], the sum over the rows of
//
//	1/c Σ_i log(1 + exp(z_i)) - t_i z_i
//
// and its gradient dz = (sigmoid(z) - t)/c * scale, [n, c]. log(1 + exp(z)) is taken
// as max(z, 0) + log(1 + exp(-|z|)), which does not overflow.
func BinaryCrossEntropy[T Float](dz, z, t []T, n, c int, scale T) (sum float64) {
	k := scale / T(c)
	for i := range n {
		zi, ti, di := z[i*c:][:c], t[i*c:][:c], dz[i*c:][:c]
		var loss T
		for j, v := range zi {
			soft := max(v, 0) + kernels.Log(1+kernels.Exp(-max(v, -v)))
			loss += soft - T(ti[j]*v)
			di[j] = T((kernels.Sigmoid(v) - ti[j]) * k)
		}
		sum += float64(loss / T(c))
	}
	return sum
}

// Huber computes, for n rows of outputs y [n, c] and targets t [n, c], the sum over
// the rows of 1/c Σ_i h(y_i - t_i) with h(d) = d²/2 up to |d| = 1 and |d| - 1/2
// beyond (Huber, "Robust Estimation of a Location Parameter", 1964), and its gradient
// dy = clamp(y - t, -1, 1)/c * scale, [n, c].
func Huber[T Float](dy, y, t []T, n, c int, scale T) (sum float64) {
	k := scale / T(c)
	for i := range n {
		yi, ti, di := y[i*c:][:c], t[i*c:][:c], dy[i*c:][:c]
		var loss T
		for j, v := range yi {
			d := v - ti[j]
			g := min(max(d, -1), 1)
			loss += T(g * (d - T(0.5*g))) // d²/2, or |d| - 1/2
			di[j] = T(g * k)
		}
		sum += float64(loss / T(c))
	}
	return sum
}

// sum16 adds the elements as every sum over an innermost axis does: element i
// in lane i mod 16, then the lanes folded by 8, 4, 2 and 1.
func sum16[T Float](x []T) T {
	var l [16]T
	for i, v := range x {
		l[i&15] += v
	}
	for h := 8; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}
