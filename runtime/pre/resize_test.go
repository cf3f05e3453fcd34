package pre

import (
	"math"
	"testing"
)

// Made with tf.image.resize (TensorFlow 2.21), antialias False and True.
func TestResizeAgainstTensorFlow(t *testing.T) {
	src := plane{7, 5, 1, nil}
	for i := range 35 {
		src.v = append(src.v, float32(i*i%31))
	}
	tests := []struct {
		h, w      int
		antialias bool
		want      []float32
	}{
		{3, 4, false, []float32{15.0417, 7.29167, 7.70833, 16.2917, 8.0, 8.75, 12.5, 19.25, 5.29167, 14.5417, 8.70834, 5.875}},
		{3, 4, true, []float32{11.2857, 10.5536, 9.72024, 13.7679, 13.2941, 14.1275, 12.3088, 14.6765, 9.42857, 11.8274, 8.03572, 8.01786}},
		{9, 8, false, []float32{0, 0.4375, 1.1875, 3.0625, 5.5625, 8.6875, 12.9375, 16, 16.6667, 10.9792, 4.27083, 10.3125}},
		{9, 8, true, []float32{0, 0.4375, 1.1875, 3.0625, 5.5625, 8.6875, 12.9375, 16, 16.6667, 10.9792, 4.27083, 10.3125}},
	}
	for _, tt := range tests {
		got := src.resize(tt.h, tt.w, tt.antialias)
		if len(got.v) != tt.h*tt.w {
			t.Fatalf("%dx%d: %d values", tt.h, tt.w, len(got.v))
		}
		for i, want := range tt.want {
			if d := math.Abs(float64(got.v[i] - want)); d > 1e-4 {
				t.Errorf("%dx%d antialias=%v: value %d is %v, want %v", tt.h, tt.w, tt.antialias, i, got.v[i], want)
			}
		}
	}
}

func TestResizeOfOnePixel(t *testing.T) {
	got := plane{1, 1, 3, []float32{1, 2, 3}}.resize(4, 2, false)
	for i, v := range got.v {
		if v != float32(1+i%3) {
			t.Fatalf("value %d is %v", i, v)
		}
	}
}

func TestCropKeepsTheMiddle(t *testing.T) {
	src := plane{2, 6, 1, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}
	got := src.crop(10, 10)
	if got.h != 2 || got.w != 2 || got.v[0] != 2 || got.v[3] != 9 {
		t.Errorf("crop: %+v", got)
	}
	got = src.crop(1, 12)
	if got.h != 1 || got.w != 6 || got.v[0] != 0 {
		t.Errorf("crop to a wide window: %+v", got)
	}
}

func TestReorder(t *testing.T) {
	rgb := plane{1, 1, 3, []float32{255, 100, 50}}
	if g := rgb.reorder("gray"); g.v[0] != 141 { // 0.299*255+0.587*100+0.114*50 = 140.645
		t.Errorf("gray: %v", g.v)
	}
	if b := rgb.reorder("bgr"); b.v[0] != 50 || b.v[2] != 255 {
		t.Errorf("bgr: %v", b.v)
	}
	if c := (plane{1, 1, 1, []float32{7}}).reorder("rgb"); len(c.v) != 3 || c.v[2] != 7 {
		t.Errorf("gray to rgb: %v", c.v)
	}
}
