package pre_test

import (
	"fmt"
	"image"
	"image/color"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// A network with an int8 input that wants grey pixels scaled to [-1, 1].
func ExamplePipeline_Put() {
	input := &format.Tensor{Name: "x", Type: format.Int8, Shape: format.Shape{1, 1, 2, 1}, Quant: format.PerTensor(1./127, 0)}
	steps := []format.Transform{
		{Op: "image"},
		{Op: "normalize", Attrs: format.Attrs{"mean": []float64{127.5}, "scale": []float64{1 / 127.5}}},
	}
	p, err := pre.New(steps, input, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	picture := image.NewGray(image.Rect(0, 0, 2, 1))
	picture.SetGray(1, 0, color.Gray{Y: 255})
	codes := make([]byte, p.Size())
	if err := p.Put(codes, pre.FromImage(picture)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(int8(codes[0]), int8(codes[1]))
	// Output: -127 127
}

func ExampleTopK() {
	for _, s := range pre.TopK([]float32{0.1, 0.2, 0.7}, []string{"cat", "dog", "bird"}, 2) {
		fmt.Printf("%.1f %s\n", s.Score, s.Label)
	}
	// Output:
	// 0.7 bird
	// 0.2 dog
}
