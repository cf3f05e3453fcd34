// Package more makes the gradients of ops known that few tails have. A program that
// may train such a tail imports it for that effect alone:
//
//	import _ "github.com/whet-edge/whet/ondevice/grad/more"
//
// Without it such a tail is refused by an error that names this package. The ops are
// CumSum, GatherElements, GatherND, GRU, LSTM, Resize, RNN, ScatterElements, ScatterND,
// Where, and the trigonometric and hyperbolic functions.
package more

import "github.com/whet-edge/whet/ondevice/grad"

func init() { grad.RareOps() }
