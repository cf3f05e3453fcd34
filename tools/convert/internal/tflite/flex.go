package tflite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// Types of FlexBuffers' values.
const (
	kindInt           = 1
	kindUint          = 2
	kindFloat         = 3
	kindIndirectInt   = 6
	kindIndirectFloat = 8
	kindMap           = 9
	kindBool          = 26
)

var errFlex = errors.New("the options of the custom operator cannot be read")

// flexMap reads a FlexBuffer whose root is a map, as custom operators keep their
// options: its numbers and truth values by name. Offsets count backwards; a value's
// type and width stand behind the vector that holds it.
func flexMap(b []byte) (map[string]float64, error) {
	n := len(b)
	if n < 3 || b[n-2]>>2 != kindMap {
		return nil, errFlex
	}
	f := flex(b)
	width := 1 << (b[n-2] & 3)
	at := f.follow(n-2-int(b[n-1]), int(b[n-1]))
	keys, keyWidth := f.follow(at-3*width, width), f.uint(at-2*width, width)
	size := f.uint(at-width, width)
	out := map[string]float64{}
	if at < 0 || keys < 0 || size > uint64(n) || keyWidth > 8 {
		return nil, errFlex
	}
	for i := range int(size) {
		k, typ := f.follow(keys+i*int(keyWidth), int(keyWidth)), f.uint(at+int(size)*width+i, 1)
		if k < 0 {
			return nil, errFlex
		}
		end := bytes.IndexByte(b[k:], 0)
		if end < 0 {
			return nil, errFlex
		}
		pos, w := at+i*width, width
		if kind := typ >> 2; kind >= kindIndirectInt && kind <= kindIndirectFloat {
			pos, w = f.follow(pos, w), 1<<(typ&3)
			typ = (kind - kindIndirectInt + kindInt) << 2
		}
		v := f.uint(pos, w)
		switch typ >> 2 {
		case kindInt:
			out[string(b[k:k+end])] = float64(int64(v<<(64-8*w)) >> (64 - 8*w))
		case kindUint, kindBool:
			out[string(b[k:k+end])] = float64(v)
		case kindFloat:
			switch w {
			case 4:
				out[string(b[k:k+end])] = float64(math.Float32frombits(uint32(v)))
			case 8:
				out[string(b[k:k+end])] = math.Float64frombits(v)
			}
		}
	}
	return out, nil
}

// flex gives checked access to a FlexBuffer: what lies outside of it is 0, and an
// offset from there leads to -1.
type flex []byte

func (f flex) uint(at, width int) uint64 {
	if at < 0 || width < 1 || width > 8 || at > len(f)-width {
		return 0
	}
	var v [8]byte
	copy(v[:], f[at:at+width])
	return binary.LittleEndian.Uint64(v[:])
}

func (f flex) follow(at, width int) int {
	if off := f.uint(at, width); off > 0 && off <= uint64(max(at, 0)) {
		return at - int(off)
	}
	return -1
}
