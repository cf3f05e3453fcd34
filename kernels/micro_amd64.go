//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

func qgemmShape(l Level) gemmShape {
	switch l {
	case AVX512VNNI:
		return gemmShape{mr: 12, nr: 32, kr: 4, u8: true, below1: true, flat: true, lists: true, adds: true}
	case AVXVNNI:
		return gemmShape{mr: 12, nr: 16, kr: 4, u8: true}
	case AVX2, AVX512:
		return gemmShape{mr: 12, nr: 16, kr: 4, wide: true}
	}
	return qgemmShapeGo
}

func qgemm(l Level, a *qGemmArgs) {
	switch l {
	case AVX512VNNI:
		amd64.QGemm12x32VNNI((*amd64.QGemmArgs)(a))
	case AVXVNNI:
		if vexVNNI {
			amd64.QGemm12x16AVXVNNI((*amd64.QGemmArgs)(a))
		} else {
			amd64.QGemm12x16VNNI256((*amd64.QGemmArgs)(a))
		}
	case AVX2, AVX512:
		amd64.QGemm12x16AVX2((*amd64.QGemmArgs)(a))
	default:
		qgemmGo(a)
	}
}

func fgemmShape(l Level) gemmShape {
	switch l {
	case AVX512, AVX512VNNI:
		return gemmShape{mr: 12, nr: 32, kr: 1}
	case AVX2, AVXVNNI:
		return gemmShape{mr: 6, nr: 16, kr: 1}
	}
	return fgemmShapeGo
}

func gemm(l Level, a *gemmArgs) {
	switch l {
	case AVX512, AVX512VNNI:
		amd64.Gemm12x32AVX512((*amd64.GemmArgs)(a))
	case AVX2, AVXVNNI:
		amd64.Gemm6x16AVX2((*amd64.GemmArgs)(a))
	default:
		gemmGo(a)
	}
}

func qdwShape(l Level) dwShape {
	switch l {
	case AVX512VNNI:
		return dwShape{cb: 32, mask: true, pairs: true, columns: true}
	case AVX2, AVXVNNI, AVX512:
		return dwShape{cb: 16, pairs: true}
	}
	return qdwShapeGo
}

func qdw(l Level, a *qDWArgs) {
	switch l {
	case AVX512VNNI:
		amd64.QDepthwise32VNNI((*amd64.QDWArgs)(a))
	case AVX2, AVXVNNI, AVX512:
		amd64.QDepthwise16AVX2((*amd64.QDWArgs)(a))
	default:
		qdwGo(a)
	}
}

func fdwShape(l Level) dwShape {
	switch l {
	case AVX512, AVX512VNNI:
		return dwShape{cb: 32, mask: true, columns: true, columns5: true}
	case AVX2, AVXVNNI:
		return dwShape{cb: 16}
	}
	return fdwShapeGo
}

func dw(l Level, a *dwArgs) {
	switch l {
	case AVX512, AVX512VNNI:
		amd64.Depthwise32AVX512((*amd64.DWArgs)(a))
	case AVX2, AVXVNNI:
		amd64.Depthwise16AVX2((*amd64.DWArgs)(a))
	default:
		dwGo(a)
	}
}
