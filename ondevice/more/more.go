// Package more makes known what few programs that tune ask for: the tails
// [ondevice.Sparse] and [ondevice.LoRA], and the optimizers with a state of 8 bits. A
// program that wants them imports it for that effect alone:
//
//	import _ "github.com/whet-edge/whet/ondevice/more"
//
// Without it [ondevice.Plan] refuses them by an error that names this package.
package more

import "github.com/whet-edge/whet/ondevice"

func init() { ondevice.AddOptional() }
