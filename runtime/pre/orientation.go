package pre

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/whet-edge/whet/format"
)

// orientation returns the Exif tag of a JPEG file that says how the camera was
// held, 1 (upright) to 8; 1 for other files and where there is none.
//
// JPEG is a sequence of segments: FF, marker, length with its own two bytes,
// big-endian. Exif (JEITA CP-3451) is a TIFF file in a segment APP1.
func orientation(r io.Reader) int {
	b := bufio.NewReader(r)
	var head [4]byte
	if _, err := io.ReadFull(b, head[:2]); err != nil || head[0] != 0xff || head[1] != 0xd8 {
		return 1
	}
	const app1, startOfScan = 0xe1, 0xda
	for {
		if _, err := io.ReadFull(b, head[:]); err != nil || head[0] != 0xff || head[1] == startOfScan {
			return 1
		}
		n := int(binary.BigEndian.Uint16(head[2:])) - 2
		if n < 0 {
			return 1
		}
		if head[1] != app1 {
			if _, err := b.Discard(n); err != nil {
				return 1
			}
			continue
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(b, segment); err != nil {
			return 1
		}
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok {
			return tiffOrientation(tiff)
		}
	}
}

// tiffOrientation looks up the tag in the first directory of a TIFF file.
func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 1
	}
	const entry, tag, short = 12, 0x0112, 3
	n := int(order.Uint16(b[at:]))
	for b = b[at+2:]; n > 0 && len(b) >= entry; n, b = n-1, b[entry:] {
		if order.Uint16(b) == tag && order.Uint16(b[2:]) == short {
			if v := int(order.Uint16(b[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// upright turns a picture as its orientation says.
func upright(a *Array, orientation int) *Array {
	if orientation == 1 {
		return a
	}
	h, w, c := a.Shape[0], a.Shape[1], a.Shape[2]
	oh, ow := h, w
	if orientation >= 5 {
		oh, ow = w, h
	}
	out := &Array{Type: a.Type, Shape: format.Shape{oh, ow, c}, Data: make([]byte, len(a.Data)), image: true}
	for y := range oh {
		for x := range ow {
			sy, sx := y, x
			switch orientation {
			case 2:
				sx = w - 1 - x
			case 3:
				sy, sx = h-1-y, w-1-x
			case 4:
				sy = h - 1 - y
			case 5:
				sy, sx = x, y
			case 6:
				sy, sx = h-1-x, y
			case 7:
				sy, sx = h-1-x, w-1-y
			case 8:
				sy, sx = x, w-1-y
			}
			copy(out.Data[(y*ow+x)*c:][:c], a.Data[(sy*w+sx)*c:])
		}
	}
	return out
}
