//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

func qgemmShape(l Level) gemmShape {
	switch l {
	case I8MM:
		return gemmShape{mr: arm64.QGemmI8MMMR, nr: arm64.QGemmI8MMNR, kr: arm64.QGemmI8MMKR, near: true}
	case Dotprod:
		return gemmShape{mr: arm64.QGemmDotprodMR, nr: arm64.QGemmDotprodNR, kr: arm64.QGemmDotprodKR, near: true}
	case NEON:
		return gemmShape{mr: arm64.QGemmNEONMR, nr: arm64.QGemmNEONNR, kr: arm64.QGemmNEONKR, near: true, pairs: true}
	}
	return qgemmShapeGo
}

func fgemmShape(l Level) gemmShape {
	if l == Generic {
		return fgemmShapeGo
	}
	return gemmShape{mr: arm64.GemmNEONMR, nr: arm64.GemmNEONNR, kr: 1, near: true}
}

func qdwShape(l Level) dwShape {
	if l == Generic {
		return qdwShapeGo
	}
	return dwShape{cb: arm64.QDepthwiseNEONCB, mask: true, columns: true}
}

func fdwShape(l Level) dwShape {
	if l == Generic {
		return fdwShapeGo
	}
	return dwShape{cb: arm64.DepthwiseNEONCB, mask: true, columns: true}
}

func qgemm(l Level, a *qGemmArgs) {
	b := (*arm64.QGemmArgs)(a)
	switch l {
	case I8MM:
		if a.Rows <= 2 {
			arm64.QGemm2x16c8I8MM(b)
		} else {
			arm64.QGemm4x16c8I8MM(b)
		}
	case Dotprod:
		if a.Rows == 1 {
			arm64.QGemm1x16c4Dotprod(b)
		} else {
			arm64.QGemm4x16c4Dotprod(b)
		}
	case NEON:
		switch {
		case a.Rows == 1:
			arm64.QGemm1x8c8NEON(b)
		case a.Pairs != 0 && a.KC >= 16:
			arm64.QGemm2x8c8PairsNEON(b)
		default:
			arm64.QGemm2x8c8NEON(b)
		}
	default:
		qgemmGo(a)
	}
}

func gemm(l Level, a *gemmArgs) {
	b := (*arm64.GemmArgs)(a)
	switch {
	case l == Generic:
		gemmGo(a)
	case a.Rows == 1:
		arm64.Gemm1x8NEON(b)
	case a.Rows <= 4:
		arm64.Gemm4x8NEON(b)
	case inOrder:
		arm64.Gemm8x8InOrderNEON(b)
	default:
		arm64.Gemm8x8NEON(b)
	}
}

func qdw(l Level, a *qDWArgs) {
	b := (*arm64.QDWArgs)(a)
	switch {
	case l == Generic:
		qdwGo(a)
	case a.Taps == 9 && a.C >= arm64.QDepthwiseNEONCB:
		arm64.QDepthwise9NEON(b)
	default:
		arm64.QDepthwiseNEON(b)
	}
}

func dw(l Level, a *dwArgs) {
	if l == Generic {
		dwGo(a)
		return
	}
	arm64.DepthwiseNEON((*arm64.DWArgs)(a))
}
