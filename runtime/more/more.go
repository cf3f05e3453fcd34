// Package more holds the kernels of ops that few models have. A program that may
// meet them imports it for that effect alone:
//
//	import _ "github.com/whet-edge/whet/runtime/more"
//
// Without it such a model is refused by an error that names this package, and a
// program does not carry what it does not need. The ops are Compress,
// DeformableIm2Col, GridSample, GRU, If, Loop, LSTM, MaxRoiPool, NonMaxSuppression,
// NonZero, QLSTM, RNN, RoiAlign, SVDF, Trim and Unique; products of int8 weights with
// float32 or int16 activations, and sums and products of int16 codes, are here, too.
package more

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

func init() {
	format.AddRare()
	runtime.AddRare()
	runtime.Extend("Compress", compress)
	runtime.Extend("DeformableIm2Col", deformableIm2Col)
	runtime.Extend("MaxRoiPool", maxRoiPool)
	runtime.Extend("NonMaxSuppression", nonMaxSuppression)
	runtime.Extend("NonZero", nonZero)
	runtime.Extend("RoiAlign", roiAlign)
	runtime.Extend("Unique", unique)
}
