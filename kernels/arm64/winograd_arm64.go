//go:build !purego

package arm64

// WinogradInNEON transforms the 6x6 pixels of a tile into its 36 points.
//
//go:noescape
func WinogradInNEON(a *WinogradArgs)

// WinogradOutNEON transforms 36 points into 4x4 pixels, adds the bias and clamps.
//
//go:noescape
func WinogradOutNEON(a *WinogradArgs)
