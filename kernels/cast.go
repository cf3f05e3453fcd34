package kernels

import (
	"math"
	"unsafe"
)

// Number says how a number is stored: what kind it is and in how many bytes.
type Number struct {
	Kind NumberKind
	Size int // bytes
}

// NumberKind is a kind of number.
type NumberKind uint8

// The kinds of numbers.
const (
	Signed   NumberKind = iota // two's complement, 1, 2, 4 or 8 bytes
	Unsigned                   // 1, 2, 4 or 8 bytes
	IEEE                       // binary16, binary32, binary64
	Brain                      // bfloat16
	Truth                      // 0 or 1 in one byte
)

// castChunk is how many numbers are converted at once, through the widest
// types: that needs a loop for every type, not for every pair of them.
const castChunk = 128

// Cast converts the numbers of src, which are of type from, into dst, of type
// to. Floats to integers truncate towards zero, saturate at the bounds of the
// type and take NaN to 0 (what Go leaves to the CPU is defined here); integers
// wrap; the rest rounds to nearest even, to the 16-bit floats through float32.
// Truth is 1 for all that is not 0, NaN included.
func Cast(dst []byte, to Number, src []byte, from Number) {
	if from.half() && to == (Number{IEEE, 4}) { // stored weights: nothing to round
		loadHalves(castView[float32](dst), src, from)
		return
	}
	var ints [castChunk]int64
	var reals [castChunk]float64
	var singles [castChunk]float32
	for len(src) >= from.Size {
		n := min(castChunk, len(src)/from.Size)
		x, y := src[:n*from.Size], dst[:n*to.Size]
		src, dst = src[len(x):], dst[len(y):]
		i, r, f := ints[:n], reals[:n], singles[:n]
		float := from.Kind == IEEE || from.Kind == Brain
		if float {
			loadReals(r, f, x, from)
		} else {
			loadInts(i, x, from)
		}
		switch {
		case to.Kind == IEEE && to.Size == 8:
			if !float {
				intsToFloats(r, i, from.Kind)
			}
			copy(castView[float64](y), r)
		case to.Kind == IEEE || to.Kind == Brain:
			switch {
			case !float:
				intsToFloats(f, i, from.Kind)
			case from.Size == 8:
				for j, v := range r {
					f[j] = float32(v)
				}
			}
			switch {
			case to.Size == 4:
				copy(castView[float32](y), f)
			case to.Kind == IEEE:
				Float32ToFloat16(castView[uint16](y), f)
			default:
				Float32ToBFloat16(castView[uint16](y), f)
			}
		case to.Kind == Truth:
			for j := range i {
				y[j] = 0
				if float && r[j] != 0 || !float && i[j] != 0 {
					y[j] = 1
				}
			}
		default:
			if float {
				realsToInts(i, r, to)
			}
			storeInts(y, i, to.Size)
		}
	}
}

// half reports whether the number is a float of 16 bits.
func (n Number) half() bool { return n.Size == 2 && (n.Kind == IEEE || n.Kind == Brain) }

// loadHalves converts floats of 16 bits to float32.
func loadHalves(dst []float32, src []byte, from Number) {
	if from.Kind == IEEE {
		Float16ToFloat32(dst, castView[uint16](src))
	} else {
		BFloat16ToFloat32(dst, castView[uint16](src))
	}
}

// loadReals widens floats to r; those of at most 32 bits are left in f, too.
func loadReals(r []float64, f []float32, src []byte, from Number) {
	switch {
	case from.Size == 8:
		copy(r, castView[float64](src))
		return
	case from.Size == 4:
		copy(f, castView[float32](src))
	default:
		loadHalves(f, src, from)
	}
	for j, v := range f {
		r[j] = float64(v)
	}
}

// loadInts widens integers to 64 bits; uint64 keeps its bits.
func loadInts(dst []int64, src []byte, from Number) {
	signed := from.Kind == Signed
	switch {
	case from.Size == 8:
		copy(dst, castView[int64](src))
	case from.Size == 4 && signed:
		widenInts[int32](dst, src)
	case from.Size == 4:
		widenInts[uint32](dst, src)
	case from.Size == 2 && signed:
		widenInts[int16](dst, src)
	case from.Size == 2:
		widenInts[uint16](dst, src)
	case signed:
		widenInts[int8](dst, src)
	default:
		widenInts[uint8](dst, src)
	}
}

func widenInts[T Integer](dst []int64, src []byte) {
	for j, v := range castView[T](src) {
		dst[j] = int64(v)
	}
}

// storeInts stores the low bytes: integers wrap.
func storeInts(dst []byte, src []int64, size int) {
	switch size {
	case 8:
		copy(castView[int64](dst), src)
	case 4:
		narrowInts[int32](dst, src)
	case 2:
		narrowInts[int16](dst, src)
	default:
		narrowInts[int8](dst, src)
	}
}

func narrowInts[T Integer](dst []byte, src []int64) {
	y := castView[T](dst)
	for j, v := range src {
		y[j] = T(v)
	}
}

func intsToFloats[T Float](dst []T, src []int64, kind NumberKind) {
	if kind == Unsigned {
		for j, v := range src {
			dst[j] = T(uint64(v))
		}
		return
	}
	for j, v := range src {
		dst[j] = T(v)
	}
}

// realsToInts saturates at the bounds of to, whose bits it leaves in dst.
func realsToInts(dst []int64, src []float64, to Number) {
	least, most := int64(-1)<<(8*to.Size-1), uint64(1)<<(8*to.Size-1)-1
	if to.Kind == Unsigned {
		least, most = 0, most<<1|1
	}
	lo, hi := float64(least), float64(most)
	for j, v := range src {
		switch {
		case v <= lo:
			dst[j] = least
		case v >= hi:
			dst[j] = int64(most)
		case v != v:
			dst[j] = 0
		case v >= 1<<63: // only for uint64: Go converts through int64
			dst[j] = int64(uint64(v-1<<63) + 1<<63)
		default:
			dst[j] = int64(v)
		}
	}
}

// castView is b as numbers of type T, in the byte order of the CPU.
func castView[T Float | Integer](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(T(0))))
}

// Float32ToFloat16 rounds to IEEE 754 binary16, ties to even.
func Float32ToFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		b := math.Float32bits(x)
		sign := uint16(b>>16) & 0x8000
		a := math.Float32frombits(b &^ (1 << 31))
		switch {
		case a != a:
			dst[i] = sign | 0x7e00
		case a >= 65520: // halfway between the greatest and what would follow
			dst[i] = sign | 0x7c00
		case a < 0x1p-14:
			// Adding 0.5 leaves units of 2**-24, those of a subnormal half.
			dst[i] = sign | uint16(math.Float32bits(a+0.5)-math.Float32bits(0.5))
		default:
			u := b &^ (1 << 31)
			u += 0xfff + u>>13&1
			dst[i] = sign | uint16(u>>13-112<<10)
		}
	}
}

// BFloat16ToFloat32 converts bfloat16 numbers; every one is exact.
func BFloat16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// Float32ToBFloat16 rounds to bfloat16, ties to even.
func Float32ToBFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		u := math.Float32bits(x)
		if x != x {
			dst[i] = uint16(u>>16) | 0x40
			continue
		}
		dst[i] = uint16((u + 0x7fff + u>>16&1) >> 16)
	}
}
