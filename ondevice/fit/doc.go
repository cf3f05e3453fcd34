// Package fit trains whole float networks from the start, in memory.
//
//	m, err := build.New(shape, seed, layers...)
//	result, err := fit.Train(ctx, m, data, fit.Options{Epochs: 10, Val: 0.1, Patience: 3})
//	scores, err := fit.Predict(ctx, result.Model, data.X)
//
// Package ondevice is for what comes later: it tunes the end of a network that is
// quantized and in use, within a budget of memory, survives a power cut, and asks
// a gate. Here there are no files and no gate.
//
// The result depends on the model, the data and the options alone: it has the
// same bits on every CPU and on any number of threads.
package fit
