package pre

// A Placement says where in the input a picture came to lie, so that what a
// model finds can be given in the picture's own pixels.
type Placement struct {
	Height, Width int     // of the picture
	InputHeight   int     // of the model's input
	InputWidth    int     //
	ScaleX        float64 // picture pixels per input pixel
	ScaleY        float64
	OffsetX       float64 // of the input's origin, in picture pixels
	OffsetY       float64

	h, w, y, x int // of the scaled picture within the input
}

// Source returns the picture's coordinates of a place in the input.
func (p Placement) Source(x, y float64) (float64, float64) {
	return x*p.ScaleX + p.OffsetX, y*p.ScaleY + p.OffsetY
}

// place computes how a picture of sh by sw pixels fits one of h by w.
func place(fit string, sh, sw, h, w int) Placement {
	p := Placement{Height: sh, Width: sw, InputHeight: h, InputWidth: w, h: h, w: w,
		ScaleX: float64(sw) / float64(w), ScaleY: float64(sh) / float64(h)}
	switch fit {
	case "crop":
		ch, cw := window(sh, sw, h, w)
		p.ScaleX, p.ScaleY = float64(cw)/float64(w), float64(ch)/float64(h)
		p.OffsetX, p.OffsetY = float64((sw-cw)/2), float64((sh-ch)/2)
	case "pad", "corner":
		s := max(p.ScaleX, p.ScaleY)
		p.h, p.w = min(h, max(1, int(float64(sh)/s+0.5))), min(w, max(1, int(float64(sw)/s+0.5)))
		p.ScaleX, p.ScaleY = float64(sw)/float64(p.w), float64(sh)/float64(p.h)
		if fit == "pad" {
			p.y, p.x = (h-p.h)/2, (w-p.w)/2
		}
		p.OffsetX, p.OffsetY = -float64(p.x)*p.ScaleX, -float64(p.y)*p.ScaleY
	}
	return p
}

// Placement returns where a picture comes to lie; ok is false if the sample is
// no picture or the input takes none.
func (p *Pipeline) Placement(a *Array) (at Placement, ok bool) {
	if !a.image || p.geometry == nil {
		return Placement{}, false
	}
	return p.geometry(a.Shape[0], a.Shape[1]), true
}

// Picture reports whether the sample is a picture, uint8 [h,w,1] or [h,w,3].
func (a *Array) Picture() bool { return a.image }

// Cut returns the part of a picture between two corners, which are clipped to
// it; nil if nothing is left.
func (a *Array) Cut(x0, y0, x1, y1 int) *Array {
	h, w, c := a.Shape[0], a.Shape[1], a.Shape[2]
	x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
	if x0 >= x1 || y0 >= y1 {
		return nil
	}
	out := &Array{Type: a.Type, Shape: []int{y1 - y0, x1 - x0, c}, image: true}
	for y := y0; y < y1; y++ {
		out.Data = append(out.Data, a.Data[(y*w+x0)*c:(y*w+x1)*c]...)
	}
	return out
}
