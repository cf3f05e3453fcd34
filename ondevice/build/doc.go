// Package build makes float networks layer by layer, and changes ones that exist.
//
//	m, err := build.New([]int{28, 28, 1}, 1,
//		build.Conv{Filters: 32, Kernel: 3, Activation: "relu"}, build.MaxPool{Size: 2},
//		build.Conv{Filters: 64, Kernel: 3, Activation: "relu"}, build.MaxPool{Size: 2},
//		build.Flatten{}, build.Dense{Units: 128, Activation: "relu"}, build.Dense{Units: 10, Activation: "softmax"})
//
// The same in one line, as programs take it:
//
//	layers, err := build.Parse("conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)", 10)
//
// Every layer checks the shape that it is given. Weights are drawn from a seed
// and are the same on every CPU. Package ondevice/fit trains the result.
//
// [Cut], [Append], [Activation], [Freeze] and [Unfreeze] change a model for
// another task, whether it was built here or imported, float or quantized.
package build
