package more

import (
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

func roiAlign(o runtime.Op) (*runtime.Kernel, error) {
	_, x := o.Input(0)
	_, y := o.Output(0)
	a := o.Attrs()
	k := &kernels.RoiAlign{N: x[0], H: x[1], W: x[2], C: x[3], OH: y[1], OW: y[2], Ratio: a.Int("sampling_ratio", 0),
		Scale: float32(a.Float("spatial_scale", 1)), Max: a.Str("mode", "avg") == "max"}
	if a.Str("coordinate_transformation_mode", "half_pixel") == "half_pixel" {
		k.Offset = 0.5
	}
	return &runtime.Kernel{Run: func(m runtime.Memory, _ []byte, _, _ int) {
		batch := i64(m.In(2))
		for i, b := range batch {
			if b < 0 || b >= int64(k.N) {
				m.Fail("region %d is in picture %d of %d", i, b, k.N)
				return
			}
		}
		k.Run(f32(m.Out(0)), f32(m.In(0)), f32(m.In(1)), batch, 0, y[0])
	}}, nil
}

func maxRoiPool(o runtime.Op) (*runtime.Kernel, error) {
	_, x := o.Input(0)
	_, y := o.Output(0)
	k := &kernels.MaxRoiPool{N: x[0], H: x[1], W: x[2], C: x[3], OH: y[1], OW: y[2], Scale: float32(o.Attrs().Float("spatial_scale", 1))}
	return &runtime.Kernel{Run: func(m runtime.Memory, _ []byte, _, _ int) {
		rois := f32(m.In(1))
		for i := range y[0] {
			if b := rois[5*i]; !(b >= 0 && b < float32(k.N)) {
				m.Fail("region %d is in picture %g of %d", i, b, k.N)
				return
			}
		}
		k.Run(f32(m.Out(0)), f32(m.In(0)), rois, 0, y[0])
	}}, nil
}

func deformableIm2Col(o runtime.Op) (*runtime.Kernel, error) {
	_, x := o.Input(0)
	_, y := o.Output(0)
	a := o.Attrs()
	two := func(name string, def int) (int, int) {
		if l := a.Ints(name); l != nil {
			return int(l[0]), int(l[1])
		}
		return def, def
	}
	k := &kernels.DeformableIm2Col{H: x[1], W: x[2], C: x[3], OH: y[1], OW: y[2], Groups: a.Int("offset_group", 1)}
	k.KH, k.KW = two("kernel_shape", 1)
	k.StrideH, k.StrideW = two("strides", 1)
	k.DilH, k.DilW = two("dilations", 1)
	k.PadTop, k.PadLeft = two("pads", 0)
	return &runtime.Kernel{Tasks: y[0] * y[1], Run: func(m runtime.Memory, _ []byte, t0, t1 int) {
		k.Run(f32(m.Out(0)), f32(m.In(0)), f32(m.In(1)), f32(m.In(2)), t0, t1)
	}}, nil
}
