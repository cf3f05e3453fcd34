package pre

import (
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // registers the decoder
	_ "image/png"  // registers the decoder
	"io"

	_ "golang.org/x/image/bmp" // registers the decoder

	"github.com/whet-edge/whet/format"
)

// maxPixels bounds a picture: its pixels and the decoder's own copy stay far
// below MaxBytes.
const maxPixels = 64 << 20

// ReadImage decodes a PNG, JPEG or BMP picture to uint8 [h,w,3] in RGB order,
// or [h,w,1] when the file holds grey values. Transparency is dropped, not
// blended. A photo is turned upright as its Exif orientation says.
func ReadImage(r io.ReadSeeker) (*Array, error) {
	c, _, err := image.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height {
		return nil, fmt.Errorf("picture of %dx%d pixels, more than %d million", c.Width, c.Height, maxPixels>>20)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	turn := orientation(r)
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(r)
	if err != nil {
		return nil, err
	}
	return upright(FromImage(img), turn), nil
}

// FromImage turns a decoded picture into a sample.
func FromImage(img image.Image) *Array {
	b := img.Bounds()
	h, w := b.Dy(), b.Dx()
	if g, ok := img.(*image.Gray); ok {
		a := &Array{Type: format.Uint8, Shape: format.Shape{h, w, 1}, Data: make([]byte, h*w), image: true}
		for y := range h {
			copy(a.Data[y*w:(y+1)*w], g.Pix[g.PixOffset(b.Min.X, b.Min.Y+y):])
		}
		return a
	}
	a := &Array{Type: format.Uint8, Shape: format.Shape{h, w, 3}, Data: make([]byte, 3*h*w), image: true}
	at := pixels(img)
	for y, i := 0, 0; y < h; y++ {
		for x := range w {
			a.Data[i], a.Data[i+1], a.Data[i+2] = at(b.Min.X+x, b.Min.Y+y)
			i += 3
		}
	}
	return a
}

// pixels returns a function that reads one pixel as 8-bit RGB without alpha.
// The decoders' usual types avoid an allocation a pixel.
func pixels(img image.Image) func(x, y int) (r, g, b uint8) {
	switch m := img.(type) {
	case *image.YCbCr:
		return func(x, y int) (uint8, uint8, uint8) {
			i, j := m.YOffset(x, y), m.COffset(x, y)
			return color.YCbCrToRGB(m.Y[i], m.Cb[j], m.Cr[j])
		}
	case *image.RGBA: // of opaque pictures: the decoders use NRGBA for others
		return func(x, y int) (uint8, uint8, uint8) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.NRGBA:
		return func(x, y int) (uint8, uint8, uint8) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	}
	return func(x, y int) (uint8, uint8, uint8) {
		c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
		return c.R, c.G, c.B
	}
}
