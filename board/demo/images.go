package demo

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"sync"
)

// Side is the width and height of the images in pixels.
const Side = 28

// Images are labelled grey images of Side x Side pixels.
type Images struct {
	Label  []int    // numbers of the classes, 0 to 9
	Pixels [][]byte // rows from the top, 0 is black
}

// Len returns the number of images.
func (s *Images) Len() int { return len(s.Label) }

// Image returns image i.
func (s *Images) Image(i int) *image.Gray {
	return &image.Gray{Pix: s.Pixels[i], Stride: Side, Rect: image.Rect(0, 0, Side, Side)}
}

//go:embed images.bin.gz
var packed []byte

// Embedded returns the 1,000 test images and the pool of examples that pack.py
// made. They are shared: do not change them.
var Embedded = sync.OnceValues(func() (sets [2]*Images, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return sets, fmt.Errorf("demo: images: %w", err)
	}
	r := bufio.NewReader(z)
	for i := range sets {
		if sets[i], err = readImages(r); err != nil {
			return sets, fmt.Errorf("demo: images: %w", err)
		}
	}
	return sets, nil
})

func readImages(r io.Reader) (*Images, error) {
	var n uint32
	if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
		return nil, err
	}
	if n > 1<<20 {
		return nil, fmt.Errorf("%d images", n)
	}
	labels := make([]byte, n)
	if _, err := io.ReadFull(r, labels); err != nil {
		return nil, err
	}
	s := &Images{}
	for _, l := range labels {
		p := make([]byte, Side*Side)
		if _, err := io.ReadFull(r, p); err != nil {
			return nil, err
		}
		s.Label = append(s.Label, int(l))
		s.Pixels = append(s.Pixels, p)
	}
	return s, nil
}
