//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

func winogradIn(l Level, a *winogradArgs) {
	if l >= AVX2 {
		amd64.WinogradInAVX2((*amd64.WinogradArgs)(a))
	} else {
		winogradInGo(a)
	}
}

func winogradOut(l Level, a *winogradArgs) {
	if l >= AVX2 {
		amd64.WinogradOutAVX2((*amd64.WinogradArgs)(a))
	} else {
		winogradOutGo(a)
	}
}
