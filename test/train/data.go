package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/test/fashion"
)

const side = 28

// images are grey pictures, 0 to 255, and their classes.
type images struct {
	pixels [][]byte
	label  []int
}

// real returns the image as float32 in [0, 1].
func real(pixels []byte) []float32 {
	v := make([]float32, len(pixels))
	for i, p := range pixels {
		v[i] = float32(p) / 255
	}
	return v
}

// floatBytes returns the image as the input of a float model.
func floatBytes(pixels []byte) []byte {
	b := make([]byte, 0, 4*len(pixels))
	for _, v := range real(pixels) {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// part returns the images [from, to).
func (s *images) part(from, to int) *images { return &images{s.pixels[from:to], s.label[from:to]} }

// some returns n samples drawn by r.
func (s *images) some(r *rand.Rand, n int) ondevice.Samples {
	few := &images{}
	for _, i := range r.Perm(len(s.pixels))[:n] {
		few.pixels, few.label = append(few.pixels, s.pixels[i]), append(few.label, s.label[i])
	}
	return few.samples(n)
}

// rotated turns the images by 90 degrees counter-clockwise.
func (s *images) rotated() *images {
	return s.mapped(func(q, p []byte) {
		for y := range side {
			for x := range side {
				q[y*side+x] = p[x*side+side-1-y]
			}
		}
	})
}

// noisy halves the contrast and adds noise of mean 30 and deviation 40.
func (s *images) noisy() *images {
	r := rand.New(rand.NewPCG(3, 3))
	return s.mapped(func(q, p []byte) {
		for i, v := range p {
			q[i] = byte(min(max(0.5*float64(v)+30+40*r.NormFloat64(), 0), 255))
		}
	})
}

func (s *images) mapped(f func(q, p []byte)) *images {
	n := &images{label: s.label}
	for _, p := range s.pixels {
		q := make([]byte, len(p))
		f(q, p)
		n.pixels = append(n.pixels, q)
	}
	return n
}

// inverted returns the negatives.
func (s *images) inverted() *images {
	return s.mapped(func(q, p []byte) {
		for i, v := range p {
			q[i] = 255 - v
		}
	})
}

func (s *images) inputs() [][]byte {
	var list [][]byte
	for _, p := range s.pixels {
		list = append(list, floatBytes(p))
	}
	return list
}

// samples returns the first n images for a float model.
func (s *images) samples(n int) ondevice.Samples {
	var list ondevice.Samples
	for i, p := range s.pixels[:n] {
		list = append(list, ondevice.Sample{Input: floatBytes(p), Label: strconv.Itoa(s.label[i]), Source: strconv.Itoa(i)})
	}
	return list
}

// load reads one part of the data in the idx format of MNIST.
func load(dir, part string) (*images, error) {
	data, err := fashion.Load(dir, part)
	if err != nil {
		return nil, err
	}
	return &images{pixels: data.Pixels, label: data.Label}, nil
}
