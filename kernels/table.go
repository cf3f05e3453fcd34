package kernels

// A Table8 maps every int8 code to an int8 code; entry i is that of code
// int8(i). On 8-bit tensors every element-wise function is one of these.
type Table8 [256]int8

// MakeTable tabulates y = f(x) between two per-tensor quantizations:
//
//	x = inScale * (code - inZero)
//	y = quantize(f(x)) with outScale, outZero (see [QuantizeOne]),
//
// each step rounded to float32.
func MakeTable(f func(float32) float32, inScale float32, inZero int32, outScale float32, outZero int32) *Table8 {
	var t Table8
	for i := range t {
		x := float32(int32(int8(i))-inZero) * inScale
		t[i] = int8(QuantizeOne(f(x), outScale, outZero, -128, 127))
	}
	return &t
}

// Apply sets dst[i] to the table's value for src[i]. The slices have the same
// length and are the same or do not overlap.
func (t *Table8) Apply(dst, src []int8) { t.ApplyAt(Generic, dst, src) }

// ApplyAt is [Table8.Apply] with the kernels of a level.
func (t *Table8) ApplyAt(l Level, dst, src []int8) {
	dst = dst[:len(src)]
	n := inChunks(len(src), 16*chunk, func(from, to int) int { return lookupFront(l, dst[from:to], src[from:], t) })
	dst, src = dst[n:], src[n:]
	for i, x := range src {
		dst[i] = t[uint8(x)]
	}
}

// MapInt16 applies f to a quantized int16 tensor:
// dst[i] = quantize(f(inScale * (src[i]-inZero))) with outScale and outZero,
// as [MakeTable] does, without a table. Zero points of 16-bit tensors are
// usually 0.
func MapInt16(f func(float32) float32, dst, src []int16, inScale float32, inZero int32, outScale float32, outZero int32) {
	dst = dst[:len(src)]
	for i, q := range src {
		x := float32(int32(q)-inZero) * inScale
		dst[i] = int16(QuantizeOne(f(x), outScale, outZero, -32768, 32767))
	}
}
