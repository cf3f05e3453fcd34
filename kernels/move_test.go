package kernels

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

var elemSizes = []int{1, 2, 3, 4, 8, 16}

// elems returns n distinct elements of a size.
func elems(n, size int) []byte {
	words := make([]uint64, n*size/8+1) // aligned for every size
	out := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n*size)
	for i := range n {
		for k := range size {
			out[i*size+k] = byte((i + 1) >> (8 * (k % 4)) * (k + 1))
		}
	}
	return out
}

func sameMove(t *testing.T, what string, c interface{ Rows() int }, run func(dst, src []byte, size, from, to int), srcElems, dstElems int, from func(o int) int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(srcElems), uint64(dstElems)))
	for _, size := range elemSizes {
		src, dst := elems(srcElems, size), elems(dstElems, size)
		clear(dst)
		want := make([]byte, len(dst))
		for o := range dstElems {
			if i := from(o); i >= 0 {
				copy(want[o*size:][:size], src[i*size:])
			}
		}
		inPieces(r, c.Rows(), func(a, b int) { run(dst, src, size, a, b) })
		if !bytes.Equal(dst, want) {
			t.Fatalf("%s, %d bytes an element:\n got %v\nwant %v", what, size, dst, want)
		}
	}
}

// coords splits a position into indices, index joins them.
func coords(shape []int, at int) []int {
	c := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		c[i] = at % shape[i]
		at /= shape[i]
	}
	return c
}

func index(shape, c []int) int {
	n := 0
	for i, d := range shape {
		n = n*d + c[i]
	}
	return n
}

func TestTranspose(t *testing.T) {
	for _, c := range [][2][]int{
		{{}, {}}, {{5}, {0}}, {{3, 4}, {1, 0}}, {{3, 4}, {0, 1}}, {{2, 3, 4}, {2, 0, 1}}, {{1, 5, 6, 3}, {0, 3, 1, 2}}, {{1, 3, 5, 6}, {0, 2, 3, 1}},
		{{2, 3, 4, 5}, {3, 2, 1, 0}}, {{3, 200}, {1, 0}}, {{17, 70}, {1, 0}}, {{2, 40, 90}, {0, 2, 1}}, {{2, 90, 40, 5}, {0, 2, 1, 3}}, {{2, 3, 4, 5}, {0, 2, 1, 3}}, {{2, 0, 3}, {1, 0, 2}},
	} {
		p, err := NewTranspose(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		out := make([]int, len(c[0]))
		for i, k := range c[1] {
			out[i] = c[0][k]
		}
		n := product(c[0])
		sameMove(t, fmt.Sprint(c), p, p.Run, n, n, func(o int) int {
			at, src := coords(out, o), make([]int, len(out))
			for i, k := range c[1] {
				src[k] = at[i]
			}
			return index(c[0], src)
		})
	}
	for _, perm := range [][]int{{0}, {0, 0}, {0, 2}, {-1, 0}} {
		if _, err := NewTranspose([]int{2, 3}, perm); err == nil {
			t.Errorf("perm %v was accepted", perm)
		}
	}
}

func TestSlice(t *testing.T) {
	for _, c := range [][4][]int{ // shape, starts, counts, strides
		{{6}, {1}, {3}, {1}}, {{6}, {5}, {6}, {-1}}, {{6}, {0}, {3}, {2}}, {{4, 5}, {1, 0}, {2, 5}, {1, 1}}, {{4, 5}, {0, 2}, {4, 2}, {1, 2}},
		{{4, 5}, {3, 4}, {2, 3}, {-2, -2}}, {{2, 3, 4}, {0, 1, 0}, {2, 1, 4}, {1, 1, 1}}, {{4}, {0}, {0}, {1}}, {{}, {}, {}, {}}, {{1, 1, 257}, {0, 0, 0}, {1, 1, 257}, {1, 1, 1}},
	} {
		p, err := NewSlice(c[0], c[1], c[2], c[3])
		if err != nil {
			t.Fatal(err)
		}
		sameMove(t, fmt.Sprint(c), p, p.Run, product(c[0]), product(c[2]), func(o int) int {
			at := coords(c[2], o)
			for i := range at {
				at[i] = c[1][i] + at[i]*c[3][i]
			}
			return index(c[0], at)
		})
	}
	for _, c := range [][3]int{{0, 7, 1}, {-1, 2, 1}, {1, 3, -1}, {6, 1, 1}, {0, -1, 1}} {
		if _, err := NewSlice([]int{6}, []int{c[0]}, []int{c[1]}, []int{c[2]}); err == nil {
			t.Errorf("slice %v of 6 was accepted", c)
		}
	}
}

// TestConcatSplit puts blocks side by side and takes them apart again.
func TestConcatSplit(t *testing.T) {
	for axis := range 3 {
		parts := [][]int{{2, 3, 4}, {2, 3, 4}, {2, 3, 4}}
		whole := []int{2, 3, 4}
		whole[axis] = 0
		for i := range parts {
			parts[i][axis] = i + 1
			whole[axis] += i + 1
		}
		dst := make([]byte, product(whole))
		at := make([]int, 3)
		for i, s := range parts {
			c, err := NewBlock(whole, s, at)
			if err != nil {
				t.Fatal(err)
			}
			src := bytes.Repeat([]byte{byte(i + 1)}, product(s))
			c.Run(dst, src, 1, 0, c.Rows())
			at[axis] += s[axis]
		}
		for o, v := range dst {
			x, want := coords(whole, o)[axis], byte(1)
			if x >= 1 {
				want = 2
			}
			if x >= 3 {
				want = 3
			}
			if v != want {
				t.Fatalf("axis %d: element %v is of part %d, want %d", axis, coords(whole, o), v, want)
			}
		}
		at[axis] = 1
		c, err := NewSlice(whole, at2(axis, 1), parts[1], []int{1, 1, 1})
		if err != nil {
			t.Fatal(err)
		}
		back := make([]byte, product(parts[1]))
		c.Run(back, dst, 1, 0, c.Rows())
		if !bytes.Equal(back, bytes.Repeat([]byte{2}, len(back))) {
			t.Errorf("axis %d: part 2 came back as %v", axis, back)
		}
	}
	if _, err := NewBlock([]int{3}, []int{2}, []int{2}); err == nil {
		t.Error("a block beyond the end was accepted")
	}
}

func at2(axis, v int) []int {
	at := make([]int, 3)
	at[axis] = v
	return at
}

func TestPad(t *testing.T) {
	for _, c := range []struct {
		shape, begin, end []int
		mode              PadMode
	}{
		{[]int{3}, []int{2}, []int{1}, PadConstant}, {[]int{3}, []int{2}, []int{2}, PadReflect}, {[]int{3}, []int{4}, []int{5}, PadEdge},
		{[]int{2, 3, 4, 2}, []int{0, 1, 2, 0}, []int{0, 1, 0, 0}, PadConstant}, {[]int{1, 4, 5, 3}, []int{0, 2, 1, 0}, []int{0, 3, 4, 0}, PadReflect},
		{[]int{2, 3}, []int{1, 1}, []int{1, 0}, PadEdge}, {[]int{}, []int{}, []int{}, PadConstant}, {[]int{5, 4}, []int{-1, 0}, []int{0, -2}, PadConstant},
		{[]int{5, 4}, []int{-1, 2}, []int{1, -2}, PadConstant},
	} {
		p, err := NewPad(c.shape, c.begin, c.end, c.mode)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]int, len(c.shape))
		for i, d := range c.shape {
			out[i] = c.begin[i] + d + c.end[i]
		}
		run := func(dst, src []byte, size, from, to int) { p.Run(dst, src, make([]byte, size), from, to) }
		sameMove(t, fmt.Sprint(c), p, run, product(c.shape), product(out), func(o int) int {
			at := coords(out, o)
			for i, d := range c.shape {
				x := at[i] - c.begin[i]
				switch {
				case x >= 0 && x < d:
				case c.mode == PadConstant:
					return -1
				case c.mode == PadEdge:
					x = min(max(x, 0), d-1)
				case x < 0:
					x = -x
				default:
					x = 2*(d-1) - x
				}
				at[i] = x
			}
			return index(c.shape, at)
		})
	}
	value := []byte{7, 8}
	p, _ := NewPad([]int{1}, []int{1}, []int{1}, PadConstant)
	dst := make([]byte, 6)
	p.Run(dst, []byte{1, 2}, value, 0, p.Rows())
	if !bytes.Equal(dst, []byte{7, 8, 1, 2, 7, 8}) {
		t.Errorf("padded with %v: %v", value, dst)
	}
	if _, err := NewPad([]int{3}, []int{3}, []int{0}, PadReflect); err == nil {
		t.Error("a reflection longer than the axis was accepted")
	}
}

func TestGather(t *testing.T) {
	g := &Gather{Outer: 2, Axis: 3, Inner: 2}
	data := []byte{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}
	dst := make([]byte, 16)
	g.Run(dst, data, []int64{2, 0, 2, 0}, 1)
	if want := []byte{4, 5, 0, 1, 4, 5, 0, 1, 14, 15, 10, 11, 14, 15, 10, 11}; !bytes.Equal(dst, want) {
		t.Errorf("got %v, want %v", dst, want)
	}
}

// TestInterleave: pixels of three channels come out alike at every level.
func TestInterleave(t *testing.T) {
	atLevels(t, 100, func(t *testing.T, l Level, m *memory) {
		n := 1 + m.length()
		src, got, want := m.floats(3*n, 1), take[float32](m, 3*n), make([]float32, 3*n)
		for i := range want {
			want[i] = src[i%3*n+i/3]
		}
		c, err := NewTranspose([]int{3, n}, []int{1, 0})
		if err != nil {
			t.Fatal(err)
		}
		c.Level = l
		c.Run(asBytes(got), asBytes(src), 4, 0, c.Rows())
		sameFloats(t, got, want)
	})
}
