package augment

// grid is a sample's values [h, w, c].
type grid struct {
	v       []float32
	h, w, c int
	zero    float32 // what stands for 0
}

// part is a whole number of up to a fraction of n, either way.
func (g *grid) part(n int, fraction float32, r *random) int {
	most := int(fraction * float32(n))
	return r.IntN(2*most+1) - most
}

// move moves the values down by dy rows and right by dx columns.
func (g *grid) move(dy, dx int) {
	old := append([]float32(nil), g.v...)
	for y := range g.h {
		sy := min(max(y-dy, 0), g.h-1)
		for x := range g.w {
			sx := min(max(x-dx, 0), g.w-1)
			copy(g.v[(y*g.w+x)*g.c:][:g.c], old[(sy*g.w+sx)*g.c:])
		}
	}
}

func (g *grid) flip() {
	for y := range g.h {
		for x := range g.w / 2 {
			a, b := g.v[(y*g.w+x)*g.c:][:g.c], g.v[(y*g.w+g.w-1-x)*g.c:][:g.c]
			for k := range a {
				a[k], b[k] = b[k], a[k]
			}
		}
	}
}

func (g *grid) add(v float32) {
	for i := range g.v {
		g.v[i] += v
	}
}

// stretch multiplies the distance from a value.
func (g *grid) stretch(factor, from float32) {
	for i, v := range g.v {
		g.v[i] = from + float32((v-from)*factor)
	}
}

func (g *grid) noise(deviation float32, r *random) {
	for i := range g.v {
		g.v[i] += float32(deviation * r.normal())
	}
}

// fill sets a rectangle of h rows and w columns.
func (g *grid) fill(y, h, x, w int, v float32) {
	for r := range h {
		row := g.v[((y+r)*g.w+x)*g.c:][:w*g.c]
		for i := range row {
			row[i] = v
		}
	}
}

func (g *grid) mean() float32 {
	var sum float64
	for _, v := range g.v {
		sum += float64(v)
	}
	return float32(sum / float64(len(g.v)))
}

// span is the distance between the greatest and the least value.
func (g *grid) span() float32 {
	lo, hi := g.v[0], g.v[0]
	for _, v := range g.v {
		lo, hi = min(lo, v), max(hi, v)
	}
	return hi - lo
}
