// Package quant turns a float graph into an integer one and says what that costs.
//
// [Dynamic] stores the weights of convolutions and matrix products as int8 and
// leaves the activations float (they are quantized while the model runs);
// [Blocks] stores the weights of matrices as int4 or int8 in blocks, [Half] as
// float16 or bfloat16. [Quantize] quantizes the activations too, so that the
// result is integer end to end: it observes the activations on calibration
// samples ([Observe]), chooses their ranges ([Method]), repairs what int8 loses
// ([Equalize], bias correction, adaptive rounding by [Round], layers kept in
// int16 or float) and reports the error of every layer ([Report]). [Static] is
// its core: a float graph and ranges in, an integer graph out.
//
// With labelled samples, [Tune] trains a float model on, also such that it
// learns to live with int8, and [Prune] takes channels out of it.
//
// Weights are symmetric in [-127, 127], one scale an output channel;
// activations are asymmetric int8, one scale a tensor (Jacob et al., 2018,
// arXiv:1712.05877, section 3).
//
// Everything is a function of the model, the samples and the options alone: no
// clock, random numbers only from a seed, sums in a fixed order, and no transcendental function of the
// standard library, whose last bits depend on the CPU.
package quant

import "iter"

// Sample is one set of float32 inputs in the order of the model's inputs.
type Sample [][]float32

// Samples yields calibration samples. It is ranged over several times and must
// yield the same samples in the same order each time. A yielded sample may be
// overwritten when the next one is asked for. After an error it ends.
type Samples = iter.Seq2[Sample, error]
