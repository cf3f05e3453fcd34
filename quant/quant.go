// Package quant turns a float graph into an integer one and says what that costs.
//
// [Dynamic] stores the weights of convolutions and matrix products as int8 and
// leaves the activations float (they are quantized while the model runs);
// [Half] stores them as float16. [Quantize] quantizes the activations too, so
// that the result is integer end to end: it observes the activations on
// calibration samples ([Observe]), chooses their ranges ([Method]), repairs
// what int8 loses ([Equalize], bias correction, layers kept float) and reports
// the error of every layer ([Report]). [Static] is its core: a float graph and
// ranges in, an integer graph out.
//
// Weights are symmetric in [-127, 127], one scale an output channel;
// activations are asymmetric int8, one scale a tensor (Jacob et al., 2018,
// arXiv:1712.05877, section 3).
//
// Everything is a function of the model and the samples alone: no clock, no
// random numbers, sums in a fixed order, and no transcendental function of the
// standard library, whose last bits depend on the CPU.
package quant

import "iter"

// Sample is one set of float32 inputs in the order of the model's inputs.
type Sample [][]float32

// Samples yields calibration samples. It is ranged over several times and must
// yield the same samples in the same order each time. A yielded sample may be
// overwritten when the next one is asked for. After an error it ends.
type Samples = iter.Seq2[Sample, error]
