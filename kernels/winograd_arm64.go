//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

func winogradIn(l Level, a *winogradArgs) {
	if l >= NEON {
		arm64.WinogradInNEON((*arm64.WinogradArgs)(a))
	} else {
		winogradInGo(a)
	}
}

func winogradOut(l Level, a *winogradArgs) {
	if l >= NEON {
		arm64.WinogradOutNEON((*arm64.WinogradArgs)(a))
	} else {
		winogradOutGo(a)
	}
}
