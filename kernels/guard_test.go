package kernels

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// The contract suite runs every kernel of every level of this machine on random
// shapes and compares with the definition, bit for bit. All that a kernel is given
// lies on memory between two pages that cannot be touched: flush with the page
// behind it, where reading or writing one element too many kills the test, flush
// with the page before it, or anywhere, not aligned to more than its elements, and
// then between marks.

var long = flag.Bool("long", false, "run 2,000 random shapes a kernel and level")

// rounds is how many random shapes to try: n of them, or with -long 2,000.
func rounds(n int) int {
	switch {
	case *long:
		return 2000
	case testing.Short():
		return min(n, 30)
	}
	return n
}

// memory gives out slices that lie between guard pages.
type memory struct {
	r      *rand.Rand
	fences [][]byte // taken in turns
	used   int
	intact []func() bool // tell whether the marks around a slice are still there
}

func newMemory(seed uint64, fences, size int) *memory {
	m := &memory{r: rand.New(rand.NewPCG(7, seed))}
	for range fences {
		m.fences = append(m.fences, fence(size))
	}
	return m
}

// take returns n elements, which are good for as many further calls as there are fences.
func take[T any](m *memory, n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	f := m.fences[m.used%len(m.fences)]
	m.used++
	start := len(f) - n*size
	switch m.r.IntN(4) {
	case 0:
		start = 0
	case 1:
		start = m.r.IntN(min(500, start/size+1)) * size
	}
	const margin, mark = 200, 0x5a
	before, after := f[max(0, start-margin):start], f[start+n*size:min(len(f), start+n*size+margin)]
	setAll(before, mark)
	setAll(after, mark)
	m.intact = append(m.intact, func() bool {
		return bytes.Count(before, []byte{mark}) == len(before) && bytes.Count(after, []byte{mark}) == len(after)
	})
	return view[T](f, start, n)
}

// check fails the test if anything was written beside a slice since the last check.
func (m *memory) check(t *testing.T) {
	t.Helper()
	if slices.ContainsFunc(m.intact, func(intact func() bool) bool { return !intact() }) {
		t.Error("wrote outside of a buffer")
	}
	m.intact = m.intact[:0]
}

// taken returns a copy of x between guard pages.
func taken[T any](m *memory, x []T) []T {
	s := take[T](m, len(x))
	copy(s, x)
	return s
}

// packed puts packed weights between guard pages, on a cache line as always.
func (m *memory) packed(b []byte) []byte {
	p := take[[cacheLine]byte](m, ceilDiv(len(b), cacheLine))
	s := view[byte](asBytes(p), 0, len(b))
	copy(s, b)
	return s
}

// atLevels runs rounds of a comparison with the portable kernels at every
// other level of this machine.
func atLevels(t *testing.T, n int, f func(t *testing.T, l Level, m *memory)) {
	for _, l := range Levels()[1:] {
		t.Run(l.String(), func(t *testing.T) {
			m := newMemory(uint64(l), 16, 1<<19)
			for range rounds(n) {
				f(t, l, m)
				m.check(t)
				if t.Failed() {
					return
				}
			}
		})
	}
}
