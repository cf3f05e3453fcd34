// Package ondevice fine-tunes a model on the device that it runs on.
//
//	plan, err := ondevice.Plan(model, data, ondevice.Options{Memory: 64 << 20})
//	job, err := ondevice.Start(ctx, plan, "kws.job")
//	delta, report, err := job.Wait(ctx)
//
// The model's last dense layer, its head, is trained in float32; everything
// before it stays the integer network that it is. That frozen part runs once a
// sample, on the fast kernels, and what the head reads of it ([Features], a byte
// an element) is cached on disk, so an epoch costs the head alone. New classes
// grow the head; kept features of old classes ([Reservoir]) are replayed so that
// those are not forgotten.
//
// Options.Tail trains more: the last layers ([Last]) or all biases ([Bias]). They
// are trained in float32, where each layer's range ends where its integers end,
// and go back to integers where that costs next to nothing.
//
// [Plan] says before the start what will be trained and what memory it takes, or
// refuses with the smallest budget that works. A [Job] survives a kill and a
// power cut: [Resume] continues it to the bits of an unbroken run. Its result is
// a delta, and only if the new head does as well as the old one on samples that
// no gradient has seen ([Gate]).
//
// The same model, samples and options give the same delta, bit for bit, on
// every CPU, at every kernel level, on any number of threads, in any budget.
package ondevice
