package photos

import (
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSquare(t *testing.T) {
	p := image.NewNRGBA(image.Rect(3, 5, 11, 9)) // 8 wide, 4 high: red in the middle half
	for y := 5; y < 9; y++ {
		for x := 5; x < 9; x++ {
			p.Set(x, y, color.NRGBA{R: 255, A: 255})
		}
	}
	red, white := []byte{255, 0, 0}, []byte{255, 255, 255}
	if got := square(p, 4, 4); !slices.Equal(got, slices.Repeat(red, 16)) {
		t.Errorf("the middle is %v", got)
	}
	row := slices.Concat(slices.Repeat(white, 2), slices.Repeat(red, 4), slices.Repeat(white, 2))
	if got := square(p, 8, 8); !slices.Equal(got[:48], slices.Repeat(white, 16)) || !slices.Equal(got[48:72], row) {
		t.Errorf("the whole begins with %v", got[:72])
	}
}

func TestStampsLeaveDrawingsOut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cat.png", "cat_mirror.png", "cartoon/dog.png", "cat.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if list, err := stamps(dir); err != nil || len(list) != 1 {
		t.Errorf("%d stamps, %v", len(list), err)
	}
	if _, err := Load(dir, 2); err == nil {
		t.Error("a folder without photographs was taken")
	}
}

func TestClassesAreInOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(class int) {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("n%08d_name.JPEG", 7*class)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p := image.NewGray(image.Rect(0, 0, 8, 8))
		for i := range p.Pix {
			p.Pix[i] = byte(class / 4)
		}
		if err := jpeg.Encode(f, p, &jpeg.Options{Quality: 100}); err != nil {
			t.Fatal(err)
		}
	}
	for class := classes - 1; class > 0; class-- {
		write(class)
	}
	if _, err := LoadClasses(dir, 1); err == nil {
		t.Error("a class without a photograph was passed over")
	}
	write(0)
	pixels, err := LoadClasses(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	for class, p := range pixels {
		want := byte(class / 4)
		if len(p) != 3 || p[0] != want || p[1] != want || p[2] != want {
			t.Fatalf("class %d is %v, want %d", class, p, want)
		}
	}
}
