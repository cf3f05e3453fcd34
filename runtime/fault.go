package runtime

import (
	"context"
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A RunError says that a node met values that it cannot compute with, such as an
// index out of range. The outputs of that run have no meaning.
type RunError struct {
	Node, Op string
	Reason   string
}

func (e *RunError) Error() string {
	return fmt.Sprintf("runtime: node %q (%s): %s", e.Node, e.Op, e.Reason)
}

// fail ends the run after the step of node n. Only steps of one task may fail:
// others would do so on several threads at once.
func (m *mem) fail(n *node, f string, a ...any) {
	if m.fault == nil {
		m.fault = &RunError{Node: n.name, Op: n.op, Reason: fmt.Sprintf(f, a...)}
	}
}

// stop ends the run because its context has ended.
func (m *mem) stop() { m.fault = context.Canceled }

// taken returns what a step failed with, once.
func (m *mem) taken() error {
	err := m.fault
	m.fault = nil
	return err
}

// positions resolves the indices idx into dimensions dims, in 8 bytes of scratch
// for each. It fails the run and returns nil when one is out of range.
func (n *node) positions(m *mem, idx *value, dims []int, scratch []byte) []int64 {
	pos := view[int64](scratch[:8*idx.elems()])
	wide := idx.typ == format.Int64
	bad := kernels.Positions(pos, m.bytes(idx), wide, dims)
	if bad < 0 {
		return pos
	}
	var v int64
	if wide {
		v = view[int64](m.bytes(idx))[bad]
	} else {
		v = int64(m.i32(idx)[bad])
	}
	d := dims[bad%len(dims)]
	m.fail(n, "index %d (element %d of %q) is outside %d..%d", v, bad, idx.name, -d, d-1)
	return nil
}
