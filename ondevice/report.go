package ondevice

import "time"

// An Epoch is one point of the learning curve. The first one of a curve is the
// starting weights and has no training loss.
type Epoch struct {
	Loss        float64 // mean training loss over the epoch
	ValLoss     float64 // mean validation loss after it
	ValAccuracy float64 // fraction of the validation samples that are right after it
}

// A Report says how a job went. Everything but the durations is the same
// whether the job was interrupted or not.
type Report struct {
	Classes    []string
	New        []string // classes that the old head did not have
	Train, Val int      // samples, replayed ones included
	Repeats    int      // training samples left out because the validation data has the same inputs
	LR         float32  // learning rate at the first step
	Curve      []Epoch
	BestEpoch  int  // index in Curve of the weights that were judged
	Diverged   bool // a loss was not finite; the last good weights were judged

	// Base and Tuned are what the old and the new head reach on the validation
	// samples, computed by the programs that serve them; nil without validation
	// samples. A class that the old head lacks counts as wrong.
	Base, Tuned *Metrics

	Integer bool // a tail deeper than the head went back to the model's integers
	Passed  bool
	Verdict string // why the gate refused; empty when it passed

	Computed    int           // features that were not in the cache
	Extracting  time.Duration // of this process, as are the others
	Training    time.Duration
	Saving      time.Duration // of Training: writing checkpoints
	Checkpoints int
}

// Progress says where a job is.
type Progress struct {
	Phase       string // "extract", "train" or "judge"
	Done, Total int    // samples while extracting, epochs while training
	Epoch       Epoch  // the last one, while training
}

// A Step is one update of the weights.
type Step struct {
	Number  int     // from 1
	LR      float32 // learning rate
	Loss    float64 // mean over the batch, before the update
	Samples []int32 // the batch: numbers of samples, first those of the data, then the replayed ones; to be read only
}
