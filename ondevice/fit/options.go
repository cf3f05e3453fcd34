package fit

import (
	"fmt"
	"math/rand/v2"

	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/attack"
)

// Options say how to train. The zero value is ten epochs of Adam at 0.001 on
// batches of 32 with cross-entropy, which is what Keras does by default.
type Options struct {
	Loss      ondevice.Loss // all but Custom
	Smoothing float32       // of labels, for cross-entropy

	SGD      bool    // instead of Adam
	Momentum float32 // of SGD
	Rate     float32 // learning rate; 0: 0.001, or 0.01 for SGD
	Cosine   bool    // the rate falls to zero along half a wave; else it stays
	Epochs   int     // 0: 10
	Batch    int     // 0: 32

	// L1 and L2 add L1·Σ|w| and L2·Σw² over the weights, not the biases, to the
	// loss of a batch (L2 is Keras's, twice PyTorch's weight_decay).
	L1, L2   float32
	ClipNorm float32 // largest norm of a gradient; 0: no limit

	// Dropout sets a part of the values behind a layer to zero while training, and
	// scales the rest up (Srivastava et al., 2014): the fraction by the layer's name.
	Dropout map[string]float32

	// Augment changes a sample in place before it is learned from. Its random
	// numbers are a stream of the sample's own.
	Augment func(r *rand.Rand, x []float32)

	// Attack, if set, puts a sample against itself before it is learned from: it is
	// moved so that the network of the moment errs more (Madry et al., 2018,
	// arXiv:1706.06083). It is for cross-entropy, and comes after Augment.
	Attack *attack.Options

	// Val is the fraction of every class that is held out of training, ValData a
	// set of its own for that.
	Val     float64
	ValData *Data

	// Patience ends training after so many epochs without a smaller loss on what is
	// held out, and returns the weights of the best epoch; 0: never, the last
	// weights.
	Patience int

	// Ordered takes the samples of every epoch in the data's order; else it is drawn
	// anew.
	Ordered bool

	Seed     uint64      // of order, split, dropout and augmentation
	Progress func(Epoch) // is told every epoch
}

// An Epoch is a point of the learning curve. Losses are means without the terms
// of L1 and L2; accuracies are of cross-entropy. Those of the training part are
// taken while its weights change, as Keras does.
type Epoch struct {
	Number              int // from 1
	Loss, Accuracy      float64
	ValLoss             float64 // of what is held out; 0 without that
	ValAccuracy         float64
	Train, Val, Samples int // of the parts, and learned from in this epoch
}

func (o Options) withDefaults() (Options, error) {
	if o.Epochs == 0 {
		o.Epochs = 10
	}
	if o.Batch == 0 {
		o.Batch = 32
	}
	if o.Rate == 0 {
		o.Rate = 1e-3
		if o.SGD {
			o.Rate = 1e-2
		}
	}
	if o.Attack != nil {
		a, err := o.Attack.Check()
		if err != nil {
			return o, err
		}
		if o.Attack = &a; o.Loss != ondevice.CrossEntropy {
			return o, fmt.Errorf("fit: attacks are for cross-entropy, not for the loss %v", o.Loss)
		}
	}
	for layer, p := range o.Dropout {
		if !(p >= 0 && p < 1) {
			return o, fmt.Errorf("fit: dropout of %v behind %q: it must be at least 0 and below 1", p, layer)
		}
	}
	switch {
	case o.Loss < ondevice.CrossEntropy || o.Loss >= ondevice.Custom:
		return o, fmt.Errorf("fit: loss %v: ce, mse, bce and huber are known", o.Loss)
	case o.Epochs < 1 || o.Batch < 1 || o.Patience < 0:
		return o, fmt.Errorf("fit: %d epochs, batches of %d, patience %d", o.Epochs, o.Batch, o.Patience)
	case !(o.Rate > 0) || !(o.L1 >= 0) || !(o.L2 >= 0) || !(o.ClipNorm >= 0) || !(o.Momentum >= 0 && o.Momentum < 1):
		return o, fmt.Errorf("fit: rate %v, L1 %v, L2 %v, norm %v, momentum %v: one is out of range", o.Rate, o.L1, o.L2, o.ClipNorm, o.Momentum)
	case !(o.Smoothing >= 0 && o.Smoothing < 1) || o.Smoothing > 0 && o.Loss != ondevice.CrossEntropy:
		return o, fmt.Errorf("fit: label smoothing %v is for cross-entropy, at least 0 and below 1", o.Smoothing)
	case !(o.Val >= 0 && o.Val < 1) || o.Val > 0 && o.ValData != nil:
		return o, fmt.Errorf("fit: validation part %v must be below 1, and is not for data that have their own", o.Val)
	case o.Patience > 0 && o.Val == 0 && o.ValData == nil:
		return o, fmt.Errorf("fit: patience needs samples to validate on: set Val or ValData")
	}
	return o, nil
}
