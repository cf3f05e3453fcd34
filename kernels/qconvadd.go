package kernels

import "unsafe"

// QConvAdd is an Add of a convolution's codes and a residual, whose codes lie as the
// convolution's do. The bits are those of the convolution and [QBinary] one after
// the other: what the convolution gives is rounded and clamped as without it.
type QConvAdd struct {
	A, B, Y QParams // operands and sum
	Second  bool    // the convolution gives B, else A
	Lo, Hi  int32   // clamp of the sum, in its codes
}

// qSumArgs are the parameters of an Add as micro-kernels take them.
type qSumArgs struct {
	Ra, Rb       float32 // scale of A, of B, each over the sum's
	Lo, Hi       int32   // lowest and highest code of the sum
	Za, Zb, Zero int32
}

// qConvSum is a packed QConvAdd.
type qConvSum struct {
	add    *QBinary
	args   qSumArgs
	second bool
	kernel bool // the micro-kernel adds; else it is done behind each task
}

func newQConvSum(l Level, p *QConvAdd, kernel bool) *qConvSum {
	q := NewQBinary(Add, nil, p.A, p.B, p.Y, p.Lo, p.Hi)
	q.Level = l
	return &qConvSum{
		add: q, second: p.Second, kernel: kernel && !q.wide,
		args: qSumArgs{Ra: q.ra, Rb: q.rb, Lo: p.Lo, Hi: p.Hi, Za: q.za, Zb: q.zb, Zero: q.zero},
	}
}

// pass tells the micro-kernel about the residual of dst.
func (s *qConvSum) pass(a *qGemmArgs, dst, residual []int8) {
	if !s.kernel {
		return
	}
	a.Residual = uintptr(unsafe.Pointer(&residual[0])) - uintptr(unsafe.Pointer(&dst[0]))
	a.Sum = unsafe.Pointer(&s.args)
	if s.second {
		a.Second = 1
	}
}

// run adds the residual to what a task has written.
func (s *qConvSum) run(p *convPlan, t *convTask, dst, residual []int8) {
	if s.kernel {
		return
	}
	from, to := t.group*p.og+t.pan0*p.tile.nr, t.group*p.og+min(t.pan1*p.tile.nr, p.og)
	for r := t.tile0 * p.tile.mr; r < min(t.tile1*p.tile.mr, p.rows); r++ {
		row := (t.image*p.rows + r) * p.s.O
		y, x := dst[row+from:row+to], residual[row+from:row+to]
		if s.second {
			s.add.run(y, x, y)
		} else {
			s.add.run(y, y, x)
		}
	}
}
