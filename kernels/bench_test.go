package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// benchShape is a layer of a well-known network.
type benchShape struct {
	name string
	ConvShape
}

// square returns a k x k convolution on a size x size image with "same" padding.
func square(name string, size, c, o, k, stride, groups int) benchShape {
	out := (size + stride - 1) / stride
	pad := max(0, (out-1)*stride+k-size)
	return benchShape{name, ConvShape{
		N: 1, H: size, W: size, C: c, O: o, KH: k, KW: k, SH: stride, SW: stride, DH: 1, DW: 1,
		Top: pad / 2, Left: pad / 2, OH: out, OW: out, Groups: groups,
	}}
}

var benchShapes = []benchShape{
	square("mobilenet_first", 224, 3, 32, 3, 2, 1),
	square("mobilenet_expand", 112, 16, 96, 1, 1, 1),
	square("mobilenet_project", 112, 32, 16, 1, 1, 1),
	square("mobilenet_mid", 14, 64, 384, 1, 1, 1),
	square("mobilenet_mid_project", 14, 384, 64, 1, 1, 1),
	square("mobilenet_last", 7, 320, 1280, 1, 1, 1),
	square("resnet_first", 224, 3, 64, 7, 2, 1),
	square("resnet_56", 56, 64, 64, 3, 1, 1),
	square("resnet_28", 28, 128, 128, 3, 1, 1),
	square("resnet_14", 14, 256, 256, 3, 1, 1),
	square("resnet_7", 7, 512, 512, 3, 1, 1),
	square("resnet_1x1", 14, 1024, 256, 1, 1, 1),
	square("resnet_wide", 28, 512, 512, 1, 1, 1),
	square("resnet_last", 7, 2048, 512, 1, 1, 1),
	square("resnet_strided", 14, 1024, 2048, 1, 2, 1),
	square("cifar_32", 32, 16, 16, 3, 1, 1),
	square("cifar_16", 16, 32, 32, 3, 1, 1),
	square("cifar_8", 8, 64, 64, 3, 1, 1),
	square("yolo_10", 10, 128, 128, 3, 1, 1),
	square("vww_first", 96, 3, 8, 3, 2, 1),
	{"dense_1", GemmShape(1, 1000, 1280)},
	{"lstm_512", GemmShape(1, 512, 128)},
	{"dense_64", GemmShape(64, 512, 512)},
}

var benchDepthwise = []benchShape{
	square("112_s1", 112, 32, 32, 3, 1, 32),
	square("112_s2", 112, 96, 96, 3, 2, 96),
	square("28_s1", 28, 192, 192, 3, 1, 192),
	square("14_s1", 14, 576, 576, 3, 1, 576),
	square("7_s1", 7, 960, 960, 3, 1, 960),
	square("14_k5", 14, 240, 240, 5, 1, 240),
	square("14_k5_wide", 14, 672, 672, 5, 1, 672),
	square("28_k5_s2", 28, 240, 240, 5, 2, 240),
	square("120_c16", 120, 16, 16, 3, 1, 16),
}

// report adds the rate; go run ./test/bench/peak prints the peaks that it is a share of.
func report(b *testing.B, s *ConvShape) {
	b.ReportMetric(float64(s.MACs())*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

func benchLevels(b *testing.B, shapes []benchShape, f func(b *testing.B, l Level, s ConvShape)) {
	for _, l := range Levels() {
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%v/%s", l, s.name), func(b *testing.B) {
				f(b, l, s.ConvShape)
				report(b, &s.ConvShape)
			})
		}
	}
}

func BenchmarkQConv(b *testing.B)      { benchLevels(b, benchShapes, benchQConv) }
func BenchmarkQDepthwise(b *testing.B) { benchLevels(b, benchDepthwise, benchQConv) }
func BenchmarkConv(b *testing.B)       { benchLevels(b, benchShapes, benchConv) }
func BenchmarkDepthwise(b *testing.B)  { benchLevels(b, benchDepthwise, benchConv) }

func BenchmarkConv16(b *testing.B)      { benchLevels(b, benchShapes, benchConv16) }
func BenchmarkDepthwise16(b *testing.B) { benchLevels(b, benchDepthwise, benchConv16) }

func benchQConv(b *testing.B, l Level, s ConvShape) {
	rng := rand.New(rand.NewPCG(1, 1))
	c, err := NewQConv(l, &QConvParams{
		Shape: s, Weights: randomInt8(rng, s.WeightLen()), Scale: []float32{1e-3}, InZero: 3, Lo: -128, Hi: 127,
	})
	if err != nil {
		b.Fatal(err)
	}
	src, dst, scratch := alignedSlice[int8](s.InLen()), alignedSlice[int8](s.OutLen()), alignedBytes(c.Scratch())
	copy(src, randomInt8(rng, len(src)))
	b.ReportAllocs()
	for b.Loop() {
		c.Run(dst, src, scratch, 0, c.Tasks())
	}
}

func benchConv16(b *testing.B, l Level, s ConvShape) {
	rng := rand.New(rand.NewPCG(1, 1))
	weights := randomInt8(rng, s.WeightLen())
	for i := range weights { // as far from 0 as those of networks
		weights[i] /= 3
	}
	c, err := NewConv16(l, &Conv16Params{Shape: s, Weights: weights, Scale: []float64{1e-4}, Lo: math.MinInt16, Hi: math.MaxInt16})
	if err != nil {
		b.Fatal(err)
	}
	src, dst, scratch := alignedSlice[int16](s.InLen()), alignedSlice[int16](s.OutLen()), alignedBytes(c.Scratch())
	for i := range src {
		src[i] = int16(rng.Int())
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Run(dst, src, scratch, 0, c.Tasks())
	}
}

// BenchmarkBlocks compares weights of 4 and 8 bits in blocks of 32 with float32 ones.
func BenchmarkBlocks(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, l := range Levels()[1:] {
		for _, m := range []int{1, 2, 4, 16, 64} {
			for _, bits := range []int{4, 8, 32} {
				b.Run(fmt.Sprintf("%v/%dx2048x2048/%d", l, m, bits), func(b *testing.B) {
					p := ConvParams{Shape: GemmShape(m, 2048, 2048), Lo: 0, Hi: float32(math.Inf(1))}
					if bits == 32 {
						p.Weights = randomFloats(rng, p.Shape.WeightLen(), false)
					} else {
						p.Blocks = &Blocks{Bits: bits, Inner: 2048, Block: 32, Scale: randomFloats(rng, 2048*64, false)}
						p.Codes = asBytes(randomInt8(rng, 2048*2048*bits/8))
					}
					c, err := NewConv(l, &p)
					if err != nil {
						b.Fatal(err)
					}
					src, dst, scratch := randomFloats(rng, m*2048, false), alignedSlice[float32](m*2048), alignedBytes(c.Scratch())
					for b.Loop() {
						c.Run(dst, src, scratch, 0, c.Tasks())
					}
					report(b, &p.Shape)
				})
			}
		}
	}
}

// BenchmarkPackQConv measures what loading a model pays for packing.
func BenchmarkPackQConv(b *testing.B) {
	s := square("", 14, 512, 512, 3, 1, 1).ConvShape
	p := QConvParams{Shape: s, Weights: make([]int8, s.WeightLen()), Scale: []float32{1}, Lo: -128, Hi: 127}
	for _, l := range Levels() {
		b.Run(l.String(), func(b *testing.B) {
			b.SetBytes(int64(len(p.Weights)))
			for b.Loop() {
				if _, err := NewQConv(l, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchConv(b *testing.B, l Level, s ConvShape) {
	rng := rand.New(rand.NewPCG(1, 1))
	c, err := NewConv(l, &ConvParams{
		Shape: s, Weights: randomFloats(rng, s.WeightLen(), false), Lo: 0, Hi: float32(math.Inf(1)),
	})
	if err != nil {
		b.Fatal(err)
	}
	src, dst, scratch := alignedSlice[float32](s.InLen()), alignedSlice[float32](s.OutLen()), alignedBytes(c.Scratch())
	copy(src, randomFloats(rng, len(src), false))
	b.ReportAllocs()
	for b.Loop() {
		c.Run(dst, src, scratch, 0, c.Tasks())
	}
}

// alignedSlice returns n elements on a cache line, as a session's arena has them.
func alignedSlice[T int8 | int16 | float32](n int) []T {
	return view[T](alignedBytes(n*int(unsafe.Sizeof(*new(T)))), 0, n)
}
