package more

import (
	"errors"
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

func i64(b []byte) []int64   { return runtime.View[int64](b) }
func f32(b []byte) []float32 { return runtime.View[float32](b) }

func nonZero(o runtime.Op) (*runtime.Kernel, error) {
	_, shape := o.Input(0)
	return &runtime.Kernel{Run: func(m runtime.Memory, _ []byte, _, _ int) {
		i64(m.Out(1))[0] = int64(kernels.NonZero(i64(m.Out(0)), m.In(0), shape))
	}}, nil
}

// along is the axis of an op that takes the whole tensor as one when it has none,
// and the elements of a slice.
func along(attrs format.Attrs, shape format.Shape) (axis, inner int) {
	a, ok := attrs["axis"].(int64)
	if !ok {
		return shape.Elems(), 1
	}
	k := int(a)
	if k < 0 {
		k += len(shape)
	}
	return shape[k], shape[k+1:].Elems()
}

func compress(o runtime.Op) (*runtime.Kernel, error) {
	typ, shape := o.Input(0)
	if typ.Bits() < 8 {
		return nil, errors.New("elements of less than a byte")
	}
	axis, inner := along(o.Attrs(), shape)
	slice := inner * typ.Bits() / 8
	return &runtime.Kernel{Run: func(m runtime.Memory, _ []byte, _, _ int) {
		i64(m.Out(1))[0] = int64(kernels.Compress(m.Out(0), m.In(0), m.In(1), axis, slice))
	}}, nil
}

func unique(o runtime.Op) (*runtime.Kernel, error) {
	typ, shape := o.Input(0)
	n, inner := along(o.Attrs(), shape)
	sorted := o.Attrs().Int("sorted", 1) == 1
	size, elems := typ.Bits()/8, shape.Elems()
	return &runtime.Kernel{Scratch: 8 * (4*n + elems), Run: func(m runtime.Memory, scratch []byte, _, _ int) {
		s := i64(scratch)
		key := s[4*n:]
		if x := m.In(0); typ == format.Float32 {
			kernels.OrderedBits(key, f32(x))
		} else {
			copy(key, i64(x))
		}
		part := func(k int) []int64 { // an output that nobody wants is scratch
			if b := m.Out(k); b != nil {
				return i64(b)
			}
			return s[k*n:][:n]
		}
		first := part(1)
		count := kernels.Unique(key, n, inner, sorted, first, part(2), part(3), s[:n])
		y, x := m.Out(0), m.In(0)
		slice := inner * size
		for o := 0; o < len(x); o += n * slice {
			for i, p := range first[:count] {
				copy(y[o+i*slice:][:slice], x[o+int(p)*slice:])
			}
			clear(y[o+count*slice : o+n*slice])
		}
		i64(m.Out(4))[0] = int64(count)
	}}, nil
}

func nonMaxSuppression(o runtime.Op) (*runtime.Kernel, error) {
	_, scores := o.Input(1)
	a := o.Attrs()
	_, bounded := a["score_threshold"]
	k := &kernels.NMS{Batches: scores[0], Classes: scores[1], Boxes: scores[2], Most: min(a.Int("max_output_boxes_per_class", 1), math.MaxInt32),
		Overlap: float32(a.Float("iou_threshold", 0)), Score: float32(a.Float("score_threshold", 0)), Bounded: bounded,
		Centered: a.Int("center_point_box", 0) == 1}
	return &runtime.Kernel{Scratch: 4 * k.Scratch(), Run: func(m runtime.Memory, scratch []byte, _, _ int) {
		i64(m.Out(1))[0] = int64(k.Run(i64(m.Out(0)), f32(m.In(0)), f32(m.In(1)), runtime.View[int32](scratch)))
	}}, nil
}
