package serve

import (
	"context"
	"encoding/json"

	"github.com/whet-edge/whet/board/serve/oip"
)

// An Engine makes model files runnable. It is the daemon's door to the runtime,
// narrow so that the protocol can be tested without it.
type Engine interface {
	// Open loads a model file and, unless delta is nil, the delta over it.
	Open(path string, delta []byte) (Model, error)
}

// A Model is one loaded version of a model.
type Model interface {
	Digest() string // of the model file, in hexadecimal
	Inputs() []oip.Spec
	Outputs() []oip.Spec
	Labels() []string
	Memory() int64 // bytes of weights and of one session
	Sense() Sense
	NewSession() (Session, error)

	// Decode turns a picture, a sound or the like into the model's input
	// tensors by its preprocessing.
	Decode(media string, body []byte) ([][]byte, error)

	Close() error
}

// A Sense is what a model is shown, so that a page knows what to ask a person
// for. A size that does not apply is 0.
type Sense struct {
	Kind     string `json:"kind"` // "image", "audio", or "numbers" for what has no preprocessing
	Height   int    `json:"height,omitempty"`
	Width    int    `json:"width,omitempty"`
	Channels int    `json:"channels,omitempty"`
	Rate     int    `json:"rate,omitempty"`    // samples of a sound a second
	Samples  int    `json:"samples,omitempty"` // of a sound
	Elements int    `json:"elements"`          // of the first input
}

// A Trial loads a model and runs it once where that can do no harm. What it has
// found good is remembered and not tried again.
type Trial interface {
	Try(ctx context.Context, path string, delta []byte) error
}

// A Session runs a model; it is used by one request at a time.
type Session interface {
	// Run computes the outputs from the inputs, both in the model's order,
	// little-endian and row-major. Nothing stays from an earlier run. The
	// outputs are valid until the next one.
	Run(ctx context.Context, in [][]byte) (out [][]byte, err error)
	Close()
}

// A Trainer tunes a model on samples.
type Trainer interface {
	// Train runs the task to its end, or takes it up where an earlier call
	// left it: what that needs it keeps at task.File. When ctx ends, Train
	// returns with the error of ctx soon, and the task can be taken up again.
	Train(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error)

	// Plan says what training would take, or why it is refused.
	Plan(ctx context.Context, task Task) (*Estimate, error)
}

// A pausable trainer can rest at once and go on again.
type pausable interface{ Pause(bool) }

// An Estimate is what training would take.
type Estimate struct {
	Tail      string   `json:"tail"`
	Node      string   `json:"node"` // the first layer that is trained
	Classes   []string `json:"classes"`
	New       []string `json:"new_classes,omitempty"`
	Params    int      `json:"parameters"`
	Samples   int      `json:"samples"`
	Epochs    int      `json:"epochs"`
	Steps     int      `json:"steps"` // at most
	PeakBytes int64    `json:"peak_bytes"`
}

// A Task is what there is to train.
type Task struct {
	Model   string   // path of the model file
	Delta   []byte   // over it: the version to start from; nil: none
	File    string   // where the job keeps itself
	Key     []byte   // with which what it keeps is encrypted ([store.SealFS]); nil: it is not
	Labels  []string // of the model: its classes
	Options TrainOptions
	Samples []uint64
	Label   func(id uint64) (label string, ok bool) // not ok: deleted since; Train ends with an error
	Inputs  func(id uint64) ([][]byte, error)       // not to be called by two goroutines at a time
}

// TrainOptions is the body of a request to train. Zero values leave the choice
// to the trainer.
type TrainOptions struct {
	Epochs     int     `json:"epochs,omitempty"`
	Batch      int     `json:"batch,omitempty"`
	Rate       float64 `json:"learning_rate,omitempty"`
	Validation float64 `json:"validation,omitempty"` // share of the samples held back for the gate
	Memory     int64   `json:"memory_bytes,omitempty"`
	Seed       uint64  `json:"seed,omitempty"`

	// Classes of the tuned model; nil: those that the model has and those of the
	// samples. A class that the model has and no sample shows is forgotten in
	// training, so that is refused unless Forget allows it.
	Classes []string `json:"classes,omitempty"`
	Forget  bool     `json:"allow_forgetting,omitempty"`

	Promote bool    `json:"promote,omitempty"` // serve the result at once if the gate passes it
	Canary  float64 `json:"canary,omitempty"`  // or put it on trial with this share of the requests, and serve it if it passes that, too
}

// Progress is how far a task is.
type Progress struct {
	Phase string  `json:"phase"`
	Step  int     `json:"step"`
	Steps int     `json:"steps"`
	Loss  float64 `json:"loss"`

	// Of the validation samples, after this epoch of training; 0 before the
	// first one has ended.
	ValLoss     float64 `json:"validation_loss,omitempty"`
	ValAccuracy float64 `json:"validation_accuracy,omitempty"`
}

// An Outcome is the end of a task.
type Outcome struct {
	Passed bool   // by the validation gate
	Reason string // why not
	Delta  []byte // over the model file, without other deltas; nil unless Passed
	Base   float64
	Tuned  float64         // accuracy on the held-back samples before and after
	Report json.RawMessage // all that the trainer has to say
}
