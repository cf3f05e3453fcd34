package pre

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
)

// halves is a picture whose left half is red and right half is blue.
func halves() *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for y := range 16 {
		for x := range 16 {
			c := color.RGBA{255, 0, 0, 255}
			if x >= 8 {
				c = color.RGBA{0, 0, 255, 255}
			}
			m.Set(x, y, c)
		}
	}
	return m
}

func TestReadImage(t *testing.T) {
	for name, encode := range map[string]func(io.Writer, image.Image) error{
		"png":  png.Encode,
		"bmp":  bmp.Encode,
		"jpeg": func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 100}) },
	} {
		var b bytes.Buffer
		if err := encode(&b, halves()); err != nil {
			t.Fatal(err)
		}
		a, err := ReadImage(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !a.Shape.Equal([]int{16, 16, 3}) {
			t.Errorf("%s: shape %v", name, a.Shape)
			continue
		}
		left, right := a.Data[:3], a.Data[3*15:3*16]
		near := func(got []byte, want ...int) bool {
			for i, w := range want {
				if d := int(got[i]) - w; d < -3 || d > 3 { // JPEG's colours are not exact
					return false
				}
			}
			return true
		}
		if !near(left, 255, 0, 0) || !near(right, 0, 0, 255) {
			t.Errorf("%s: left %v, right %v", name, left, right)
		}
	}
}

// Every kind of picture that the decoders make gives the same pixels.
func TestFromImage(t *testing.T) {
	want := []byte{255, 0, 0, 0, 0, 255}
	pal := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}})
	pal.SetColorIndex(1, 0, 1)
	clear := image.NewNRGBA(image.Rect(3, 4, 5, 5)) // bounds need not begin at 0
	clear.Set(3, 4, color.NRGBA{255, 0, 0, 1})
	clear.Set(4, 4, color.NRGBA{0, 0, 255, 128})
	deep := image.NewRGBA64(image.Rect(0, 0, 2, 1))
	deep.Set(0, 0, color.RGBA64{0xffff, 0, 0, 0xffff})
	deep.Set(1, 0, color.RGBA64{0, 0, 0xffff, 0xffff})
	for name, m := range map[string]image.Image{"paletted": pal, "transparent": clear, "16 bits": deep} {
		if got := FromImage(m).Data; !bytes.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	gray := image.NewGray(image.Rect(0, 0, 4, 4))
	gray.SetGray(2, 3, color.Gray{7})
	part := gray.SubImage(image.Rect(1, 2, 3, 4)).(*image.Gray)
	if a := FromImage(part); !a.Shape.Equal([]int{2, 2, 1}) || !bytes.Equal(a.Data, []byte{0, 0, 0, 7}) {
		t.Errorf("part of a grey picture: %v %v", a.Shape, a.Data)
	}
}

// A file of a few bytes that announces 256 million pixels.
func TestReadImageRefusesHugePictures(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, halves()); err != nil {
		t.Fatal(err)
	}
	f := b.Bytes()
	head := f[12:29] // type and fields of the chunk IHDR
	binary.BigEndian.PutUint32(head[4:], 16_000)
	binary.BigEndian.PutUint32(head[8:], 16_000)
	binary.BigEndian.PutUint32(f[29:], crc32.ChecksumIEEE(head))
	if _, err := ReadImage(bytes.NewReader(f)); err == nil || !strings.Contains(err.Error(), "16000x16000") {
		t.Errorf("error %v", err)
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add("a,label\n1,x\n2,y\n")
	f.Add("\"a\nb\",c\n1e39,0\n")
	f.Fuzz(func(t *testing.T, s string) {
		rows, labels, err := readTable(strings.NewReader(s))
		if err != nil {
			return
		}
		if len(rows) == 0 || len(rows) != len(labels) {
			t.Fatalf("%d rows, %d labels", len(rows), len(labels))
		}
		for _, r := range rows {
			if len(r) == 0 || len(r) != len(rows[0]) {
				t.Fatalf("rows of %d and %d values", len(r), len(rows[0]))
			}
		}
	})
}
