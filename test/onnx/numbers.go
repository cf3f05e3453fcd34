package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

var le = binary.LittleEndian

// numbers returns the elements of a tensor; those of 64 bits are rounded.
func numbers(t format.DType, b []byte) ([]float64, error) {
	w := t.Bits() / 8
	if w == 0 {
		return nil, fmt.Errorf("elements of type %v", t)
	}
	out := make([]float64, len(b)/w)
	for i := range out {
		e := b[i*w:]
		switch t {
		case format.Float64:
			out[i] = math.Float64frombits(le.Uint64(e))
		case format.Float32:
			out[i] = float64(math.Float32frombits(le.Uint32(e)))
		case format.Float16, format.BFloat16:
			var f [1]float32
			h := []uint16{le.Uint16(e)}
			if t == format.Float16 {
				kernels.Float16ToFloat32(f[:], h)
			} else {
				kernels.BFloat16ToFloat32(f[:], h)
			}
			out[i] = float64(f[0])
		case format.Int64:
			out[i] = float64(int64(le.Uint64(e)))
		case format.Uint64:
			out[i] = float64(le.Uint64(e))
		case format.Int32:
			out[i] = float64(int32(le.Uint32(e)))
		case format.Uint32:
			out[i] = float64(le.Uint32(e))
		case format.Int16:
			out[i] = float64(int16(le.Uint16(e)))
		case format.Uint16:
			out[i] = float64(le.Uint16(e))
		case format.Int8:
			out[i] = float64(int8(e[0]))
		default:
			out[i] = float64(e[0])
		}
	}
	return out, nil
}
