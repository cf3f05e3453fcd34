package kernels

import "math"

// A RoiAlign takes regions out of a picture [N, H, W, C] and samples each in bins
// of OH x OW: He et al., Mask R-CNN (arXiv:1703.06870), as ONNX's RoiAlign has it.
type RoiAlign struct {
	N, H, W, C, OH, OW int
	Ratio              int     // samples a bin along each axis; 0: as many as it has pixels
	Scale              float32 // from the regions' coordinates to X's
	Offset             float32 // 0.5 where pixels are areas, 0 where they are points
	Max                bool    // the greatest sample instead of their mean
}

// Run computes the regions [from, to): rois holds x1, y1, x2, y2 of each, batch the
// picture that it is in, which is within 0..N-1.
func (r *RoiAlign) Run(dst, x, rois []float32, batch []int64, from, to int) {
	for i := from; i < to; i++ {
		roi := rois[4*i:][:4]
		left, top := float32(roi[0]*r.Scale)-r.Offset, float32(roi[1]*r.Scale)-r.Offset
		width, height := float32(roi[2]*r.Scale)-r.Offset-left, float32(roi[3]*r.Scale)-r.Offset-top
		if r.Offset == 0 { // malformed regions are one pixel
			width, height = max(width, 1), max(height, 1)
		}
		bh, bw := height/float32(r.OH), width/float32(r.OW)
		nh, nw := r.samples(bh), r.samples(bw)
		img := x[int(batch[i])*r.H*r.W*r.C:][:r.H*r.W*r.C]
		for oy := range r.OH {
			for ox := range r.OW {
				out := dst[((i*r.OH+oy)*r.OW+ox)*r.C:][:r.C]
				clear(out)
				first := true
				for sy := range nh {
					y := top + float32(float32(oy)*bh) + float32((float32(sy)+0.5)*bh)/float32(nh)
					for sx := range nw {
						px := left + float32(float32(ox)*bw) + float32((float32(sx)+0.5)*bw)/float32(nw)
						r.sample(out, img, y, px, first)
						first = false
					}
				}
				if n := float32(nh * nw); !r.Max {
					for c := range out {
						out[c] /= n
					}
				}
			}
		}
	}
}

// maxSamples bounds the work that the coordinates of a region ask for.
const maxSamples = 1 << 10

func (r *RoiAlign) samples(bin float32) int {
	if r.Ratio > 0 {
		return r.Ratio
	}
	n := math.Ceil(float64(bin))
	if !(n >= 1) {
		return 1
	}
	return int(min(n, maxSamples))
}

// sample adds one bilinear sample to out, or keeps the greater.
func (r *RoiAlign) sample(out, img []float32, y, x float32, first bool) {
	if !(y >= -1 && y <= float32(r.H) && x >= -1 && x <= float32(r.W)) {
		if r.Max {
			for c := range out {
				out[c] = max(out[c], 0)
			}
		}
		return
	}
	y0, y1, fy := neighbours(y, r.H)
	x0, x1, fx := neighbours(x, r.W)
	a, b := img[(y0*r.W+x0)*r.C:][:r.C], img[(y0*r.W+x1)*r.C:][:r.C]
	d, e := img[(y1*r.W+x0)*r.C:][:r.C], img[(y1*r.W+x1)*r.C:][:r.C]
	wa, wb, wd, we := (1-fy)*(1-fx), (1-fy)*fx, fy*(1-fx), fy*fx
	for c := range out {
		pa, pb, pd, pe := float32(wa*a[c]), float32(wb*b[c]), float32(wd*d[c]), float32(we*e[c])
		switch {
		case !r.Max:
			out[c] += pa + pb + pd + pe
		case first:
			out[c] = max(pa, pb, pd, pe)
		default:
			out[c] = max(out[c], pa, pb, pd, pe)
		}
	}
}

// neighbours are the two positions around p and the second one's weight; outside
// the edge counts.
func neighbours(p float32, n int) (lo, hi int, f float32) {
	p = max(p, 0)
	lo = int(p)
	if lo >= n-1 {
		return n - 1, n - 1, 0
	}
	return lo, lo + 1, p - float32(lo)
}

// A MaxRoiPool takes the greatest element in each of OH x OW bins of regions of a
// picture [N, H, W, C]: Girshick, Fast R-CNN (arXiv:1504.08083).
type MaxRoiPool struct {
	N, H, W, C, OH, OW int
	Scale              float32
}

// Run computes the regions [from, to): rois holds batch, x1, y1, x2, y2 of each,
// the batch within 0..N-1.
func (r *MaxRoiPool) Run(dst, x, rois []float32, from, to int) {
	round := func(v float32) int {
		return int(math.Round(min(max(float64(v*r.Scale), -1<<20), 1<<20)))
	}
	for i := from; i < to; i++ {
		roi := rois[5*i:][:5]
		img := x[int(roi[0])*r.H*r.W*r.C:][:r.H*r.W*r.C]
		left, top := round(roi[1]), round(roi[2])
		width, height := max(round(roi[3])-left+1, 1), max(round(roi[4])-top+1, 1)
		for oy := range r.OH {
			y0, y1 := bin(oy, height, r.OH, top, r.H)
			for ox := range r.OW {
				x0, x1 := bin(ox, width, r.OW, left, r.W)
				out := dst[((i*r.OH+oy)*r.OW+ox)*r.C:][:r.C]
				clear(out)
				for y := y0; y < y1; y++ {
					for px := x0; px < x1; px++ {
						for c, v := range img[(y*r.W+px)*r.C:][:r.C] {
							if y == y0 && px == x0 || v > out[c] {
								out[c] = v
							}
						}
					}
				}
			}
		}
	}
}

// bin is the range of pixels of bin i of n, within the picture.
func bin(i, size, n, start, limit int) (lo, hi int) {
	lo = start + i*size/n
	hi = start + ((i+1)*size+n-1)/n
	return min(max(lo, 0), limit), min(max(hi, 0), limit)
}

// A DeformableIm2Col lays out what a deformable convolution multiplies with its
// weights: Zhu et al., Deformable ConvNets v2 (arXiv:1811.11168).
type DeformableIm2Col struct {
	H, W, C, OH, OW  int
	KH, KW           int
	StrideH, StrideW int
	DilH, DilW       int
	PadTop, PadLeft  int
	Groups           int // of channels that share offsets
}

// Run computes the output rows [from, to) of N·OH: dst is [N, OH, OW, KH·KW, C],
// offset [N, OH, OW, Groups, KH·KW, 2] (y, x), mask [N, OH, OW, Groups, KH·KW] or nil.
func (d *DeformableIm2Col) Run(dst, x, offset, mask []float32, from, to int) {
	taps, per := d.KH*d.KW, d.C/d.Groups
	for row := from; row < to; row++ {
		img := x[row/d.OH*d.H*d.W*d.C:][:d.H*d.W*d.C]
		for ox := range d.OW {
			at := row*d.OW + ox
			for g := range d.Groups {
				for k := range taps {
					o := (at*d.Groups+g)*taps + k
					y := float32(row%d.OH*d.StrideH-d.PadTop+k/d.KW*d.DilH) + offset[2*o]
					px := float32(ox*d.StrideW-d.PadLeft+k%d.KW*d.DilW) + offset[2*o+1]
					m := float32(1)
					if mask != nil {
						m = mask[o]
					}
					d.tap(dst[(at*taps+k)*d.C+g*per:][:per], img[g*per:], y, px, m)
				}
			}
		}
	}
}

// tap is one bilinear sample of some channels, 0 outside of the picture.
func (d *DeformableIm2Col) tap(out, img []float32, y, x, m float32) {
	clear(out)
	if !(y > -1 && y < float32(d.H) && x > -1 && x < float32(d.W)) {
		return
	}
	fy, fx := floor32(y), floor32(x)
	y0, x0 := int(fy), int(fx)
	fy, fx = y-fy, x-fx
	for k, w := range [4]float32{(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx} {
		py, px := y0+k/2, x0+k%2
		if py < 0 || py >= d.H || px < 0 || px >= d.W {
			continue
		}
		w *= m
		for c, v := range img[(py*d.W+px)*d.C:][:len(out)] {
			out[c] += float32(w * v)
		}
	}
}

func floor32(v float32) float32 { return float32(math.Floor(float64(v))) }
