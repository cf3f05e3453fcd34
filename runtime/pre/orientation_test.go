package pre

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"testing"

	"github.com/whet-edge/whet/format"
)

// exif is a segment APP1 with one tag.
func exif(order binary.AppendByteOrder, mark string, tag, typ, value uint16) []byte {
	tiff := order.AppendUint16([]byte(mark), 42)
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 1)
	tiff = order.AppendUint16(tiff, tag)
	tiff = order.AppendUint16(tiff, typ)
	tiff = order.AppendUint32(tiff, 1)
	tiff = order.AppendUint16(tiff, value)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0)
	body := append([]byte("Exif\x00\x00"), tiff...)
	return append(binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2)), body...)
}

func TestOrientation(t *testing.T) {
	comment := []byte{0xff, 0xfe, 0, 4, 'h', 'i'}
	start := []byte{0xff, 0xd8}
	tests := []struct {
		name string
		file [][]byte
		want int
	}{
		{"little-endian", [][]byte{start, comment, exif(binary.LittleEndian, "II", 0x112, 3, 6)}, 6},
		{"big-endian", [][]byte{start, exif(binary.BigEndian, "MM", 0x112, 3, 8)}, 8},
		{"another tag", [][]byte{start, exif(binary.LittleEndian, "II", 0x110, 3, 6)}, 1},
		{"another type", [][]byte{start, exif(binary.LittleEndian, "II", 0x112, 4, 6)}, 1},
		{"out of range", [][]byte{start, exif(binary.LittleEndian, "II", 0x112, 3, 9)}, 1},
		{"after the scan", [][]byte{start, {0xff, 0xda, 0, 2}, exif(binary.LittleEndian, "II", 0x112, 3, 6)}, 1},
		{"cut", [][]byte{start, exif(binary.LittleEndian, "II", 0x112, 3, 6)[:20]}, 1},
		{"length 0", [][]byte{start, {0xff, 0xe1, 0, 0}}, 1},
		{"no JPEG", [][]byte{[]byte("\x89PNG")}, 1},
	}
	for _, tt := range tests {
		if got := orientation(bytes.NewReader(bytes.Join(tt.file, nil))); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// The letters are what a viewer shows of
//
//	a b c
//	d e f
//
// under each orientation (Exif 2.32, figure "orientation tag").
func TestUpright(t *testing.T) {
	for o, want := range map[int]string{
		1: "abc def", 2: "cba fed", 3: "fed cba", 4: "def abc",
		5: "ad be cf", 6: "da eb fc", 7: "fc eb da", 8: "cf be ad",
	} {
		a := upright(&Array{Type: format.Uint8, Shape: format.Shape{2, 3, 1}, Data: []byte("abcdef"), image: true}, o)
		got := ""
		for y := range a.Shape[0] {
			if y > 0 {
				got += " "
			}
			got += string(a.Data[y*a.Shape[1]:][:a.Shape[1]])
		}
		if got != want {
			t.Errorf("orientation %d: %q, want %q", o, got, want)
		}
	}
}

func TestReadImageTurnsPhotos(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 8)), nil); err != nil {
		t.Fatal(err)
	}
	f := b.Bytes()
	f = bytes.Join([][]byte{f[:2], exif(binary.LittleEndian, "II", 0x112, 3, 6), f[2:]}, nil)
	a, err := ReadImage(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	if !a.Shape.Equal(format.Shape{16, 8, 1}) {
		t.Errorf("shape %v", a.Shape)
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add(append([]byte{0xff, 0xd8}, exif(binary.LittleEndian, "II", 0x112, 3, 6)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := orientation(bytes.NewReader(b)); o < 1 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}
